"""What a visitor thinks of the whole, once it is settled."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Conversation, Event
from apps.chatbot.services.conversations import append_event, follow, locked
from common.errors import ConflictError

MAY_CHANGE_FOR = timedelta(hours=1)


def rate_conversation(*, conversation: Conversation, score: int, comment: str = "") -> None:
    """Once for each time that it is resolved, and for a while another word counts instead.

    Raises ConflictError: not_resolved, rating_over.
    """
    with transaction.atomic():
        held = locked(conversation)
        if held.state != Conversation.State.RESOLVED:
            raise ConflictError("not_resolved", _("Rate it once it is closed."), field="score")
        given = Event.objects.filter(
            conversation=held, type=Event.Type.CSAT, seq__gt=held.context_from
        )
        first = given.order_by("seq").first()
        if first is not None:
            if (held.csat, held.csat_comment) == (score, comment):
                return
            if timezone.now() - first.created_at > MAY_CHANGE_FOR:
                raise ConflictError(
                    "rating_over", _("Your rating can no longer be changed."), field="score"
                )
        held.csat, held.csat_comment = score, comment
        append_event(held, Event.Type.CSAT, score=score)
        held.save()
    follow(conversation, held)
