"""Questions that every checkpoint must answer well before it serves, and how it did."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gpt_core.models import Checkpoint
from labeling.models import Work
from tenancy.models import TenantModel

from .inboxes import Inbox
from .knowledge import Article


class RegressionCase(TenantModel):
    """One question with what its answer must hold. `subject` is the visitor who asked it once, whose
    erasure takes it along; `source_ref` names the answer, article or example that it was made of."""

    subject_path = "subject"

    class Origin(models.TextChoices):
        REVIEW = "review", _("a reviewed answer")
        ARTICLE = "article", _("an article")
        EXAMPLE = "example", _("a corrected answer")
        PERSON = "person", _("written here")

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="regression_cases")
    question = models.TextField(_("question"))
    digest = models.CharField(max_length=64, editable=False)
    must_contain = models.JSONField(_("must say"), default=list, blank=True)
    article = models.ForeignKey(
        Article, on_delete=models.CASCADE, null=True, blank=True, related_name="regression_cases"
    )
    must_refuse = models.BooleanField(_("must be refused"), default=False)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.PERSON)
    source_ref = models.CharField(max_length=60, blank=True)
    subject = models.CharField(max_length=200, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("test question")
        verbose_name_plural = _("test questions")
        constraints = [
            models.UniqueConstraint(fields=["inbox", "digest"], name="chatbot_regression_case_once")
        ]

    def __str__(self) -> str:
        return self.question[:60]


class RegressionRun(Work):
    """The questions of one inbox put to one checkpoint, `samples` times each. `suite` is the digest
    of what was asked: once the questions are others, the run says nothing any more."""

    subject_path = None
    done_by = "apps.chatbot.regression.running.run_suite"
    queue = "long"

    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.CASCADE, related_name="regression_runs"
    )
    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="regression_runs")
    suite = models.CharField(max_length=64)
    samples = models.PositiveSmallIntegerField(default=3)
    cases = models.PositiveIntegerField(default=0)
    cases_passed = models.PositiveIntegerField(default=0)
    passed = models.BooleanField(null=True)

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("run of the test questions")
        verbose_name_plural = _("runs of the test questions")
        indexes = [
            models.Index(
                fields=["checkpoint", "inbox", "-created_at"], name="chatbot_regression_recent"
            ),
            models.Index(
                fields=["created_at"],
                name="chatbot_regression_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint_id} {self.state}"


class RegressionResult(TenantModel):
    """One case of one run: [{"text", "outcome", "faults"}], and whether all of them pass."""

    subject_path = "case__subject"

    run = models.ForeignKey(RegressionRun, on_delete=models.CASCADE, related_name="results")
    case = models.ForeignKey(RegressionCase, on_delete=models.CASCADE, related_name="results")
    passed = models.BooleanField()
    samples = models.JSONField(default=list)

    class Meta(TenantModel.Meta):
        verbose_name = _("result of a test question")
        verbose_name_plural = _("results of test questions")
        constraints = [
            models.UniqueConstraint(fields=["run", "case"], name="chatbot_regression_result_once")
        ]

    def __str__(self) -> str:
        return f"{self.case_id} {self.passed}"
