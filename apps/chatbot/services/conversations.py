"""Say something, hand over, hand back: every change is an event with the next number of its conversation.

The conversation's row is locked while a number is given, so that the numbers have no gap and no
twin, whatever happens at once; what fails takes its number back with its transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot import announcements, doorbell
from apps.chatbot.hours import closed_until
from apps.chatbot.models import (
    Answer,
    AnswerState,
    Contact,
    Conversation,
    Event,
    Feedback,
    Handoff,
    Inbox,
    Message,
)
from apps.chatbot.services.clocks import missed, start_clock, stop_clock
from apps.chatbot.services.mails import put_into_outbox
from apps.chatbot.services.mentions import note_mentions
from apps.chatbot.services.places import place
from apps.chatbot.services.presence import refuse_behind_colleagues
from common.errors import ApplicationError, ConflictError
from tenancy import audit

MOST_CHARACTERS = 8_000
MOST_IN_SUMMARY = 3


@dataclass(frozen=True)
class Posted:
    """A message that stands in the conversation; `is_new` is False for a repeat of the same send."""

    message: Message
    answer: Answer | None
    is_new: bool


def begin_conversation(
    *, inbox: Inbox, contact: Contact, language: str = "", page: str = ""
) -> Conversation:
    """An empty conversation; with the bot, where the inbox lets it answer."""
    owner = Conversation.Owner.BOT if inbox.bot_enabled else Conversation.Owner.PEOPLE
    with transaction.atomic():
        begun = Conversation.objects.create(
            inbox=inbox,
            contact=contact,
            owner=owner,
            state="pending" if owner == Conversation.Owner.BOT else "open",
            language=language or inbox.language,
            page=page[:500],
        )
        place(begun)
        announcements.announce_conversation(begun, "conversation.created")
    return begun


def post_message(
    *,
    conversation: Conversation,
    role: str,
    text: str,
    client_id: uuid.UUID | None = None,
    author: User | None = None,
    private: bool = False,
    read_to: int | None = None,
) -> Posted:
    """Add what somebody said, and the answer that now waits where the bot has the conversation.

    `read_to` is the number up to which an agent has read: where a colleague has answered behind it,
    ConflictError `answered_meanwhile` is raised instead.

    With a `client_id` a repeat of the same send is the same message, for ever; the same id with
    other words raises ConflictError `message_id_reused`.
    """
    text = text.strip()
    if not text:
        raise ApplicationError("message_empty", _("Write something first."), field="text")
    if len(text) > MOST_CHARACTERS:
        raise ApplicationError(
            "message_too_long",
            _("At most %(most)d characters fit in a message.") % {"most": MOST_CHARACTERS},
            field="text",
        )
    with transaction.atomic():
        held = locked(conversation)
        if client_id is not None:
            same = Message.objects.filter(conversation=held, client_id=client_id).first()
            if same is not None:
                return _repeated(same, role, text, private)
        if read_to is not None:
            refuse_behind_colleagues(held, read_to, author)
        if role == Message.Role.AGENT and not private:
            # Before it is said: which answer was missed is told by those that stand here already.
            note_missed(held)
        message = add_message(
            held, role=role, text=text, client_id=client_id, author=author, private=private
        )
        answer = None
        if private:
            note_mentions(message)
        if role == Message.Role.USER:
            answer = _heard(held, message)
        elif role == Message.Role.AGENT and not private:
            _spoken_by_a_person(held, author)
            put_into_outbox(held, message)
        held.save()
    follow(conversation, held)
    return Posted(message, answer, True)


def hand_off(
    *, conversation: Conversation, reason: str, summary: str = "", actor: User | None = None
) -> Handoff:
    """Give the conversation to people. Whatever the bot was writing is withdrawn; twice changes
    nothing. `actor` is the member who did it; None is the bot or the visitor."""
    with transaction.atomic():
        held = locked(conversation)
        handoff = give_to_people(held, reason=reason, summary=summary, actor=actor)
        held.save()
    follow(conversation, held)
    return handoff


def hand_back(*, conversation: Conversation, actor: User | None = None) -> Conversation:
    """Let the bot answer again, from here on: it does not look back at what people settled."""
    with transaction.atomic():
        held = locked(conversation)
        if held.owner != Conversation.Owner.BOT:
            held.owner = Conversation.Owner.BOT
            held.state = Conversation.State.PENDING
            end_waiting(held)
            held.assignee = None
            Handoff.objects.filter(conversation=held, returned_at=None).update(returned_at=Now())
            held.snoozed_until = None
            append_event(held, Event.Type.STATUS, actor=actor, state=held.state, owner=held.owner)
            held.context_from = held.last_seq
            held.save()
            audit.record("conversation.returned", held)
    follow(conversation, held)
    return conversation


def change_state(
    *,
    conversation: Conversation,
    state: str,
    snoozed_until: datetime | None = None,
    actor: User | None = None,
) -> Conversation:
    """Open, snooze or resolve. A solved conversation's next message begins a new case."""
    with transaction.atomic():
        held = locked(conversation)
        if held.state != state or held.snoozed_until != snoozed_until:
            held.state, held.snoozed_until = state, snoozed_until
            if state == Conversation.State.RESOLVED:
                withdraw_answers(held)
                end_waiting(held)
                held.resolved_at = timezone.now()
            append_event(held, Event.Type.STATUS, actor=actor, state=state, owner=held.owner)
            if state == Conversation.State.RESOLVED:
                held.context_from = held.last_seq
            held.save()
            if held.inbox.auto_assign:
                doorbell.ring_assigners()
    follow(conversation, held)
    return conversation


@transaction.atomic
def judge_message(
    *, message: Message, helpful: bool, reason: str = "", comment: str = ""
) -> Feedback:
    """A visitor's thumb on one message of the bot; the last word counts."""
    given = {"helpful": helpful, "reason": reason, "comment": comment}
    feedback, _new = Feedback.objects.update_or_create(message=message, defaults=given)
    # No number is given for it; what is learned from the conversation follows all the same.
    Conversation.objects.filter(pk=message.conversation_id).update(learned_seq=0)
    announcements.announce_feedback(feedback)
    return feedback


# --- Pieces, for callers that hold the lock ----------------------------------------------------------


def locked(conversation: Conversation) -> Conversation:
    """The row as it is now, ours until the end of the transaction."""
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("inbox")
    return rows.get(pk=conversation.pk)


def follow(conversation: Conversation, held: Conversation) -> None:
    """Let the caller's copy say what the row says now."""
    for column in Conversation._meta.concrete_fields:
        setattr(conversation, column.attname, getattr(held, column.attname))


def append_event(
    held: Conversation,
    type: str,
    *,
    message: Message | None = None,
    private: bool = False,
    actor: User | None = None,
    **data: Any,
) -> Event:
    """The next event. Whoever calls holds the lock, and saves the conversation afterwards."""
    if held.resolved_at is not None and held.state != Conversation.State.RESOLVED:
        held.resolved_at = None
        announcements.announce_conversation(held, "conversation.reopened")
    held.last_seq += 1
    held.updated_at = timezone.now()
    event = Event.objects.create(
        conversation=held,
        seq=held.last_seq,
        type=type,
        message=message,
        private=private,
        actor=actor,
        data=data,
    )
    announcements.announce_event(held, event)
    return event


def add_message(
    held: Conversation,
    *,
    role: str,
    text: str,
    client_id: uuid.UUID | None = None,
    author: User | None = None,
    private: bool = False,
) -> Message:
    message = Message.objects.create(
        conversation=held,
        seq=held.last_seq + 1,
        role=role,
        text=text,
        client_id=client_id,
        author=author,
        private=private,
    )
    append_event(held, Event.Type.MESSAGE, message=message, private=private)
    return message


def give_to_people(
    held: Conversation, *, reason: str, summary: str = "", actor: User | None = None
) -> Handoff:
    """Without a `summary`, what the visitor asked last stands for one: in their words, not ours."""
    withdraw_answers(held)
    current = Handoff.objects.filter(conversation=held, returned_at=None).first()
    if current is not None and held.owner == Conversation.Owner.PEOPLE:
        return current
    held.owner, held.state = Conversation.Owner.PEOPLE, Conversation.State.OPEN
    start_clock(held)
    handoff = Handoff.objects.create(
        conversation=held, reason=reason, summary=summary or _asked_last(held)
    )
    back = closed_until(held.inbox.hours, timezone.now())
    told: dict[str, Any] = {"back": back.isoformat()} if back else {}
    append_event(
        held, Event.Type.HANDOFF, actor=actor, reason=reason, handoff=str(handoff.pk), **told
    )
    if held.inbox.auto_assign:
        doorbell.ring_assigners()
    return handoff


def _asked_last(held: Conversation) -> str:
    rows = Message.objects.filter(
        conversation=held, role=Message.Role.USER, seq__gt=held.context_from
    )
    newest = rows.order_by("-seq").values_list("text", flat=True)[:MOST_IN_SUMMARY]
    return "\n".join(text[:500] for text in reversed(newest))


def withdraw_answers(held: Conversation) -> int:
    """Nobody waits for these any more: what was being written is not said."""
    waiting = Answer.objects.filter(conversation=held).open()
    return waiting.update(state=AnswerState.WITHDRAWN, finished_at=Now(), lease_until=None)


def _heard(held: Conversation, message: Message) -> Answer | None:
    """A visitor spoke: the bot answers, or people are waited for."""
    if held.state in (Conversation.State.RESOLVED, Conversation.State.SNOOZED):
        _reopen(held)
    if held.owner == Conversation.Owner.PEOPLE or not held.inbox.bot_enabled:
        if held.owner == Conversation.Owner.BOT:
            # The bot was switched off in the middle: people have it now.
            give_to_people(held, reason=Handoff.Reason.POLICY_RESTRICTION)
        start_clock(held)
        return None
    answer = Answer.objects.create(question=message, conversation=held)
    append_event(held, Event.Type.ANSWER, answer=str(answer.pk))
    doorbell.ring_writers()
    return answer


def _reopen(held: Conversation) -> None:
    """A solved case that is written to again begins anew, with the bot where it may answer."""
    solved = held.state == Conversation.State.RESOLVED
    if solved and held.inbox.bot_enabled:
        held.owner, held.assignee = Conversation.Owner.BOT, None
    held.state = (
        Conversation.State.PENDING
        if held.owner == Conversation.Owner.BOT
        else Conversation.State.OPEN
    )
    held.snoozed_until = None
    append_event(held, Event.Type.STATUS, state=held.state, owner=held.owner, reopened=solved)


def _spoken_by_a_person(held: Conversation, author: User | None) -> None:
    """An agent who answers has the conversation: the bot is silent from then on."""
    take(held, author)
    end_waiting(held)
    held.first_response_at = held.first_response_at or timezone.now()


def end_waiting(held: Conversation) -> None:
    """Nobody waits any more; what was answered too late is written down."""
    note_missed(held)
    stop_clock(held)


def note_missed(held: Conversation) -> bool:
    """Whether the target has just been found missed: an entry of the desk, for the numbers."""
    late = missed(held)
    if late is not None:
        append_event(held, Event.Type.OVERDUE, private=True, **late)
    return late is not None


def take(held: Conversation, agent: User | None) -> None:
    """People have it from now on, and it is open; who has it already keeps it."""
    if held.owner == Conversation.Owner.BOT:
        give_to_people(held, reason=Handoff.Reason.TAKEN_OVER, actor=agent)
    if held.state != Conversation.State.OPEN:
        held.state, held.snoozed_until = Conversation.State.OPEN, None
        append_event(held, Event.Type.STATUS, actor=agent, state=held.state, owner=held.owner)
    if agent is not None:
        waiting = Handoff.objects.filter(conversation=held, returned_at=None, taken_by=None)
        waiting.update(taken_by=agent, taken_at=Now())
        if held.assignee_id is None:
            give_to(held, agent, actor=agent)


def give_to(held: Conversation, agent: User | None, *, actor: User | None) -> None:
    """Make it this member's, or nobody's; the desk is told, the visitor is not."""
    if held.assignee_id == (agent.pk if agent else None):
        return
    held.assignee = agent
    append_event(
        held,
        Event.Type.ASSIGNED,
        private=True,
        actor=actor,
        assignee=str(agent.pk) if agent else "",
    )


def _repeated(same: Message, role: str, text: str, private: bool) -> Posted:
    if (same.role, same.text, same.private) != (role, text, private):
        raise ConflictError(
            "message_id_reused",
            _("This id belongs to another message already."),
            field="client_id",
        )
    return Posted(same, Answer.objects.filter(question=same).first(), False)
