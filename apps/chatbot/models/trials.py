"""A checkpoint on trial: some conversations of an inbox are answered by it, the others as before."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gpt_core.models import Checkpoint
from tenancy.models import TenantModel

from .conversations import Conversation
from .inboxes import Inbox


class CandidateTrial(TenantModel):
    """One at a time in an inbox. `share` is in hundredths of the conversations that begin meanwhile."""

    subject_path = None

    class End(models.TextChoices):
        STOPPED = "stopped", _("stopped")
        WORSE = "worse", _("rolled back: it did worse")
        PROMOTED = "promoted", _("promoted")

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="trials")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="trials")
    share = models.PositiveSmallIntegerField(
        _("share"), validators=[MinValueValidator(1), MaxValueValidator(99)]
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    end = models.CharField(_("why it ended"), max_length=10, choices=End, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("trial of a checkpoint")
        verbose_name_plural = _("trials of checkpoints")
        constraints = [
            models.UniqueConstraint(
                fields=["inbox"],
                condition=models.Q(ended_at__isnull=True),
                name="chatbot_one_trial_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint_id} {self.share} %"


class TrialPlace(TenantModel):
    """Which side a conversation fell on when it began; it stays there."""

    subject_path = "conversation__contact__subject"

    trial = models.ForeignKey(CandidateTrial, on_delete=models.CASCADE, related_name="places")
    conversation = models.OneToOneField(
        Conversation, on_delete=models.CASCADE, related_name="trial_place"
    )
    is_candidate = models.BooleanField()

    class Meta(TenantModel.Meta):
        verbose_name = _("conversation of a trial")
        verbose_name_plural = _("conversations of trials")

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.is_candidate}"
