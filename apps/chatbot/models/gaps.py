"""What visitors ask and no article answers: questions by their matter."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.chatbot.querysets import GapQuerySet
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager

from .conversations import Message
from .inboxes import Inbox


class GapManager(TenantManager.from_queryset(GapQuerySet)):  # type: ignore[misc]
    """The tenant's gaps, with the questions of GapQuerySet."""


class Gap(TenantModel):
    """A matter that an article is missing for. Its words are those of its questions, so that nothing
    of a visitor's stays when the visitor is erased. `checked_revision` is the knowledge that was last
    searched for an answer."""

    subject_path = None

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ANSWERED = "answered", _("answered by an article")
        DISMISSED = "dismissed", _("dismissed")

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="gaps")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    asked_last = models.DateTimeField(_("asked last"))
    checked_revision = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[GapManager] = GapManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("unanswered matter")
        verbose_name_plural = _("unanswered matters")
        indexes = [
            models.Index(fields=["tenant", "state", "-asked_last"], name="chatbot_gap_recent")
        ]

    def __str__(self) -> str:
        return str(self.pk)[:8]


class GapQuestion(TenantModel):
    """One time that it was asked, redacted, and how it was seen that no article answers it."""

    subject_path = "message__conversation__contact__subject"

    class Why(models.TextChoices):
        MISSING = "missing_knowledge", _("a person was fetched")
        UNSURE = "low_confidence", _("answered without being sure")
        THUMB_DOWN = "thumb_down", _("the visitor found the answer wrong")

    gap = models.ForeignKey(Gap, on_delete=models.CASCADE, related_name="questions")
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="gap_question")
    text = models.TextField(_("question"))
    why = models.CharField(max_length=20, choices=Why)

    class Meta(TenantModel.Meta):
        ordering = ["created_at"]
        verbose_name = _("unanswered question")
        verbose_name_plural = _("unanswered questions")

    def __str__(self) -> str:
        return self.text[:60]
