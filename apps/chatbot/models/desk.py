"""Who sits at the agents' desk, and what they have at hand."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.querysets import AttendanceQuerySet
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager

from .conversations import Conversation, Message


class CannedReply(TenantModel):
    """Words that are needed again and again, found by their shortcut. The same shortcut may stand
    once in each language; without a language it fits all."""

    subject_path = None

    shortcut = models.CharField(_("shortcut"), max_length=40)
    language = models.CharField(_("language"), max_length=10, blank=True)
    text = models.TextField(_("text"))

    class Meta(TenantModel.Meta):
        ordering = ["shortcut", "language"]
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "shortcut", "language"], name="chatbot_reply_once"
            )
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


class Mention(TenantModel):
    """A member named in a private note, until they have seen it and afterwards."""

    subject_path = "message__conversation__contact__subject"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="mentions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("mention")
        verbose_name_plural = _("mentions")
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="chatbot_mention_once")
        ]

    def __str__(self) -> str:
        return f"@{self.user}"


class Presence(TenantModel):
    """A member who has a conversation open: for as long as it is said again and again."""

    subject_path = "conversation__contact__subject"

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="presences"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(default=timezone.now)
    typed_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("presence")
        verbose_name_plural = _("presences")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "user"], name="chatbot_presence_once")
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.conversation_id}"


class AttendanceManager(TenantManager.from_queryset(AttendanceQuerySet)):  # type: ignore[misc]
    """The tenant's agents, with the questions of AttendanceQuerySet."""


class Attendance(TenantModel):
    """Whether a member takes conversations. Who has not been seen for a while takes none, whatever
    `available` says; `given_at` is whose turn it is: who was given one longest ago is next."""

    subject_path = None

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    available = models.BooleanField(_("available"), default=False)
    seen_at = models.DateTimeField(default=timezone.now)
    given_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AttendanceManager] = AttendanceManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("attendance")
        verbose_name_plural = _("attendances")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="chatbot_attendance_once")
        ]

    def __str__(self) -> str:
        return str(self.user)
