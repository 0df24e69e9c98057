"""One conversation as an agent reads it: what was said, what happened, and what is known of the visitor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import can_answer
from apps.chatbot import services
from apps.chatbot.models import (
    Answer,
    Attachment,
    Attendance,
    Citation,
    Conversation,
    Event,
    Feedback,
    Handoff,
    Message,
)
from tenancy.models import Membership

MOST_LINES = 200


@dataclass(frozen=True)
class Line:
    """`kind` is visitor, bot, agent, note, or happened: then `text` says what."""

    seq: int
    at: datetime
    kind: str
    text: str
    who: str = ""
    is_generated: bool = False
    detail: str = ""
    citations: list[Citation] = field(default_factory=list)
    feedback: Feedback | None = None
    file: Attachment | None = None


class ConversationPage:
    """`after` is the number of the last line that the reader has; 0 is from the start, of which the
    newest MOST_LINES are shown unless `whole`."""

    def __init__(
        self,
        conversation: Conversation,
        membership: Membership,
        *,
        after: int = 0,
        whole: bool = False,
    ) -> None:
        self.conversation = conversation
        self.contact = conversation.contact
        self.user = membership.user
        self.may_answer = can_answer(membership)
        self.seq = conversation.last_seq
        self.earlier = 0
        if not after and not whole and self.seq > MOST_LINES:
            self.earlier = after = self.seq - MOST_LINES
        self.lines = lines_of(conversation, after)
        self.agents = services.agents() if self.may_answer else []
        self.here = set(Attendance.objects.here().values_list("user_id", flat=True))

    @property
    def is_mine(self) -> bool:
        return self.conversation.assignee_id == self.user.pk

    @property
    def is_with_bot(self) -> bool:
        return self.conversation.owner == Conversation.Owner.BOT

    @property
    def labels(self) -> list[tuple[str, Any]]:
        """What the visitor said before the chat, and what the team noted."""
        return list(self.contact.attributes.items())

    @property
    def may_take(self) -> bool:
        return self.conversation.state != Conversation.State.RESOLVED and not self.is_mine

    @property
    def may_return(self) -> bool:
        return (
            not self.is_with_bot
            and self.conversation.state != Conversation.State.RESOLVED
            and self.conversation.inbox.bot_enabled
        )

    @property
    def others(self) -> Any:
        """The visitor's other conversations, newest first."""
        found = Conversation.objects.filter(contact=self.contact).exclude(pk=self.conversation.pk)
        return found.order_by("-updated_at")[:5]


def lines_of(conversation: Conversation, after: int = 0) -> list[Line]:
    """What stands behind number `after`, oldest first."""
    events = list(
        Event.objects.filter(conversation=conversation, seq__gt=after)
        .exclude(type__in=(Event.Type.ANSWER, Event.Type.ENDED))
        .select_related("actor", "message__author", "message__feedback", "message__attachment")
        .order_by("seq")
    )
    answers = _answers([one.message_id for one in events if one.message_id])
    people = User.objects.in_bulk(
        [one.data["assignee"] for one in events if one.data.get("assignee")]
    )
    handoffs = {str(one.pk): one for one in Handoff.objects.filter(conversation=conversation)}
    lines = (
        _said(one, one.message, answers.get(one.message.pk))
        if one.message
        else _happened(one, people, handoffs)
        for one in events
    )
    return [line for line in lines if line is not None]


def _answers(messages: list[UUID]) -> dict[UUID | None, Answer]:
    found = Answer.objects.filter(message__in=messages).prefetch_related(
        "citations__passage__version__article"
    )
    return {one.message_id: one for one in found}


def _said(event: Event, message: Message, answer: Answer | None) -> Line:
    kinds = {Message.Role.USER: "visitor", Message.Role.ASSISTANT: "bot"}
    kind = "note" if message.private else kinds.get(message.role, "agent")  # type: ignore[call-overload]
    return Line(
        event.seq,
        event.created_at,
        kind,
        message.text,
        who=str(message.author or ""),
        is_generated=answer is not None and answer.outcome == Answer.Outcome.GENERATED,
        citations=list(answer.citations.all()) if answer else [],
        feedback=getattr(message, "feedback", None),
        file=getattr(message, "attachment", None),
    )


def _happened(event: Event, people: dict[UUID, User], handoffs: dict[str, Handoff]) -> Line | None:
    data, who, detail = event.data, str(event.actor or ""), ""
    match event.type:
        case Event.Type.HANDOFF:
            handoff = handoffs.get(data.get("handoff", ""))
            detail = handoff.summary if handoff else ""
            text = _handed_over(data.get("reason", ""), who)
        case Event.Type.STATUS:
            text = _state_changed(data, who)
        case Event.Type.ASSIGNED:
            text = _assigned(people, data.get("assignee", ""), event.actor)
        case Event.Type.OVERDUE:
            text = _missed(data)
        case Event.Type.CSAT:
            text = _("The visitor gives the conversation %(score)s of 5") % {
                "score": data.get("score", "–")
            }
        case _:
            return None
    return Line(event.seq, event.created_at, "happened", text, detail=detail)


def _handed_over(reason: str, who: str) -> str:
    if reason == Handoff.Reason.TAKEN_OVER and who:
        return _("%(who)s took over from the bot") % {"who": who}
    known = dict(Handoff.Reason.choices)
    return _("Handed to people: %(reason)s") % {"reason": known.get(reason, reason)}


def _state_changed(data: dict[str, Any], who: str) -> str:
    state = data.get("state")
    if state == Conversation.State.RESOLVED:
        return _("%(who)s resolved it") % {"who": who} if who else _("Resolved")
    if state == Conversation.State.SNOOZED:
        return _("%(who)s snoozed it") % {"who": who} if who else _("Snoozed")
    if state == Conversation.State.PENDING and not data.get("reopened"):
        return _("%(who)s gave it back to the bot") % {"who": who} if who else _("With the bot")
    if data.get("reopened"):
        return _("The visitor wrote again: a new case begins")
    return _("%(who)s opened it again") % {"who": who} if who else _("Open again")


def _missed(data: dict[str, Any]) -> str:
    minutes = {"minutes": data.get("minutes", "–")}
    if data.get("target") == "first":
        return _("No first answer within %(minutes)s minutes of business hours") % minutes
    return _("No answer within %(minutes)s minutes of business hours") % minutes


def _assigned(people: dict[UUID, User], assignee: str, actor: User | None) -> str:
    if not assignee:
        return _("Given to nobody")
    to = people.get(UUID(assignee))
    name = str(to) if to else _("somebody who is gone")
    if actor is None or actor == to:
        return _("%(who)s has it now") % {"who": name}
    return _("%(who)s gave it to %(name)s") % {"who": actor, "name": name}
