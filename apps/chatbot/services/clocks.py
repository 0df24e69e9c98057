"""How long somebody may wait for a person: the inbox's target, in its business hours."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.chatbot.hours import add_business_time
from apps.chatbot.models import Conversation, Message


def start_clock(held: Conversation) -> None:
    """Somebody waits for a person from now on; who waits already goes on waiting."""
    if held.waiting_since is not None:
        return
    held.waiting_since = timezone.now()
    minutes = _target(held)[1]
    if minutes is not None:
        held.due_at = add_business_time(held.inbox.hours, held.waiting_since, minutes)
    held.overdue_at = None


def stop_clock(held: Conversation) -> None:
    held.waiting_since = held.due_at = held.overdue_at = None


def missed(held: Conversation) -> dict[str, Any] | None:
    """What is to be written down of a target that was missed: once, and only then."""
    if held.overdue_at is not None or not held.is_overdue:
        return None
    assert held.due_at is not None
    target, minutes = _target(held)
    held.overdue_at = timezone.now()
    return {"target": target, "minutes": minutes, "due": held.due_at.isoformat()}


def _target(held: Conversation) -> tuple[str, int | None]:
    answered = Message.objects.filter(
        conversation=held,
        role=Message.Role.AGENT,
        private=False,
        seq__gt=held.context_from,
    )
    if answered.exists():
        return "next", held.inbox.next_response_minutes
    return "first", held.inbox.first_response_minutes
