"""What a job leaves behind: checkpoints, their evaluations, and the deployments that serve them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel
from tenancy.querysets import TenantManager, TenantQuerySet

from .jobs import BaseModel, FineTuningJob
from .states import State
from .supervised import Supervised


class CheckpointQuerySet(TenantQuerySet["Checkpoint"]):
    def present(self) -> CheckpointQuerySet:
        """Those whose files are there."""
        return self.filter(deleted_at=None)

    def results(self) -> CheckpointQuerySet:
        """What jobs ended with, without the steps that were kept on the way."""
        return self.present().filter(step_of=None)

    def passed(self) -> CheckpointQuerySet:
        """What the gate has let pass at some time."""
        judged = Evaluation.objects.filter(state=State.SUCCEEDED, verdict__passed=True)
        return self.present().filter(pk__in=judged.values("checkpoint"))


class CheckpointManager(TenantManager.from_queryset(CheckpointQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of CheckpointQuerySet."""


class Checkpoint(TenantModel):
    """An immutable result: its name is never reused and its files are found by their digest.

    A job has one, its `checkpoint`; `step_of` names the job of a step that was kept on the way. The
    row of a deleted one stays: what it was made from, judged by and served for still names it.
    """

    subject_path = None

    class Kind(models.TextChoices):
        ADAPTER = "adapter", _("adapter")
        FULL = "full", _("full model")

    name = models.CharField(_("name"), max_length=160, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default=Kind.ADAPTER)
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="checkpoints")
    # One to one: a job that is run again after a crash cannot leave two results.
    job = models.OneToOneField(
        FineTuningJob, on_delete=models.PROTECT, null=True, related_name="checkpoint"
    )
    step_of = models.ForeignKey(
        FineTuningJob, on_delete=models.PROTECT, null=True, related_name="step_checkpoints"
    )
    step = models.PositiveBigIntegerField(_("step"), null=True)
    dataset_version = models.ForeignKey(
        "labeling.DatasetVersion", on_delete=models.PROTECT, null=True, related_name="checkpoints"
    )
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    manifest = models.JSONField(_("manifest"), default=dict)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    objects: ClassVar[CheckpointManager] = CheckpointManager()

    class Meta:
        base_manager_name = "objects"
        ordering = ["-created_at"]
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        constraints = [
            models.UniqueConstraint(fields=["step_of", "step"], name="one_checkpoint_per_step")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> str:
        return str(Path(settings.PARLEY_HOME) / "checkpoints" / self.digest)

    @property
    def deployment_name(self) -> str:
        return self.name.partition(".")[2].partition("@")[0]

    @property
    def served_by(self) -> str | None:
        """The base name of the engine that can serve this checkpoint, or None where none can.

        A full fine-tune is a base of its own, so an engine of the original base does not help it.
        """
        base = self.base_model.name if self.kind == self.Kind.ADAPTER else self.name
        return base if base in settings.GPT_ENGINES else None


class Evaluation(Supervised):
    """A checkpoint beside its base, and beside what served when the evaluation began."""

    KIND = "evaluation"
    subject_path = None

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="evaluations")
    champion = models.ForeignKey(
        Checkpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    main_metric = models.CharField(_("main metric"), max_length=40, default="auto")
    report = models.JSONField(_("report"), null=True, blank=True)
    verdict = models.JSONField(_("verdict"), null=True, blank=True)

    class Meta:
        base_manager_name = "objects"
        ordering = ["-queued_at"]
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="evaluation_state_is_known"
            )
        ]
        indexes = [models.Index(fields=["state", "queued_at"], name="evaluation_in_queue")]

    def __str__(self) -> str:
        return f"evaluation of {self.checkpoint_id}"

    @property
    def passed(self) -> bool | None:
        """The gate's word, or None before it spoke."""
        return None if self.verdict is None else bool(self.verdict["passed"])


class Deployment(TenantModel):
    """A product's slot: which checkpoint serves it now, and which one did before."""

    subject_path = None

    name = models.SlugField(_("name"), max_length=63)
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="deployments")
    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="serving"
    )
    previous = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        base_manager_name = "objects"
        ordering = ["name"]
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_deployment_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def model(self) -> str:
        """What the engine calls the model that answers here: the checkpoint, or the base alone."""
        return self.checkpoint.name if self.checkpoint else self.base_model.name


class DeploymentChange(TenantModel):
    """One promotion or roll-back, kept for ever with who did it and why."""

    subject_path = "actor"

    class Kind(models.TextChoices):
        PROMOTE = "promote", _("promoted")
        ROLL_BACK = "roll_back", _("rolled back")

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    before = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, null=True, related_name="+")
    after = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, null=True, related_name="+")
    evaluation = models.ForeignKey(
        Evaluation, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    override_reason = models.TextField(_("reason for overriding the gate"), blank=True, default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        base_manager_name = "objects"
        ordering = ["-at"]
        verbose_name = _("deployment change")
        verbose_name_plural = _("deployment changes")

    def __str__(self) -> str:
        return f"{self.kind} {self.after_id}"
