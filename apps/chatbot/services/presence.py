"""Who else has a conversation before them at this moment, and who is writing in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot.models import Conversation, Message, Presence
from common.errors import ConflictError

# Seconds between two signs of who has it open; who gives none for longer has gone.
SAID_EVERY = 8.0
GONE_AFTER = timedelta(seconds=20)
STOPPED_AFTER = timedelta(seconds=8)
FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Other:
    user: User
    is_typing: bool


def note_presence(*, conversation: uuid.UUID, member: User, typing: bool = False) -> None:
    """They have it open now, and write in it."""
    now = timezone.now()
    said = {"seen_at": now} | ({"typed_at": now} if typing else {})
    _row, is_new = Presence.objects.update_or_create(
        conversation_id=conversation, user=member, defaults=said
    )
    if is_new:
        Presence.objects.filter(user=member, seen_at__lt=now - FORGOTTEN_AFTER).delete()


def others_at(*, conversation: uuid.UUID, member: User) -> list[Other]:
    """By name, without the member."""
    now = timezone.now()
    rows = Presence.objects.filter(conversation=conversation, seen_at__gt=now - GONE_AFTER)
    rows = rows.exclude(user=member).select_related("user")
    return [
        Other(one.user, one.typed_at is not None and one.typed_at > now - STOPPED_AFTER)
        for one in rows.order_by("user__name", "user__email")
    ]


def refuse_behind_colleagues(held: Conversation, read_to: int, author: User | None) -> None:
    """Raises ConflictError `answered_meanwhile` where another agent has answered behind that number."""
    said = Message.objects.filter(
        conversation=held, role=Message.Role.AGENT, private=False, seq__gt=read_to
    )
    other = said.exclude(author=author).select_related("author").order_by("-seq").first()
    if other is None:
        return
    raise ConflictError(
        "answered_meanwhile",
        _("%(who)s has answered since you opened this. Read it, then send yours if it is needed.")
        % {"who": other.author or _("Somebody")},
        field="text",
    )
