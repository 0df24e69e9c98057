"""Base models and the jobs that tune them."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .states import State
from .supervised import Supervised


class BaseModel(models.Model):
    """A frozen base model, prepared once and shared by every tenant. Its files are found by their digest."""

    subject_path = None

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=64)
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    folder_name = models.CharField(max_length=100)
    architecture = models.CharField(_("architecture"), max_length=40)
    parameters = models.BigIntegerField(_("parameters"))
    context = models.PositiveIntegerField(_("context"))
    languages = models.JSONField(_("languages"), default=list)
    source = models.CharField(_("source"), max_length=500, blank=True, default="")
    licence = models.CharField(_("licence"), max_length=100, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name", "-created_at"]
        verbose_name = _("base model")
        verbose_name_plural = _("base models")

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> str:
        return str(Path(settings.PARLEY_HOME) / "bases" / self.folder_name)

    @property
    def engine_url(self) -> str | None:
        """Where the engine that serves this base listens, or None where none does."""
        engine = settings.GPT_ENGINES.get(self.name)
        return engine["url"] if isinstance(engine, dict) else engine


class FineTuningJob(Supervised):
    """One fine-tuning of one base on one frozen dataset version, for one deployment.

    A job that names stored files gets its version when they have been checked (gpt_core.admission).
    """

    KIND = "training"
    subject_path = "actor"

    name = models.CharField(_("name"), max_length=64, blank=True, default="")
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="jobs")
    dataset_version = models.ForeignKey(
        "labeling.DatasetVersion", on_delete=models.PROTECT, null=True, related_name="jobs"
    )
    training_file = models.ForeignKey(
        "labeling.StoredFile", on_delete=models.PROTECT, null=True, related_name="+"
    )
    validation_file = models.ForeignKey(
        "labeling.StoredFile", on_delete=models.PROTECT, null=True, related_name="+"
    )
    result_file = models.ForeignKey(
        "labeling.StoredFile", on_delete=models.PROTECT, null=True, related_name="+"
    )
    metadata = models.JSONField(_("metadata"), default=dict)
    deployment_name = models.CharField(_("deployment"), max_length=63)
    number = models.PositiveIntegerField(_("number"))
    retry_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    method = models.JSONField(_("method"), default=dict)
    hyperparameters = models.JSONField(_("hyperparameters"), default=dict)
    chosen = models.JSONField(_("chosen values"), default=dict)
    reasons = models.JSONField(_("why they were chosen"), default=dict)
    seed = models.BigIntegerField(_("seed"), default=0)
    precision = models.CharField(_("precision"), max_length=10, default="auto")
    main_metric = models.CharField(_("main metric"), max_length=40, default="auto")

    # Guessed when it was started (gpt_core.estimates): what later jobs are estimated by.
    estimated_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    tokens_per_second = models.FloatField(null=True, blank=True)
    trained_tokens = models.PositiveBigIntegerField(default=0)
    best_step = models.PositiveBigIntegerField(null=True, blank=True)
    best_loss = models.FloatField(null=True, blank=True)

    class Meta:
        base_manager_name = "objects"
        ordering = ["-queued_at"]
        verbose_name = _("fine-tuning job")
        verbose_name_plural = _("fine-tuning jobs")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "deployment_name", "number"], name="one_job_per_number"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="job_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(dataset_version__isnull=False)
                | models.Q(
                    training_file__isnull=False,
                    state__in=[State.VALIDATING_FILES, State.FAILED, State.CANCELLED],
                ),
                name="job_has_rows_to_learn_from",
            ),
        ]
        indexes = [models.Index(fields=["state", "queued_at"], name="job_in_queue")]

    def __str__(self) -> str:
        return self.name or self.unhashed_name

    @property
    def unhashed_name(self) -> str:
        """The checkpoint's name but for the hash of its weights, which nobody knows yet."""
        return f"{self.tenant.slug}.{self.deployment_name}@v{self.number}"


class JobEvent(TenantModel):
    """What happened to a job, in order. `code` is stable; its sentence is made where it is shown."""

    subject_path = None

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    job = models.ForeignKey(FineTuningJob, on_delete=models.CASCADE, related_name="events")
    evaluation = models.ForeignKey(
        "gpt_core.Evaluation", on_delete=models.CASCADE, null=True, related_name="events"
    )
    at = models.DateTimeField(db_default=Now())
    level = models.CharField(max_length=8, default="info")
    code = models.CharField(max_length=64)
    data = models.JSONField(default=dict)

    class Meta:
        base_manager_name = "objects"
        ordering = ["id"]
        verbose_name = _("job event")
        verbose_name_plural = _("job events")

    def __str__(self) -> str:
        return self.code


class JobMetric(TenantModel):
    """Figures of one step. A step done again after a resume has the same figures and stays one row."""

    subject_path = None

    class Kind(models.TextChoices):
        TRAIN = "train", _("training")
        VALIDATION = "validation", _("validation")

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    job = models.ForeignKey(FineTuningJob, on_delete=models.CASCADE, related_name="metrics")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    step = models.PositiveBigIntegerField()
    loss = models.FloatField()
    token_accuracy = models.FloatField(null=True)
    learning_rate = models.FloatField(null=True)
    grad_norm = models.FloatField(null=True)
    best = models.BooleanField(default=False)

    class Meta:
        base_manager_name = "objects"
        ordering = ["step"]
        verbose_name = _("job metric")
        verbose_name_plural = _("job metrics")
        constraints = [
            models.UniqueConstraint(fields=["job", "kind", "step"], name="one_figure_per_step")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.step}: {self.loss}"
