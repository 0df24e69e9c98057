"""The two tokens of a visit: one that ends in 15 minutes, and one that fetches the next."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.chatbot.models import Contact, Inbox, WidgetSession

from .errors import SessionOverError

ACCESS_LASTS = timedelta(minutes=15)
REFRESH_LASTS = timedelta(days=30)
# An answer that was lost on the way may be asked for once more.
GRACE = timedelta(seconds=30)
_SALT = "apps.chatbot.widget.access"


@dataclass(frozen=True)
class Tokens:
    access: str
    refresh: str
    session: WidgetSession

    @property
    def seconds(self) -> int:
        return int(ACCESS_LASTS.total_seconds())


@dataclass(frozen=True)
class Claims:
    """What an access token says; it is believed because it is signed, and looked up all the same."""

    tenant_id: UUID
    session_id: UUID


def begin_session(*, inbox: Inbox, origin: str, contact: Contact | None = None) -> Tokens:
    """A new visit from this origin. Needs the inbox's scope."""
    refresh, now = secrets.token_urlsafe(32), timezone.now()
    session = WidgetSession.objects.create(
        inbox=inbox,
        contact=contact,
        origin=origin,
        refresh_hash=_hash(refresh),
        rotated_at=now,
        expires_at=now + REFRESH_LASTS,
    )
    return Tokens(_access(session), refresh, session)


def refreshed(*, inbox: Inbox, origin: str, refresh: str) -> Tokens:
    """The next pair for a refresh token. Raises SessionOverError, and ends the session where the
    token had been exchanged before: somebody else may hold it."""
    hashed, now = _hash(refresh), timezone.now()
    stolen = False
    with transaction.atomic():
        session = (
            WidgetSession.objects.select_for_update(of=("self",))
            .filter(
                Q(refresh_hash=hashed) | Q(former_hash=hashed),
                inbox=inbox,
                origin=origin,
                revoked_at=None,
                expires_at__gt=now,
            )
            .first()
        )
        if session is None:
            raise SessionOverError
        if session.refresh_hash != hashed and now - session.rotated_at > GRACE:
            stolen = True
            session.revoked_at = now
        else:
            fresh = secrets.token_urlsafe(32)
            session.former_hash, session.refresh_hash = session.refresh_hash, _hash(fresh)
            session.rotated_at, session.expires_at = now, now + REFRESH_LASTS
        session.save()
    if stolen:
        raise SessionOverError
    return Tokens(_access(session), fresh, session)


def read_access(token: str) -> Claims:
    """Raises SessionOverError for what is forged, changed or over."""
    try:
        tenant, session = signing.loads(token, salt=_SALT, max_age=ACCESS_LASTS)
        return Claims(UUID(tenant), UUID(session))
    except (signing.BadSignature, ValueError, TypeError):
        raise SessionOverError from None


def revoke(session: WidgetSession) -> None:
    WidgetSession.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now())


def _access(session: WidgetSession) -> str:
    return signing.dumps([str(session.tenant_id), str(session.pk)], salt=_SALT)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
