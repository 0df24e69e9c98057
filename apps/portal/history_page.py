"""One file of past conversations on its way in, and what was made of it, for its page."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.permissions import can_manage
from apps.chatbot.history import tables
from apps.chatbot.history.looking import Look, look_at_history
from apps.chatbot.models import HistoryRun, HistorySource, MinedPair, PastConversation
from apps.portal.file_page import FilePage
from common.errors import ApplicationError
from labeling.files import open_file
from labeling.models import Example, LabelingTask

MOST_ASKED = 10


def reason_words() -> dict[str, str]:
    """Why a visitor's question taught nothing."""
    return {
        "no_answer": _("nobody answered"),
        "bot_answered": _("only a robot answered"),
        "private_case": _("about one customer's case"),
        "personal_data": _("the answer holds personal data"),
        "incomplete": _("a promise, not an answer"),
        "asks_back": _("the agent asked back"),
        "chatter": _("courtesies"),
        "follow_up": _("makes sense only behind what was said before"),
        "link_only": _("nothing but a link"),
        "file_only": _("nothing but a file"),
        "spam": _("spam"),
        "too_long": _("too long"),
        "private_notes": _("private notes, which nobody learns from"),
    }


def kind_words() -> dict[str, str]:
    return {
        "name": _("names"),
        "phone": _("telephone numbers"),
        "email": _("e-mail addresses"),
        "order": _("order numbers"),
        "id_card": _("identity cards"),
        "bank_card": _("bank cards"),
    }


def column_roles() -> list[tuple[str, str]]:
    """What a column may mean, the commonest first."""
    return [
        (tables.CONVERSATION, _("conversation")),
        (tables.TIME, _("time")),
        (tables.ROLE, _("which side speaks")),
        (tables.SENDER, _("name of who speaks")),
        (tables.TEXT, _("what is said")),
        (tables.CUSTOMER, _("customer")),
        (tables.AGENT_NAME, pgettext("a person at the desk", "agent")),
        (tables.KIND, _("kind of message")),
        (tables.PRIVATE, _("private note")),
        (tables.CHANNEL, _("channel")),
        (tables.STATUS, _("state")),
        (tables.TAGS, _("tags")),
        (tables.RATING, _("satisfaction")),
    ]


class HistoryPage(FilePage[HistoryRun]):
    lines_page = "portal:history-lines"

    @cached_property
    def look(self) -> Look | None:
        """The head of the file; None where its bytes are gone."""
        if self.run.file is None:
            return None
        try:
            with open_file(self.run.file) as stream:
                return look_at_history(stream, self.run.filename, self.run.source, self.run.mapping)
        except ApplicationError:
            return None

    @property
    def sources(self) -> list[tuple[str, Any]]:
        return list(HistorySource.choices)

    @property
    def roles(self) -> list[tuple[str, str]]:
        return column_roles()

    @property
    def usable(self) -> int:
        """How many conversations would come in, or came."""
        counts = self.run.counts
        return sum(counts.get(name, 0) for name in ("created", "updated", "unchanged"))

    @property
    def outcome(self) -> list[tuple[str, int]]:
        """The counts that are not nothing, in words."""
        words = {
            "created": _("new"),
            "updated": _("went on since"),
            "unchanged": _("here already"),
            "refused": _("rows with faults, left out"),
        }
        counts = self.run.counts
        return [(words[name], counts[name]) for name in words if counts.get(name)]

    @property
    def mined(self) -> dict[str, int]:
        found = self.run.mined.get("counts", {})
        return {name: found.get(name, 0) for name in ("pairs", "examples", "near")}

    @property
    def skipped(self) -> list[tuple[str, int]]:
        """The commonest reason first."""
        words = reason_words()
        found = self.run.mined.get("skipped", {})
        return sorted(
            ((words.get(reason, reason), count) for reason, count in found.items() if count),
            key=lambda one: -one[1],
        )

    @property
    def redacted(self) -> list[tuple[str, int]]:
        words = kind_words()
        return [
            (word, self.run.redacted[kind])
            for kind, word in words.items()
            if self.run.redacted.get(kind)
        ]

    @cached_property
    def conversations(self) -> list[PastConversation]:
        found = PastConversation.objects.filter(run=self.run).order_by("line")
        return list(found.annotate(said=Count("parts"))[:20])

    @cached_property
    def review(self) -> LabelingTask | None:
        """Where people look at what was mined."""
        tasks = LabelingTask.objects.filter(
            dataset=self.run.dataset,
            mode=LabelingTask.Mode.REVIEW,
            state=LabelingTask.State.OPEN,
        )
        return tasks.order_by("created_at").first()

    @property
    def may_see_lines(self) -> bool:
        """The lines of the file are not redacted."""
        return can_manage(self.membership) or self.membership.user_id == self.run.actor_id

    @property
    def lines_open(self) -> bool:
        return super().lines_open and self.may_see_lines and self.can_annotate


def most_asked() -> list[tuple[Example, int]]:
    """The questions asked most often in all of the history, with how often."""
    found = (
        MinedPair.objects.filter(example__isnull=False)
        .order_by()
        .values("example")
        .annotate(times=Count("pk"))
        .filter(times__gt=1)
        .order_by("-times", "example")[:MOST_ASKED]
    )
    times = {row["example"]: row["times"] for row in found}
    examples = Example.objects.in_bulk(list(times))
    return [(examples[pk], count) for pk, count in times.items() if pk in examples]
