"""Replies that the model proposes to an agent, and what became of each."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gpt_core.models import Checkpoint
from labeling.models import Work

from .answers import Answer
from .conversations import Conversation, Message


class Suggestion(Work):
    """Written by a worker on the way of every answer, for an agent to take, change or reject; the
    visitor never sees it by itself. Judged, it is a pair to learn from: `prompt` as the model got
    it, `text` as it was proposed, `sent` as a person said it instead.
    """

    subject_path = "conversation__contact__subject"
    done_by = "apps.chatbot.answering.suggesting.carry_out"

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", _("sent as it was")
        EDITED = "edited", _("changed and sent")
        REJECTED = "rejected", _("rejected")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="suggestions"
    )
    question = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="suggestions")
    text = models.TextField(_("suggested"), blank=True)
    prompt = models.JSONField(default=list)
    passages = models.JSONField(default=list)
    outcome = models.CharField(max_length=15, choices=Answer.Outcome, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    model = models.CharField(max_length=160, blank=True)
    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    checks = models.JSONField(default=dict)
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict, blank=True)
    judged_at = models.DateTimeField(null=True, blank=True)
    sent = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="suggested_by"
    )

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("suggested reply")
        verbose_name_plural = _("suggested replies")
        indexes = [
            models.Index(
                fields=["created_at"],
                name="chatbot_suggestion_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    @property
    def may_be_used(self) -> bool:
        """It comes, or it is there."""
        return self.is_open or (self.state == self.State.DONE and bool(self.text))

    def __str__(self) -> str:
        return f"{self.state} {self.verdict} {self.pk}"
