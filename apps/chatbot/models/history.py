"""What a company said to its customers before it came here: conversations of the past, redacted.

Kept apart from the widget's own: nobody can answer them, and no number of theirs must be free of gaps.
What was redacted lies sealed in a table of its own.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset, Example, StoredFile, Work
from tenancy.models import TenantModel

MOST_ID = 200


class HistorySource(models.TextChoices):
    ZENDESK = "zendesk", "Zendesk"
    INTERCOM = "intercom", "Intercom"
    CHATWOOT = "chatwoot", "Chatwoot"
    FRESHDESK = "freshdesk", "Freshdesk"
    TABLE = "table", _("a table of messages")
    OPENAI = "openai", "OpenAI chat"
    SHAREGPT = "sharegpt", "ShareGPT"
    QUESTIONS = "questions", _("questions and answers")


class HistoryRun(Work):
    """One file of past conversations on its way in, and what was mined from it.

    `is_check` reads the whole file and keeps nothing of it. `counts` are conversations and messages by
    what became of them; `redacted` counts placeholders by kind; `mined` says how many questions
    were found, how many are nearly the same as another, and why the others were skipped. All three
    are written in the transaction of the rows they count.
    """

    subject_path = None
    done_by = "apps.chatbot.history.importing.carry_out"
    queue = "long"

    source = models.CharField(_("source"), max_length=12, choices=HistorySource)
    file = models.ForeignKey(
        StoredFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    dataset = models.ForeignKey(
        Dataset, on_delete=models.CASCADE, related_name="history_runs", verbose_name=_("dataset")
    )
    reviewers = models.PositiveSmallIntegerField(
        _("people per answer"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(3)],
    )
    is_check = models.BooleanField(_("only checked"), default=False)
    mapping = models.JSONField(_("columns"), default=dict, blank=True)
    filename = models.CharField(_("file"), max_length=255)
    size = models.BigIntegerField(_("bytes"), default=0)
    form = models.CharField(_("form"), max_length=10, blank=True)
    encoding = models.CharField(_("encoding"), max_length=30, blank=True)
    counts = models.JSONField(default=dict)
    redacted = models.JSONField(default=dict)
    mined = models.JSONField(default=dict)
    fault_count = models.PositiveIntegerField(_("faults"), default=0)
    faults = models.JSONField(default=list)

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("import of past conversations")
        verbose_name_plural = _("imports of past conversations")
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="chatbot_history_recent"),
            models.Index(
                fields=["created_at"],
                name="chatbot_history_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} {self.state}"


class PastConversation(TenantModel):
    """A conversation as its source had it last. `digest` is of the source's words; when they change, the
    parts are written anew and mined again. `subject` leads to all of one customer without naming them.
    """

    subject_path = "subject"

    source = models.CharField(_("source"), max_length=12, choices=HistorySource)
    external_id = models.CharField(_("id in the source"), max_length=MOST_ID)
    run = models.ForeignKey(
        HistoryRun,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
    )
    line = models.PositiveIntegerField(_("line"), null=True, blank=True)
    channel = models.CharField(_("channel"), max_length=40, blank=True)
    title = models.CharField(_("title"), max_length=300, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    status = models.CharField(_("status"), max_length=40, blank=True)
    rating = models.CharField(_("satisfaction"), max_length=40, blank=True)
    opened_at = models.DateTimeField(_("opened"), null=True, blank=True)
    subject = models.CharField(_("whose data"), max_length=80)
    digest = models.CharField(max_length=64, editable=False)
    # Where its questions went; nowhere yet, or nowhere any more, where the dataset was deleted.
    mined_into = models.ForeignKey(
        Dataset, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("past conversation")
        verbose_name_plural = _("past conversations")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "source", "external_id"], name="chatbot_past_once"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "subject"], name="chatbot_past_subject"),
            models.Index(
                fields=["tenant", "source", "id"],
                name="chatbot_past_unmined",
                condition=models.Q(mined_into=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.external_id}"


class PastPart(TenantModel):
    """What one side said, redacted; or a note or an event, which nobody learns from."""

    subject_path = "conversation__subject"

    class Role(models.TextChoices):
        VISITOR = "visitor", _("visitor")
        AGENT = "agent", _("agent")
        BOT = "bot", _("bot")
        SYSTEM = "system", _("system")

    conversation = models.ForeignKey(
        PastConversation, on_delete=models.CASCADE, related_name="parts"
    )
    position = models.PositiveIntegerField()
    role = models.CharField(_("role"), max_length=8, choices=Role)
    is_private = models.BooleanField(_("private note"), default=False)
    text = models.TextField(_("text"), blank=True)
    attachments = models.PositiveSmallIntegerField(_("attachments"), default=0)
    at = models.DateTimeField(_("said"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["position"]
        verbose_name = _("past message")
        verbose_name_plural = _("past messages")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "position"], name="chatbot_past_part_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.role}"


class SealedOriginals(TenantModel):
    """What the placeholders of one conversation stand for: {placeholder: original}, sealed
    (tenancy.sealing). Opened for an owner alone, and each opening is on the trail."""

    subject_path = "conversation__subject"

    conversation = models.OneToOneField(
        PastConversation, on_delete=models.CASCADE, related_name="originals"
    )
    sealed = models.TextField(editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("sealed personal data")
        verbose_name_plural = _("sealed personal data")

    def __str__(self) -> str:
        return str(self.conversation_id)


class MinedPair(TenantModel):
    """A question of the past that people answered, and the example that stands for it. Several pairs
    with one example were asked in nearly the same words; their number is how often."""

    subject_path = "conversation__subject"

    conversation = models.ForeignKey(
        PastConversation, on_delete=models.CASCADE, related_name="pairs"
    )
    position = models.PositiveIntegerField(_("place of the question"))
    example = models.ForeignKey(
        Example, on_delete=models.SET_NULL, null=True, blank=True, related_name="mined_pairs"
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("mined question")
        verbose_name_plural = _("mined questions")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "position"], name="chatbot_mined_pair_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.position}"


class RedactionRules(TenantModel):
    """One row a tenant: the forms of its order numbers (labeling.order_numbers), and what of its own
    addresses, numbers and names is not to be redacted."""

    subject_path: ClassVar[str | None] = None

    orders = models.JSONField(_("forms of order numbers"), default=list, blank=True)
    kept = models.JSONField(_("our own"), default=list, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("redaction rules")
        verbose_name_plural = _("redaction rules")
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="chatbot_redaction_rules_once")
        ]

    def __str__(self) -> str:
        return str(self.tenant_id)
