"""The questions that are asked of conversations, and the moves that answers make."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from tenancy.querysets import TenantQuerySet, seconds_from_now

if TYPE_CHECKING:
    from apps.chatbot.models import (  # noqa: F401
        Answer,
        Attendance,
        Conversation,
        Gap,
        Handoff,
        Passage,
    )

LEASE_SECONDS = 30
# Silent for as long as this, an agent is away.
AWAY_AFTER = timedelta(minutes=5)
# Whoever has said nothing for so long has finished.
QUIET_SECONDS = 3600
# After so long without a word a visitor whom the bot has answered has what they wanted.
SILENCE_SECONDS = 24 * 3600


# More words than these narrow nothing down, and each is a look at every message.
MOST_WORDS = 6


def holds(field: str, word: str) -> Q:
    """However it is written: SQLite knows capitals of ASCII alone, and Chinese keyboards write
    letters and figures in full width too."""
    plain = unicodedata.normalize("NFKC", word)
    written = {word, plain}
    if not plain.isascii():
        written |= {plain.lower(), plain.upper(), plain.capitalize()}
    found = Q()
    for one in written:
        found |= Q(**{f"{field}__icontains": one})
    return found


class ConversationQuerySet(TenantQuerySet["Conversation"]):
    def waiting_for_people(self) -> Self:
        """Given to people, and not spoken to since the visitor last wrote; what is due first comes
        first, then who waits longest."""
        waiting = self.filter(state="open", waiting_since__isnull=False)
        return waiting.order_by(F("due_at").asc(nulls_last=True), "waiting_since", "pk")

    def newly_overdue(self) -> Self:
        """Waiting beyond the time by which they were to be answered, and not yet found so."""
        late = self.filter(due_at__lte=timezone.now(), overdue_at__isnull=True)
        return late.filter(state="open", waiting_since__isnull=False)

    def to_give_out(self) -> Self:
        """Waiting with nobody, in an inbox that gives out by itself."""
        return self.waiting_for_people().filter(assignee=None, inbox__auto_assign=True)

    def unsolved(self) -> Self:
        """Not resolved and not asleep, whoever has it."""
        return self.filter(state__in=("open", "pending"))

    def about(self, text: str) -> Self:
        """Each word of it stands in something that was said, or in the visitor's name or address."""
        from apps.chatbot.models import Message

        found = self
        for word in text.split()[:MOST_WORDS]:
            said = Message.objects.filter(holds("text", word)).order_by().values("conversation")
            named = holds("contact__name", word) | holds("contact__email", word)
            found = found.filter(named | Q(pk__in=said))
        return found

    def to_learn_from(self) -> Self:
        """Solved or quiet for a while, with something in it that was not looked at yet."""
        over = Q(state="resolved") | Q(updated_at__lt=seconds_from_now(-QUIET_SECONDS))
        return self.filter(over, last_seq__gt=F("learned_seq"))

    def gone_quiet(self) -> Self:
        """The bot has answered, and the visitor has said nothing for a day."""
        answered = apps.get_model("chatbot", "Answer").objects.filter(
            conversation=OuterRef("pk"), state="done"
        )
        still = seconds_from_now(-SILENCE_SECONDS)
        return self.filter(Exists(answered), owner="bot", state="pending", updated_at__lt=still)

    def spoken_in(self) -> Self:
        """Those in which something was said."""
        return self.filter(last_seq__gt=0)

    def with_fate(self) -> Self:
        """What became of each: `handled`, the bot answered something; `handed`, people had it at some
        time; `solved_at` and `reopened_at`, the first time that either happened, if ever."""
        answer, handoff, event = (
            apps.get_model("chatbot", name).objects.filter(conversation=OuterRef("pk")).order_by()
            for name in ("Answer", "Handoff", "Event")
        )
        changes = event.filter(type="status").order_by("seq").values("created_at")
        said = answer.filter(state="done", message__isnull=False)
        return self.annotate(
            handled=Exists(said.exclude(outcome__in=("", "handoff"))),
            handed=Exists(handoff),
            solved_at=Subquery(changes.filter(data__state="resolved")[:1]),
            reopened_at=Subquery(changes.filter(data__reopened=True)[:1]),
        )

    def due(self) -> Self:
        """Snoozed until a time that has come."""
        return self.filter(state="snoozed", snoozed_until__lte=Now())


class AttendanceQuerySet(TenantQuerySet["Attendance"]):
    def here(self) -> Self:
        """Available, and seen of late."""
        return self.filter(available=True, seen_at__gt=timezone.now() - AWAY_AFTER)


class AnswerQuerySet(TenantQuerySet["Answer"]):
    """`claim`, `held` and `end` are the only ways in which an answer changes its state."""

    def claimable(self) -> Self:
        """Waiting, and not put off until later; or left behind by a writer whose lease has ended by the
        database's clock."""
        due = Q(lease_until__lt=Now())
        return self.filter(
            Q(state="waiting") & (due | Q(lease_until__isnull=True)) | Q(state="writing") & due
        )

    def open(self) -> Self:
        return self.filter(state__in=("waiting", "writing"))

    def held(self, pk: uuid.UUID, attempt: int) -> Self:
        """The answer while this attempt still has it; nothing afterwards."""
        return self.filter(pk=pk, state="writing", attempt=attempt)

    def claim(self) -> int:
        """Take what waits in this query. It is written anew from the start: the text so far goes."""
        return self.claimable().update(
            state="writing",
            attempt=F("attempt") + 1,
            lease_until=seconds_from_now(LEASE_SECONDS),
            text="",
        )


class PassageQuerySet(TenantQuerySet["Passage"]):
    def live(self) -> Self:
        return self.filter(is_live=True)

    def waiting_for(self, embedder: str) -> Self:
        """Live, and not yet read by this model."""
        # Not `exclude`: two ranges are looked up in the index, "not equal" reads all of it.
        return self.live().filter(Q(embedded_by__lt=embedder) | Q(embedded_by__gt=embedder))


class HandoffQuerySet(TenantQuerySet["Handoff"]):
    def answered_by_people(self) -> Self:
        """Those after which an agent said something, with how long it `took`. Whoever took a
        conversation by answering it let nobody wait."""
        said = apps.get_model("chatbot", "Message").objects.filter(
            conversation=OuterRef("conversation"),
            role="agent",
            private=False,
            created_at__gte=OuterRef("created_at"),
        )
        first = Subquery(said.order_by("seq").values("created_at")[:1])
        return (
            self.exclude(reason="taken_over")
            .annotate(answered_at=first)
            .filter(answered_at__isnull=False)
            .annotate(took=F("answered_at") - F("created_at"))
        )


class GapQuerySet(TenantQuerySet["Gap"]):
    def open(self) -> Self:
        """Still without an article; those whose questions were all erased are nothing any more."""
        return self.filter(state="open").annotate(asked=Count("questions")).filter(asked__gt=0)
