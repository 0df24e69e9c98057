"""One example as its panel shows it: what it says, where it came from, what people made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from accounts.permissions import can_annotate
from apps.chatbot.models import Inbox
from apps.portal.comparison import Piece, pieces
from apps.portal.examples_page import personal_choices
from apps.portal.version_rows import speaker_of
from gpt_core.models import Checkpoint
from labeling.models import Annotation, Example, Split, VersionRow
from labeling.personal_data import find
from tenancy.models import Membership

MOST_HISTORY = 50
MOST_LEARNERS = 20


@dataclass(frozen=True)
class Marked:
    """A stretch of a text; `kind` names the personal data that it is, "" for the rest."""

    text: str
    kind: str


@dataclass(frozen=True)
class Said:
    speaker: str
    text: list[Marked]
    learned: bool


@dataclass(frozen=True)
class Difference:
    """One text before and after, each with what is not in the other marked."""

    speaker: str
    before: list[Piece]
    after: list[Piece]


@dataclass(frozen=True)
class Event:
    at: datetime
    who: str
    did: str
    differences: list[Difference]
    labels_before: list[str] | None
    labels_after: list[str] | None


class ExampleDetail:
    def __init__(self, example: Example, membership: Membership) -> None:
        self.example = example
        self.can_annotate = can_annotate(membership)

    @cached_property
    def can_be_test(self) -> bool:
        """A corrected answer of an inbox's conversations, for whoever may keep it."""
        return (
            self.can_annotate
            and self.example.state == Example.State.ACCEPTED
            and self.example.source_kind == Example.Source.MESSAGE
            and Inbox.objects.filter(dataset=self.example.dataset_id).exists()
        )

    @cached_property
    def said(self) -> list[Said]:
        return [
            Said(speaker, marked(text), learned)
            for speaker, text, learned in texts_of(self.example.content)
        ]

    @cached_property
    def personal(self) -> list[str]:
        names = dict(personal_choices())
        return [names.get(kind, kind) for kind in self.example.personal_data.split()]

    @cached_property
    def passages(self) -> list[Mapping[str, Any]]:
        return [one for one in self.example.passages or [] if isinstance(one, Mapping)]

    @cached_property
    def history(self) -> list[Event]:
        """What people made of it, the newest first."""
        noted = (
            Annotation.objects.filter(example=self.example)
            .select_related("annotator")
            .order_by("-created_at", "-id")[:MOST_HISTORY]
        )
        return [_event(one) for one in noted]

    @cached_property
    def learned_by(self) -> list[Checkpoint]:
        """The checkpoints that learned from it: its copy stood in the training split of their version."""
        rows = VersionRow.objects.filter(example=self.example, split=Split.TRAIN)
        found = Checkpoint.objects.results().filter(dataset_version__in=rows.values("version"))
        return list(found.prefetch_related("serving").order_by("-created_at")[:MOST_LEARNERS])

    @property
    def run(self) -> Any:
        return self.example.import_run

    @property
    def can_see_line(self) -> bool:
        return bool(self.run and self.run.file_id and self.example.line)


def texts_of(content: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """(who says it, what, whether the model learns to say it)."""
    if "messages" in content:
        return [
            (
                speaker_of(str(message.get("role", ""))),
                str(message.get("content", "")),
                message.get("role") == "assistant" and message.get("weight", 1) != 0,
            )
            for message in content["messages"]
            if isinstance(message, Mapping)
        ]
    if "prompt" in content:
        return [
            (_("Prompt"), str(content["prompt"]), False),
            (_("Completion"), str(content.get("completion", "")), True),
        ]
    return [(_("Text"), str(content.get("text", "")), False)]


def marked(text: str) -> list[Marked]:
    names = dict(personal_choices())
    stretches, at = [], 0
    for found in find(text):
        stretches.append(Marked(text[at : found.start], ""))
        stretches.append(Marked(text[found.start : found.end], names.get(found.kind, found.kind)))
        at = found.end
    return [one for one in (*stretches, Marked(text[at:], "")) if one.text]


def _event(noted: Annotation) -> Event:
    before: Mapping[str, Any] = noted.before or {}
    was, now = before.get("content"), noted.content
    worn = before.get("labels")
    return Event(
        at=noted.created_at,
        who=str(noted.annotator) if noted.annotator else _("an API key or the system"),
        did=_deed(noted),
        differences=_differences(was, now) if was and now else [],
        labels_before=worn if noted.labels is not None and noted.labels != worn else None,
        labels_after=noted.labels if noted.labels != worn else None,
    )


def _deed(noted: Annotation) -> str:
    many = noted.bulk_change_id is not None
    said = {
        Annotation.Verdict.ACCEPT: _("accepted it with others") if many else _("accepted it"),
        Annotation.Verdict.REJECT: _("rejected it with others") if many else _("rejected it"),
        Annotation.Verdict.SKIP: _("skipped it"),
        Annotation.Verdict.EDIT: _("changed it with others") if many else _("changed it"),
        Annotation.Verdict.UNDO: _("undid a change"),
    }
    return said.get(Annotation.Verdict(noted.verdict), noted.verdict)


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Text by text, as they stand in order; a text that is the same in both is left out."""
    before, after = _spoken(was), _spoken(now)
    longest = max(len(before), len(after))
    found = []
    for old, new in zip(_padded(before, longest), _padded(after, longest), strict=True):
        if old != new:
            found.append(
                Difference(new[0] or old[0], pieces(old[1], new[1]), pieces(new[1], old[1]))
            )
    return found


def _spoken(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(speaker, text) for speaker, text, _learned in texts_of(content)]


def _padded(texts: Sequence[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    return [*texts, *[("", "")] * (length - len(texts))]
