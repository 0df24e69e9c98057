"""A checkpoint on trial in an inbox: its two sides in figures, and the form that begins one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.chatbot.models import CandidateTrial, Inbox
from apps.chatbot.services.trials import MOST_SHARE
from apps.chatbot.trials import arms_of
from apps.portal.numbers_page import written
from gpt_core.models import Checkpoint

MOST_TRIALS = 5


class TrialForm(forms.Form):
    checkpoint: Any = forms.ModelChoiceField(
        label=gettext_lazy("Checkpoint"), queryset=None, empty_label=None
    )
    share = forms.IntegerField(
        label=gettext_lazy("Conversations of 100 that it answers"),
        min_value=1,
        max_value=MOST_SHARE,
        initial=10,
    )

    def __init__(self, inbox: Inbox, data: Any = None) -> None:
        super().__init__(data)
        found = Checkpoint.objects.passed()
        if inbox.deployment is not None:
            found = found.exclude(pk=inbox.deployment.checkpoint_id)
        self.fields["checkpoint"].queryset = found.order_by("-created_at")  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Row:
    """One figure of both sides; each as (value, what it rests on)."""

    name: str
    serving: tuple[str, str]
    candidate: tuple[str, str]


@dataclass(frozen=True)
class Told:
    trial: CandidateTrial
    rows: list[Row]


def told(trial: CandidateTrial) -> Told:
    serving, candidate = arms_of(trial)
    names = {
        "resolved": _("Resolved without people"),
        "handed": _("Handed to people"),
        "helpful": _("Thumbs up"),
        "failed": _("Failed: people or a thumb down"),
    }
    rows = [
        Row(name, written(getattr(serving, kind)), written(getattr(candidate, kind)))
        for kind, name in names.items()
    ]
    return Told(trial, rows)


def trials_of(inbox: Inbox) -> list[Told]:
    """The newest first; the first may go on."""
    rows = CandidateTrial.objects.filter(inbox=inbox).select_related("checkpoint", "started_by")
    return [told(trial) for trial in rows.order_by("-created_at")[:MOST_TRIALS]]


def open_trials(inbox: Inbox | None) -> list[Told]:
    """What is on trial now, in one inbox or anywhere."""
    rows = CandidateTrial.objects.filter(ended_at=None).select_related("checkpoint")
    if inbox is not None:
        rows = rows.filter(inbox=inbox)
    return [told(trial) for trial in rows.order_by("-created_at")[:MOST_TRIALS]]
