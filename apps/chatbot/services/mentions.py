"""@names in private notes: whoever is named finds the conversation in a list of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db.models.functions import Now

from accounts.models import User
from apps.chatbot.models import Conversation, Mention, Message
from apps.chatbot.retrieval.terms import normal
from tenancy.models import Membership


def note_mentions(note: Message) -> None:
    """Whoever of the team is named in it, but for its author."""
    if "@" not in note.text and "＠" not in note.text:
        return
    members = [one.user for one in Membership.objects.select_related("user")]
    Mention.objects.bulk_create(
        Mention(message=note, user=one)
        for one in mentioned(note.text, members)
        if one.pk != note.author_id
    )


def mentioned(text: str, members: Iterable[User]) -> list[User]:
    """By name or address; of two names that begin alike, the longer one where it fits."""
    named: dict[str, list[User]] = {}
    for one in members:
        for label in {normal(one.name), normal(one.email)} - {""}:
            named.setdefault(label, []).append(one)
    text, found = normal(text), dict[User, None]()
    for label in sorted(named, key=len, reverse=True):
        # Chinese has no space behind a name; a Latin one must have ended.
        text, times = re.subn(rf"@{re.escape(label)}(?![a-z0-9_])", " ", text)
        if times:
            found |= dict.fromkeys(named[label])
    return list(found)


def see_mentions(*, conversation: Conversation, member: User) -> None:
    """They have the conversation before them."""
    unseen = Mention.objects.filter(
        message__conversation=conversation, user=member, seen_at__isnull=True
    )
    unseen.update(seen_at=Now())
