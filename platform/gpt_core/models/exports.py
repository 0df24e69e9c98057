"""Exports: a checkpoint as a file that other programs load, with the proof that it answers the same."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .results import Checkpoint
from .states import State
from .supervised import Supervised


class Export(Supervised):
    """One file made of one checkpoint. It is offered once its proof holds, and kept for some days."""

    KIND = "export"
    subject_path = "actor"

    class Kind(models.TextChoices):
        ADAPTER = "adapter", _("adapter")
        MERGED = "merged", _("merged weights")
        GGUF = "gguf", _("GGUF")

    class Precision(models.TextChoices):
        FLOAT32 = "float32", "float32"
        BFLOAT16 = "bfloat16", "bfloat16"
        FLOAT16 = "float16", "float16"

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="exports")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    precision = models.CharField(_("precision"), max_length=8, choices=Precision.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    filename = models.CharField(_("file"), max_length=200, blank=True, default="")
    size = models.BigIntegerField(_("size"), null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    proof = models.JSONField(_("proof"), null=True, blank=True)
    expires_at = models.DateTimeField(_("kept until"), null=True, blank=True)

    class Meta:
        base_manager_name = "objects"
        ordering = ["-queued_at"]
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="export_state_is_known"
            )
        ]
        indexes = [models.Index(fields=["state", "queued_at"], name="export_in_queue")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.checkpoint_id}"

    @property
    def is_ready(self) -> bool:
        """There is a file, and it is proven."""
        return self.state == State.SUCCEEDED and bool(self.filename)
