"""Who is at the desk, and who gets what waits: in turn, as much as each can hold."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from accounts.models import User
from apps.chatbot import doorbell
from apps.chatbot.models import Attendance, Conversation, Inbox
from apps.chatbot.services.conversations import give_to, locked
from apps.chatbot.services.desk import agents

# A sign of life is written down no more often than this.
NOTED_EVERY = timedelta(seconds=30)


def set_available(*, agent: User, available: bool) -> None:
    """From now on conversations come to them, or none does; what they have they keep."""
    Attendance.objects.update_or_create(
        user=agent, defaults={"available": available, "seen_at": timezone.now()}
    )
    if available:
        doorbell.ring_assigners()


def note_seen(member: User) -> None:
    """They are at the desk: who is available stays so."""
    now = timezone.now()
    Attendance.objects.filter(user=member, seen_at__lt=now - NOTED_EVERY).update(seen_at=now)


def is_here(member: User) -> bool:
    """Whether conversations come to them."""
    return Attendance.objects.here().filter(user=member).exists()


def tenants_with_conversations_to_give_out() -> list[uuid.UUID]:
    """Where something waits with nobody. Needs a system scope."""
    return Conversation.objects.to_give_out().active_tenants()  # type: ignore[no-any-return]


def give_out_conversations() -> int:
    """Whoever waits longest first, each to the agent whose turn it is; the rest goes on waiting.
    Returns how many were given."""
    return sum(_give_out(one) for one in Conversation.objects.to_give_out())


def _give_out(conversation: Conversation) -> bool:
    with transaction.atomic():
        held = locked(conversation)
        if not Conversation.objects.to_give_out().filter(pk=held.pk).exists():
            return False
        place = _whose_turn(held.inbox)
        if place is None:
            return False
        give_to(held, place.user, actor=None)
        held.save()
        place.given_at = timezone.now()
        place.save(update_fields=["given_at"])
    return True


def _whose_turn(inbox: Inbox) -> Attendance | None:
    # All of them are locked, always in one order: two who give out at once cannot both count the
    # same agent as free.
    rows = Attendance.objects.here().select_for_update(of=("self",)).select_related("user")
    allowed = {one.pk for one in agents()}
    places = [one for one in rows.order_by("pk") if one.user_id in allowed]
    has = dict(
        Conversation.objects.filter(state=Conversation.State.OPEN, assignee__isnull=False)
        .order_by()
        .values_list("assignee")
        .annotate(Count("pk"))
    )
    free = [one for one in places if has.get(one.user_id, 0) < inbox.capacity]
    return min(free, key=lambda one: (one.given_at or one.created_at, one.pk), default=None)
