"""From nothing to a model of one's own in four steps, each with how it stands."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import can_annotate, can_promote, can_train
from gpt_core.models import Deployment, FineTuningJob, State
from labeling.models import Example
from tenancy.models import Membership


@dataclass(frozen=True)
class Step:
    """`place` is done, now or later; a step that is not the reader's has no button."""

    title: str
    note: str
    place: str
    url: str
    button: str


def steps_for(membership: Membership) -> list[Step]:
    """Empty as soon as something was promoted: whoever has a model needs no first steps."""
    if Deployment.objects.filter(checkpoint__isnull=False).exists():
        return []
    accepted = Example.State.ACCEPTED
    done = [
        Example.objects.exists(),
        Example.objects.filter(state=accepted).exists(),
        FineTuningJob.objects.filter(state=State.SUCCEEDED).exists(),
        False,
    ]
    return [
        Step(title, note, _place(done, at), url if allowed else "", button)
        for at, (title, note, url, button, allowed) in enumerate(_written(membership))
    ]


def _place(done: list[bool], at: int) -> str:
    if done[at]:
        return "done"
    return "now" if at == done.index(False) else "later"


def _written(membership: Membership) -> list[tuple[str, str, str, str, bool]]:
    def url(name: str, *args: object) -> str:
        return reverse(f"portal:{name}", args=[membership.tenant.slug, *args])

    return [
        (
            _("Import what your company has answered"),
            _("Questions and answers as JSONL, CSV, TSV or XLSX; personal data are pointed out."),
            url("import"),
            _("Import examples"),
            can_annotate(membership),
        ),
        (
            _("Look through it and label"),
            _("Accept what a model should learn, mend or reject the rest: one key for each item."),
            url("labelling"),
            _("Label"),
            can_annotate(membership),
        ),
        (
            _("Tune the base model"),
            _("A frozen version of the examples, settings chosen for you, a curve to watch."),
            url("job-new"),
            _("Start a job"),
            can_train(membership),
        ),
        (
            _("Promote what is better"),
            _(
                "Before against after on questions that were held out; the gate says what it thinks."
            ),
            url("models"),
            _("See the models"),
            can_promote(membership),
        ),
    ]
