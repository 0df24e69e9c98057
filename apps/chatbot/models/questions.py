"""Questions that programs ask the bot, without a visitor."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gpt_core.models import Checkpoint
from labeling.models import Work

from .answers import Answer
from .conversations import Handoff
from .inboxes import Inbox


class Question(Work):
    """One of them with what a visitor would have been told. Kept for a day, and part of no figures."""

    subject_path = None
    done_by = "apps.chatbot.answering.asking.carry_out"

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="questions")
    text = models.TextField(_("question"))
    outcome = models.CharField(max_length=15, choices=Answer.Outcome, blank=True)
    answer = models.TextField(_("answer"), blank=True)
    handoff = models.CharField(max_length=30, choices=Handoff.Reason, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    model = models.CharField(max_length=160, blank=True)
    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    passages = models.JSONField(default=list)

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("question of a program")
        verbose_name_plural = _("questions of programs")
        indexes = [
            models.Index(
                fields=["created_at"],
                name="chatbot_question_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"
