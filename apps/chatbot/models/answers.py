"""Answers as rows: each waits, is written by whoever holds its lease, and ends once."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.chatbot.querysets import AnswerQuerySet
from gpt_core.models import Checkpoint
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager

from .conversations import Conversation, Message
from .knowledge import Passage


class AnswerState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    WRITING = "writing", _("being written")
    DONE = "done", _("done")
    WITHDRAWN = "withdrawn", _("withdrawn")
    FAILED = "failed", _("failed")


class AnswerManager(TenantManager.from_queryset(AnswerQuerySet)):  # type: ignore[misc]
    """The tenant's answers, with the moves of AnswerQuerySet."""


class Answer(TenantModel):
    """What the bot makes of one question. `attempt` is the fencing token: it grows with every
    claim, and whoever writes says which one is theirs. `text` is what is written so far; readers
    ask for it from their own offset, and start again where `attempt` has changed.
    """

    subject_path = "question__conversation__contact__subject"

    class Outcome(models.TextChoices):
        GENERATED = "generated", _("written by the model")
        CURATED = "curated", _("a curated answer")
        PASSAGE = "passage", _("a passage as it stands")
        CLARIFICATION = "clarification", _("asked back")
        HANDOFF = "handoff", _("handed to people")

    question = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="answer")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="answers")
    state = models.CharField(max_length=10, choices=AnswerState, default=AnswerState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    text = models.TextField(blank=True)
    message = models.OneToOneField(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="answered_by"
    )
    outcome = models.CharField(max_length=15, choices=Outcome, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    # Lineage: who wrote it, on which knowledge, from what, and what the checks said.
    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="answers"
    )
    model = models.CharField(max_length=160, blank=True)
    knowledge_revision = models.PositiveBigIntegerField(default=0)
    query = models.TextField(_("what was looked up"), blank=True)
    checks = models.JSONField(default=dict)
    failure_code = models.CharField(max_length=64, blank=True)
    first_token_seconds = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AnswerManager] = AnswerManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        indexes = [models.Index(fields=["state", "created_at"], name="chatbot_answer_queue")]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"


class Citation(TenantModel):
    """A passage that an answer rests on, in the order of the marks in its text."""

    subject_path = None

    answer = models.ForeignKey(Answer, on_delete=models.CASCADE, related_name="citations")
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="citations")
    number = models.PositiveSmallIntegerField()

    class Meta(TenantModel.Meta):
        ordering = ["number"]
        verbose_name = _("citation")
        verbose_name_plural = _("citations")
        constraints = [
            models.UniqueConstraint(fields=["answer", "number"], name="chatbot_citation_once")
        ]

    def __str__(self) -> str:
        return f"[{self.number}]"


class Feedback(TenantModel):
    """A visitor's thumb on one message of the bot; a later one replaces it."""

    subject_path = "message__conversation__contact__subject"

    class Reason(models.TextChoices):
        WRONG = "wrong", _("it is wrong")
        OFF_TOPIC = "off_topic", _("it does not answer the question")
        INCOMPLETE = "incomplete", _("something is missing")
        RUDE = "rude", _("the tone is wrong")
        OTHER = "other", _("something else")

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="feedback")
    helpful = models.BooleanField()
    reason = models.CharField(max_length=12, choices=Reason, blank=True)
    comment = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")

    def __str__(self) -> str:
        return "+" if self.helpful else "-"
