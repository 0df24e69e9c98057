"""The page that starts a fine-tuning: what there is to choose from, and what auto makes of the choice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.db.models import OuterRef, Prefetch, Subquery
from django.utils.translation import gettext as _

from apps.portal import words
from apps.portal.comparison import written
from apps.portal.tuning_form import ChoiceForm, SettingsForm
from gpt_core import foresight
from gpt_core.estimates import TrainingEstimate, estimate_training
from gpt_core.models import BaseModel, Deployment, FineTuningJob
from labeling.models import Dataset, DatasetVersion

MOST_DATASETS = 200
MOST_VERSIONS = 5


@dataclass(frozen=True)
class Planned:
    """One setting as auto will choose it, in words."""

    name: str
    value: str
    why: str


class TuningPage:
    """Reads through the tenant's scope that it is made in."""

    def __init__(self, choice: ChoiceForm, settings: SettingsForm) -> None:
        self.choice = choice
        self.settings = settings

    # --- What there is to choose from ------------------------------------------------------------

    @cached_property
    def datasets(self) -> list[Dataset]:
        """Those with a frozen version, the newest versions first."""
        newest = DatasetVersion.objects.filter(dataset=OuterRef("dataset")).order_by("-number")
        some = DatasetVersion.objects.filter(
            pk__in=Subquery(newest.values("pk")[:MOST_VERSIONS])
        ).order_by("-number")
        found = Dataset.objects.filter(versions__isnull=False).distinct().order_by("name", "pk")
        return list(
            found.prefetch_related(Prefetch("versions", queryset=some, to_attr="newest"))[
                :MOST_DATASETS
            ]
        )

    @cached_property
    def unfrozen(self) -> list[Dataset]:
        found = Dataset.objects.with_counts().filter(versions__isnull=True)
        return list(found.order_by("name", "pk")[:20])

    @cached_property
    def bases(self) -> list[BaseModel]:
        return list(BaseModel.objects.order_by("name", "-created_at")[:50])

    @cached_property
    def slots(self) -> list[str]:
        """Names that exist already; a new one is just written."""
        served = Deployment.objects.order_by("name").values_list("name", flat=True)[:100]
        tuned = FineTuningJob.objects.order_by().values_list("deployment_name", flat=True)
        return sorted({*served, *tuned.distinct()[:100]})

    # --- What was chosen -------------------------------------------------------------------------

    @property
    def version(self) -> DatasetVersion | None:
        return self._chosen("version")  # type: ignore[return-value]

    @property
    def base(self) -> BaseModel | None:
        return self._chosen("base")  # type: ignore[return-value]

    @property
    def is_ready(self) -> bool:
        """All three are chosen and right, so there is something to explain and to start."""
        return self.choice.is_bound and self.choice.is_valid()

    @cached_property
    def sizes(self) -> foresight.Sizes | None:
        return foresight.sizes_of(self.version) if self.version else None

    @cached_property
    def choices(self) -> list[foresight.Choice]:
        if self.sizes is None or self.base is None:
            return []
        return foresight.foresee(self.sizes, self.base)

    @property
    def plan(self) -> list[Planned]:
        """What this dataset and this base decide."""
        return [_planned(choice) for choice in self.choices if choice.figures]

    @property
    def constants(self) -> list[Planned]:
        """What suits most jobs, or is only known once the machine is."""
        return [_planned(choice) for choice in self.choices if not choice.figures]

    @cached_property
    def estimate(self) -> TrainingEstimate | None:
        """How much it reads, how long it takes, and what of the month's quota is left."""
        if self.version is None or self.base is None:
            return None
        return estimate_training(
            dataset_version=self.version,
            base_model=self.base,
            hyperparameters={"epochs": "auto", "max_length": "auto"},
        )

    @property
    def left(self) -> int:
        """Of the month's training tokens, once the jobs that wait have had theirs."""
        known = self.estimate
        return max(0, known.limit - known.used - known.pending) if known else 0

    @property
    def warnings(self) -> list[str]:
        """What is worth knowing before an hour is spent."""
        found = []
        if self.sizes is not None and self.sizes.rows < 50:
            found.append(
                _("Fewer than 50 training examples: the result may be luck. Add more if you can.")
            )
        if self.version is not None and not self.version.counts.get("test"):
            found.append(
                _("No test examples: the result cannot be compared, so the gate stays closed.")
            )
        if self.estimate is not None and not self.estimate.allowed:
            found.append(
                _("The month's training tokens do not suffice for it. It would be refused now.")
            )
        if self.base is not None and self.base.engine_url is None:
            found.append(
                _("No engine serves this base model: the result can be exported, not promoted.")
            )
        return found

    def _chosen(self, name: str) -> DatasetVersion | BaseModel | None:  # type: ignore[misc]
        if not self.choice.is_bound:
            return None
        self.choice.is_valid()
        return self.choice.cleaned_data.get(name)


def _planned(choice: foresight.Choice) -> Planned:
    value = _("chosen at the start")
    if choice.value is not None:
        value = words.parameter_value(choice.value)
        if choice.name == "warmup":
            # A share for the trainer; people think in steps.
            value = _("%(steps)s steps") % {"steps": choice.figures["first"]}
        if choice.guessed:
            value = _("about %(value)s") % {"value": value}
    figures = {name: written(figure) for name, figure in choice.figures.items()}
    why = words.foreseen(choice.reason, figures)
    return Planned(words.parameter_name(choice.name), value, why)
