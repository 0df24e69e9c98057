"""Contacts as their pages list them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet

from apps.chatbot.models import Contact

PER_PAGE = 50
MOST_CONVERSATIONS = 100


def contacts_like(text: str) -> QuerySet[Contact]:
    """With `count` conversations and the `last` of them, newest contact first."""
    rows = Contact.objects.annotate(
        count=Count("conversations"), last=Max("conversations__updated_at")
    ).order_by("-created_at", "pk")
    if not text:
        return rows
    try:
        return rows.filter(pk=UUID(text))
    except ValueError:
        named = Q(name__icontains=text) | Q(email__icontains=text)
        return rows.filter(named | Q(external_id__icontains=text))


def is_its_name(contact: Contact, typed: str) -> bool:
    """What the page asks to be typed, spaces apart."""
    return " ".join(typed.split()) == " ".join(str(contact).split())
