"""What is redacted for this tenant, and the sealed way back."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import PastConversation, RedactionRules, SealedOriginals
from common.errors import ConflictError
from labeling.order_numbers import MOST_FORMS, compiled_form
from labeling.redaction import Rules, restored
from tenancy.audit import record
from tenancy.sealing import SealError, seal, unseal

MOST_KEPT = 200
LONGEST_KEPT = 100


def rules_of_tenant() -> Rules:
    found = RedactionRules.objects.first()
    if found is None:
        return Rules()
    return Rules.of([compiled_form(form) for form in found.orders], found.kept)


def change_rules(*, orders: Iterable[str], kept: Iterable[str]) -> RedactionRules:
    """From the next import on. Raises ApplicationError `order_form_invalid` for a form that is none."""
    forms = _told(orders, MOST_FORMS)
    for form in forms:
        compiled_form(form)
    with transaction.atomic():
        rules, _made = RedactionRules.objects.update_or_create(
            defaults={
                "orders": forms,
                "kept": [one[:LONGEST_KEPT] for one in _told(kept, MOST_KEPT)],
            }
        )
        record("redaction.changed", rules, orders=len(rules.orders), kept=len(rules.kept))
    return rules


def seal_originals(conversation: PastConversation, originals: dict[str, str]) -> str:
    return seal(json.dumps(originals, ensure_ascii=False).encode(), purpose=_purpose(conversation))


def reveal(*, conversation: PastConversation) -> list[str]:
    """The texts of a conversation as they were said. For an owner's eyes; each look is on the trail.

    Raises ConflictError `originals_sealed_otherwise` where the site's key is another now.
    """
    found = SealedOriginals.objects.filter(conversation=conversation).first()
    try:
        opened = unseal(found.sealed, purpose=_purpose(conversation)) if found else b"{}"
    except SealError:
        raise ConflictError(
            "originals_sealed_otherwise",
            _("The personal data was sealed under another key of the site, and cannot be shown."),
        ) from None
    originals = json.loads(opened)
    record("history.revealed", conversation)
    return [restored(part.text, originals) for part in conversation.parts.order_by("position")]


def _purpose(conversation: PastConversation) -> str:
    """Sealed for this conversation alone: put beside another, it does not open."""
    return f"history:{conversation.pk}"


def _told(lines: Iterable[str], most: int) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))[:most]
