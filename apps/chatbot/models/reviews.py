"""Answers of the bot that chance has chosen for people to judge."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .answers import Answer


class AnswerReview(TenantModel):
    """One drawn answer. It was drawn when it was said, before anybody had seen it, and is never
    drawn again; so the reviewed ones are a fair sample of all."""

    subject_path = "answer__question__conversation__contact__subject"

    class Verdict(models.TextChoices):
        WAITING = "waiting", _("to be reviewed")
        RIGHT = "right", _("right")
        WRONG = "wrong", _("wrong")

    answer = models.OneToOneField(Answer, on_delete=models.CASCADE, related_name="review")
    verdict = models.CharField(
        _("verdict"), max_length=10, choices=Verdict, default=Verdict.WAITING
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reviewed_at = models.DateTimeField(_("reviewed"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("review of an answer")
        verbose_name_plural = _("reviews of answers")
        indexes = [
            models.Index(
                fields=["tenant", "id"],
                condition=models.Q(verdict="waiting"),
                name="chatbot_review_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.answer_id}"
