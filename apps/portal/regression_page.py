"""Test questions: what is asked when one is added, and how the latest runs went."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.chatbot.models import (
    Answer,
    Article,
    Inbox,
    RegressionCase,
    RegressionResult,
    RegressionRun,
)
from apps.chatbot.regression import suite_of
from apps.chatbot.services.regression import MOST_QUESTION
from apps.portal.knowledge_forms import LinesField
from gpt_core.models import Checkpoint

MOST_RUNS = 20

FAULTS = {
    "answered": gettext_lazy("answered what it had to refuse"),
    "refused": gettext_lazy("did not answer"),
    "other_article": gettext_lazy("answered from another article"),
    "ungrounded": gettext_lazy("a figure, link or address that stands in no passage"),
    "banned_phrase": gettext_lazy("a banned phrase"),
    "repetition": gettext_lazy("repeats itself"),
    "too_long": gettext_lazy("too long"),
    "language": gettext_lazy("another language"),
    "empty": gettext_lazy("empty"),
}


class CaseForm(forms.Form):
    inbox: Any = forms.ModelChoiceField(
        label=gettext_lazy("Inbox"), queryset=None, empty_label=None
    )
    question = forms.CharField(label=gettext_lazy("Question"), max_length=MOST_QUESTION)
    must_contain = LinesField(
        label=gettext_lazy("What the answer must say"),
        max_length=5_000,
        required=False,
        help_text=gettext_lazy(
            "One a line: a number, a link, a word. Spelling of numbers does not matter."
        ),
    )
    article: Any = forms.ModelChoiceField(
        label=gettext_lazy("From the article"),
        queryset=None,
        required=False,
        empty_label=gettext_lazy("any"),
    )
    must_refuse = forms.BooleanField(
        label=gettext_lazy("A person must be fetched"),
        required=False,
        help_text=gettext_lazy("For what the bot cannot or may not answer."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["inbox"].queryset = Inbox.objects.order_by("name", "pk")  # type: ignore[attr-defined]
        self.fields["article"].queryset = Article.objects.filter(  # type: ignore[attr-defined]
            state=Article.State.PUBLISHED
        ).order_by("title", "pk")


class RegressionPage:
    """Cases by inbox, and the newest run of each checkpoint."""

    def __init__(self) -> None:
        self.cases = list(
            RegressionCase.objects.select_related("inbox", "article").order_by(
                "inbox__name", "created_at", "pk"
            )
        )
        runs = RegressionRun.objects.select_related("checkpoint", "inbox").order_by("-created_at")
        self.runs = list(runs[:MOST_RUNS])
        suites = {inbox: suite_of(inbox) for inbox in {run.inbox for run in self.runs}}
        for run in self.runs:
            run.is_stale = run.suite != suites[run.inbox]  # type: ignore[attr-defined]

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """What may be asked: newest first."""
        return list(Checkpoint.objects.results().order_by("-created_at")[:30])

    @property
    def blocks(self) -> bool:
        """Whether a promotion waits for these questions."""
        return any(case.inbox.deployment_id for case in self.cases)


def fault_sentence(code: str) -> str:
    kind, _colon, fact = code.partition(":")
    if kind == "missing":
        return _("does not say “%(fact)s”") % {"fact": fact}
    return str(FAULTS.get(code, code))


def results_of(run: RegressionRun) -> list[RegressionResult]:
    """What failed stands first; each sample with its faults in words."""
    rows = RegressionResult.objects.filter(run=run).select_related("case__article")
    found = list(rows.order_by("passed", "case__created_at", "pk"))
    outcomes = dict(Answer.Outcome.choices)
    for row in found:
        row.said = [  # type: ignore[attr-defined]
            {
                "text": one["text"],
                "outcome": outcomes.get(one["outcome"], one["outcome"]),
                "faults": [fault_sentence(code) for code in one["faults"]],
            }
            for one in row.samples
        ]
    return found
