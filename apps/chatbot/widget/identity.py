"""Who a visitor is, on the word of the customer's own server: a signed token that ends within the hour."""

from __future__ import annotations

import secrets
from typing import Any

import jwt
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Contact, Conversation, IdentityKey, Inbox, WidgetSession
from common.errors import ConflictError
from tenancy import audit

from .errors import NotAdmittedError

LONGEST_SECONDS = 3600
MOST_LIVE_KEYS = 2


def verified_contact(*, inbox: Inbox, token: str) -> Contact:
    """The contact whom a valid token names, made where it is new. Raises NotAdmittedError."""
    claims = _claims(inbox, token)
    subject = str(claims["sub"])[:200]
    contact, _made = Contact.objects.get_or_create(external_id=subject)
    known = {"name": claims.get("name"), "email": claims.get("email")}
    changes = {
        name: value[:200]
        for name, value in known.items()
        if isinstance(value, str) and value and value != getattr(contact, name)
    }
    if changes:
        for name, value in changes.items():
            setattr(contact, name, value)
        contact.save()
    return contact


def take_along(*, session: WidgetSession, contact: Contact) -> None:
    """What was said in this very session before signing in belongs to the person who signed in.

    Nothing else is merged: neither by address nor by name, which anybody can type.
    """
    earlier = session.contact
    if earlier is None or earlier.is_verified or earlier.pk == contact.pk:
        return
    with transaction.atomic():
        # What was said before the first message is kept; what the company knows already counts more.
        contact.attributes = earlier.attributes | contact.attributes
        contact.save(update_fields=["attributes"])
        Conversation.objects.filter(contact=earlier).update(contact=contact)
        WidgetSession.objects.filter(contact=earlier).update(contact=contact)
        earlier.delete()


@transaction.atomic
def add_key(*, inbox: Inbox) -> IdentityKey:
    """One key more to sign with; its secret is shown to whoever adds it."""
    live = IdentityKey.objects.select_for_update(of=("self",)).filter(inbox=inbox, retired_at=None)
    if len(live) >= MOST_LIVE_KEYS:
        raise ConflictError(
            "too_many_keys", _("Two keys are live already. Retire one of them first.")
        )
    key = IdentityKey.objects.create(inbox=inbox, kid=f"k_{secrets.token_hex(6)}")
    audit.record("identity_key.added", key)
    return key


@transaction.atomic
def retire_key(*, key: IdentityKey) -> None:
    if IdentityKey.objects.filter(pk=key.pk, retired_at=None).update(retired_at=timezone.now()):
        audit.record("identity_key.retired", key)


def _claims(inbox: Inbox, token: str) -> dict[str, Any]:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = IdentityKey.objects.filter(inbox=inbox, kid=str(kid)[:40], retired_at=None).first()
        if key is None:
            raise NotAdmittedError
        claims: dict[str, Any] = jwt.decode(
            token,
            key.secret,
            # Named here and not by the token: "none" and public-key tricks have no way in.
            algorithms=["HS256"],
            options={"require": ["sub", "exp", "iat"], "verify_aud": False},
            leeway=10,
        )
    except jwt.PyJWTError:
        raise NotAdmittedError from None
    if claims["exp"] - claims["iat"] > LONGEST_SECONDS or not str(claims["sub"]).strip():
        raise NotAdmittedError
    return claims
