"""What members do at the agents' desk beyond writing: take, give, let sleep."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.permissions import can_answer
from apps.chatbot.models import Conversation
from apps.chatbot.services.clocks import start_clock
from apps.chatbot.services.conversations import change_state, give_to, locked, note_missed, take
from common.errors import ApplicationError
from tenancy import audit
from tenancy.models import Membership


def agents() -> list[User]:
    """The members who may answer visitors, by name."""
    members = Membership.objects.select_related("user").order_by("user__name", "user__email")
    return [one.user for one in members if can_answer(one)]


def take_over(*, conversation: Conversation, agent: User) -> Conversation:
    """The agent has it from now on, whoever had it; a solved one is open again, the bot is silent."""
    with transaction.atomic():
        held = locked(conversation)
        before = held.last_seq
        take(held, agent)
        give_to(held, agent, actor=agent)
        if held.last_seq != before:
            held.save()
            audit.record("conversation.taken", held)
    conversation.refresh_from_db()
    return conversation


def assign(
    *, conversation: Conversation, assignee: User | None, actor: User | None
) -> Conversation:
    """Give it to a member who may answer visitors, or to nobody. Raises ApplicationError
    `not_an_agent`."""
    if assignee is not None and assignee not in agents():
        raise ApplicationError(
            "not_an_agent",
            _("This person may not answer visitors: give it to somebody with that right."),
            field="assignee",
        )
    with transaction.atomic():
        held = locked(conversation)
        before = held.last_seq
        if assignee is not None and held.owner == Conversation.Owner.BOT:
            take(held, actor)
        give_to(held, assignee, actor=actor)
        if held.last_seq != before:
            held.save()
            given = {"user": str(assignee.pk)} if assignee else {}
            audit.record("conversation.assigned", held, **given)
    conversation.refresh_from_db()
    return conversation


def snooze(*, conversation: Conversation, until: datetime, actor: User) -> Conversation:
    """Out of the queue until then, or until the visitor writes. Raises ApplicationError
    `snoozed_into_the_past`."""
    if until <= timezone.now():
        raise ApplicationError(
            "snoozed_into_the_past", _("Choose a time that is still to come."), field="until"
        )
    if conversation.owner == Conversation.Owner.BOT:
        take_over(conversation=conversation, agent=actor)
    return change_state(
        conversation=conversation,
        state=Conversation.State.SNOOZED,
        snoozed_until=until,
        actor=actor,
    )


def reopen(*, conversation: Conversation) -> Conversation:
    """Solved or asleep it is open again, and waits for a person; else nothing changes."""
    with transaction.atomic():
        held = locked(conversation)
        if held.state in (Conversation.State.RESOLVED, Conversation.State.SNOOZED):
            _wake(held)
            audit.record("conversation.reopened", held)
    conversation.refresh_from_db()
    return conversation


def tenants_with_sleep_over() -> list[uuid.UUID]:
    """Whose snoozed conversations are due. Needs a system scope."""
    return Conversation.objects.due().active_tenants()  # type: ignore[no-any-return]


def wake_conversations() -> int:
    """Those of this tenant that are due are open again, and wait for a person. Returns how many."""
    woken = 0
    for conversation in Conversation.objects.due():
        with transaction.atomic():
            held = locked(conversation)
            if held.snoozed_until is None or held.snoozed_until > timezone.now():
                continue
            _wake(held)
            woken += 1
    return woken


def tenants_with_overdue_conversations() -> list[uuid.UUID]:
    """Where somebody has newly waited too long. Needs a system scope."""
    return Conversation.objects.newly_overdue().active_tenants()  # type: ignore[no-any-return]


def note_overdue_conversations() -> int:
    """Each that has waited too long says so, once. Returns how many."""
    noted = 0
    for conversation in Conversation.objects.newly_overdue():
        with transaction.atomic():
            held = locked(conversation)
            if held.waiting_since is not None and note_missed(held):
                held.save()
                noted += 1
    return noted


def _wake(held: Conversation) -> None:
    take(held, None)
    start_clock(held)
    held.save()
