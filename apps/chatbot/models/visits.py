"""A visitor's way in: the sessions of a widget, and the keys that vouch for who somebody is."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .conversations import Contact
from .inboxes import Inbox


class WidgetSession(TenantModel):
    """One browser's visit. Its contact is made with the first message, not by loading a page.

    The refresh token is kept as a hash and changes with each use; `former_hash` is the one before,
    good for a moment where an answer was lost. Any older one means that somebody else has it too:
    the session ends.
    """

    subject_path = "contact__subject"

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="sessions")
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, null=True, blank=True, related_name="sessions"
    )
    origin = models.CharField(max_length=255)
    refresh_hash = models.CharField(max_length=64, unique=True)
    former_hash = models.CharField(max_length=64, blank=True)
    rotated_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    # To the minute: whoever was not seen for a while has left.
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta(TenantModel.Meta):
        verbose_name = _("widget session")
        verbose_name_plural = _("widget sessions")
        indexes = [models.Index(fields=["former_hash"], name="chatbot_session_former")]

    def __str__(self) -> str:
        return f"{self.origin} {self.created_at:%Y-%m-%d}"


def new_secret() -> str:
    return secrets.token_urlsafe(32)


class IdentityKey(TenantModel):
    """What the customer's site signs its visitors' identities with. Two may be live, so that one
    can be exchanged for the other without a gap."""

    subject_path = None

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="identity_keys")
    kid = models.CharField(max_length=40, unique=True)
    secret = models.CharField(max_length=100, default=new_secret, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("identity key")
        verbose_name_plural = _("identity keys")

    def __str__(self) -> str:
        return self.kid
