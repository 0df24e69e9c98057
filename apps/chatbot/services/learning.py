"""What is learned from conversations, and what becomes of it."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import OuterRef, Subquery

from apps.chatbot import learning
from apps.chatbot.models import Conversation, Gap, Knowledge
from apps.chatbot.services.conversations import change_state, locked
from tenancy import audit


def tenants_with_conversations_to_learn_from() -> list[uuid.UUID]:
    """Needs a system scope."""
    return Conversation.objects.to_learn_from().active_tenants()  # type: ignore[no-any-return]


def learn_from_conversations() -> int:
    """What is over and was not looked at yet, of the tenant in scope. Returns how many."""
    looked_at = 0
    while some := learning.collect():
        looked_at += some
    return looked_at


def tenants_gone_quiet() -> list[uuid.UUID]:
    """Whose visitors have left, content as it seems. Needs a system scope."""
    return Conversation.objects.gone_quiet().active_tenants()  # type: ignore[no-any-return]


def resolve_quiet() -> int:
    """Resolve what the bot has answered and nobody came back to for a day. Returns how many."""
    resolved = 0
    for conversation in Conversation.objects.gone_quiet():
        with transaction.atomic():
            held = locked(conversation)
            # Somebody may have spoken while the others were resolved.
            if held.last_seq == conversation.last_seq:
                change_state(conversation=held, state=Conversation.State.RESOLVED)
                resolved += 1
    return resolved


def tenants_with_gaps() -> list[uuid.UUID]:
    """Who lacks an article and has changed what it knows since that was looked at. Needs a system scope."""
    known = Knowledge.objects.filter(tenant=OuterRef("tenant")).values("revision")[:1]
    rows = Gap.objects.filter(state=Gap.State.OPEN, checked_revision__lt=Subquery(known))
    return rows.active_tenants()  # type: ignore[no-any-return]


def dismiss_gap(*, gap: Gap) -> None:
    """Nobody is to write an article about this; who asks it again brings it not back."""
    if Gap.objects.filter(pk=gap.pk, state=Gap.State.OPEN).update(state=Gap.State.DISMISSED):
        audit.record("gap.dismissed", gap)
