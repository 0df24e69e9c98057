"""Everything the page of one checkpoint shows: what it is worth, where it came from, where it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions import can_generate, can_override, can_promote, can_train
from apps.portal import words
from apps.portal.contrasts import Contrast, contrasts_of
from apps.portal.outcome import Outcome, objections_of
from gpt_core.models import (
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    Export,
    FineTuningJob,
    State,
)
from gpt_core.services import with_erased_rows
from gpt_core.services.exports import PRECISIONS, kinds_of
from tenancy.models import Membership

# How the machine was used, which says nothing of the model.
_MACHINE = frozenset({"device", "threads", "pass_tokens"})
MOST_CHANGES = 20
MOST_EVALUATIONS = 10


@dataclass(frozen=True)
class Way:
    """One kind of file that the checkpoint can become, with what was made of it so far."""

    kind: str
    name: str
    what: str
    precisions: list[tuple[str, str]]
    exports: list[Export]


class CheckpointPage(Outcome):
    """One checkpoint as its page sees it. Reads through the tenant's scope that it is made in."""

    def __init__(
        self, checkpoint: Checkpoint, membership: Membership, *, against: str = ""
    ) -> None:
        self.checkpoint = checkpoint
        self.membership = membership
        self._against = against

    # --- What it is worth ------------------------------------------------------------------------

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The comparisons, the newest first, without their long reports."""
        found = Evaluation.objects.filter(checkpoint=self.checkpoint).defer("report")
        return list(
            found.select_related("champion").order_by("-queued_at", "-created_at")[
                :MOST_EVALUATIONS
            ]
        )

    @cached_property
    def evaluation(self) -> Evaluation | None:  # type: ignore[override]
        """The last one that came to an end, or whatever there is."""
        done = (one for one in self.evaluations if one.state == State.SUCCEEDED)
        return next(done, self.evaluations[0] if self.evaluations else None)

    @property
    def comparing(self) -> Evaluation | None:
        """A comparison that is under way."""
        return next((one for one in self.evaluations if not one.is_terminal), None)

    @property
    def sides(self) -> list[tuple[str, str]]:
        """What the answers can be held against."""
        found = [("base", _("the base model")), ("reference", _("the expected answer"))]
        if self.has_champion:
            found.insert(1, ("champion", _("what served then")))
        return found

    @property
    def against(self) -> str:
        known = [side for side, _name in self.sides]
        return self._against if self._against in known else "base"

    @cached_property
    def contrasts(self) -> list[Contrast]:
        return contrasts_of(self.report, before=self.against) if self.report else []

    # --- Where it stands -------------------------------------------------------------------------

    @cached_property
    def deployments(self) -> list[Deployment]:
        """Where it answers now, and where it would after a roll-back."""
        found = Deployment.objects.filter(
            Q(checkpoint=self.checkpoint) | Q(previous=self.checkpoint)
        )
        return list(found.select_related("checkpoint", "previous", "base_model").order_by("name"))

    @property
    def serving(self) -> list[Deployment]:
        return [one for one in self.deployments if one.checkpoint_id == self.checkpoint.pk]

    @cached_property
    def stage(self) -> str:
        """deleted, serving, comparing, uncompared, refused or open."""
        if self.checkpoint.deleted_at is not None:
            return "deleted"
        if self.serving:
            return "serving"
        if self.verdict is None:
            return "comparing" if self.comparing else "uncompared"
        return "open" if self.verdict.passed else "refused"

    @property
    def is_live(self) -> bool:
        """Something may change by itself, so the page keeps looking."""
        return self.comparing is not None or any(
            not export.is_terminal for way in self.ways for export in way.exports
        )

    @cached_property
    def fingerprint(self) -> str:
        seen: list[Any] = [self.stage]
        works: list[Any] = [*self.evaluations, *(one for way in self.ways for one in way.exports)]
        for work in works:
            seen += [work.pk, work.state, work.step, work.cancel_requested]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    @cached_property
    def erased_rows(self) -> int:
        """Of the rows it learned from, those whose data was erased since."""
        marked = with_erased_rows(Checkpoint.objects.filter(pk=self.checkpoint.pk))
        return int(marked.values_list("erased_rows", flat=True).get())

    # --- Where it came from, where it went --------------------------------------------------------

    @property
    def job(self) -> FineTuningJob | None:
        return self.checkpoint.job or self.checkpoint.step_of

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.checkpoint.manifest if isinstance(self.checkpoint.manifest, dict) else {}

    @property
    def learned_rows(self) -> int | None:
        version = self.checkpoint.dataset_version
        count = version.counts.get("train") if version else None
        return count if isinstance(count, int) else None

    @property
    def code_version(self) -> str:
        return str(self.manifest.get("code_version") or "")

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """What it was trained with, as the manifest keeps it."""
        kept = self.manifest.get("parameters")
        if not isinstance(kept, dict):
            return []
        return [
            (words.parameter_name(name), words.parameter_value(value))
            for name, value in kept.items()
            if not isinstance(value, dict) and name not in _MACHINE
        ]

    @cached_property
    def changes(self) -> list[DeploymentChange]:
        """When it was put into service, and when it was taken out."""
        found = DeploymentChange.objects.filter(
            Q(after=self.checkpoint) | Q(before=self.checkpoint)
        )
        return list(
            found.select_related("deployment", "actor", "before", "after").order_by("-at")[
                :MOST_CHANGES
            ]
        )

    # --- What it can become ----------------------------------------------------------------------

    @cached_property
    def ways(self) -> list[Way]:
        made: dict[str, list[Export]] = {}
        for export in Export.objects.filter(checkpoint=self.checkpoint).order_by("-queued_at")[:30]:
            if not _is_over(export):
                made.setdefault(export.kind, []).append(export)
        return [
            Way(
                kind,
                str(Export.Kind(kind).label),
                words.export_kind(kind),
                [(str(one.value), str(one.label)) for one in PRECISIONS[Export.Kind(kind)]],
                _newest(made.get(kind, [])),
            )
            for kind in kinds_of(self.checkpoint)
        ]

    # --- What the reader may do ------------------------------------------------------------------

    @property
    def can_export(self) -> bool:
        return can_train(self.membership) and self.stage != "deleted"

    @property
    def can_compare(self) -> bool:
        return (
            can_train(self.membership)
            and self.stage in ("uncompared", "refused", "open")
            and self.comparing is None
            and self.checkpoint.dataset_version_id is not None
        )

    @property
    def can_promote(self) -> bool:
        return can_promote(self.membership) and self.stage == "open"

    @cached_property
    def objections(self) -> list[str]:
        return objections_of(self.checkpoint, self.stage)

    @property
    def can_override(self) -> bool:
        closed = self.stage in ("refused", "uncompared") or bool(self.objections)
        return can_override(self.membership) and closed

    @property
    def can_roll_back(self) -> bool:
        return can_promote(self.membership) and bool(self.serving)

    @property
    def can_try(self) -> bool:
        return can_generate(self.membership) and self.stage != "deleted"


def _is_over(export: Export) -> bool:
    """A file whose time is over is no file: the sweep has taken it or is about to."""
    return export.expires_at is not None and export.expires_at < timezone.now()


def _newest(exports: list[Export]) -> list[Export]:
    """One of each precision, the newest: an older failure says nothing any more."""
    seen: dict[str, Export] = {}
    for export in exports:
        seen.setdefault(export.precision, export)
    return list(seen.values())
