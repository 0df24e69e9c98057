"""Conversations and what was said in them, read in pages: bounded memory, however long one is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.db.models import Q, QuerySet

from apps.chatbot.models import Conversation, ConversationExport, Message

CONVERSATIONS, MESSAGES = 100, 500

Told = tuple[Conversation, Iterator[Message]]


def meant(export: ConversationExport) -> QuerySet[Conversation]:
    """Which conversations somebody asked for."""
    wanted = {
        "inbox": export.inbox,
        "contact": export.contact,
        "created_at__gte": export.since,
        "created_at__lt": export.until,
    }
    return Conversation.objects.filter(
        **{name: value for name, value in wanted.items() if value is not None}
    )


def told(conversations: QuerySet[Conversation], *, with_notes: bool) -> Iterator[Told]:
    """Each in which something was said, with its messages in their order. Read those before the next."""
    rows = conversations.select_related("inbox", "contact", "assignee").prefetch_related("handoffs")
    after: Any = None
    rows = rows.order_by("pk")
    while page := list((rows if after is None else rows.filter(pk__gt=after))[:CONVERSATIONS]):
        by_key = {one.pk: one for one in page}
        for key, said in groupby(_messages(page, with_notes), key=lambda one: one.conversation_id):
            yield by_key[key], said
        after = page[-1].pk


def _messages(conversations: list[Conversation], with_notes: bool) -> Iterator[Message]:
    rows = Message.objects.filter(conversation__in=conversations)
    if not with_notes:
        rows = rows.filter(private=False)
    rows = rows.select_related("author", "feedback", "answered_by").prefetch_related(
        "answered_by__citations__passage__version"
    )
    rows, behind = rows.order_by("conversation_id", "seq"), Q()
    while page := list(rows.filter(behind)[:MESSAGES]):
        yield from page
        last = page[-1]
        same = Q(conversation_id=last.conversation_id, seq__gt=last.seq)
        behind = same | Q(conversation_id__gt=last.conversation_id)
