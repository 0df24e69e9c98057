"""Long work on a dataset: files that are read in, versions that are frozen, many examples changed.

The row is the truth and Celery's message only says "look" (labeling.work). A worker holds a row by
a lease and a token that grows with each claim; what it writes says `token = mine`, so a worker that
was given up for dead writes nothing any more. All of this work may be done anew from its start.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from labeling.models.datasets import Dataset, DatasetVersion, StoredFile
from labeling.querysets import WorkQuerySet
from labeling.rows import MAX_LABEL_CHARACTERS
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager


class WorkManager(TenantManager.from_queryset(WorkQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of WorkQuerySet."""


class Work(TenantModel):
    """Something that takes a while: how far it is, and who holds it.

    Each kind names the function that does it, `function(hold)`, and the queue whose workers do.
    """

    done_by: ClassVar[str]
    queue: ClassVar[str] = "default"

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    # How much of it is done, 0 to 1, and in rows.
    share = models.FloatField(default=0)
    done = models.PositiveBigIntegerField(_("rows done"), default=0)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    token = models.BigIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    cancel_requested = models.BooleanField(default=False)
    failure = models.CharField(max_length=100, blank=True)

    objects: ClassVar[WorkManager] = WorkManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @property
    def is_open(self) -> bool:
        """It waits or is being worked on."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def elapsed(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return max((self.finished_at or timezone.now()) - self.started_at, timedelta())

    @property
    def rate(self) -> float | None:
        """Rows a second in this attempt."""
        seconds = self.elapsed.total_seconds() if self.elapsed is not None else 0
        return self.done / seconds if self.done and seconds >= 1 else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None while there is too little to go by."""
        seconds = self.elapsed.total_seconds() if self.elapsed is not None else 0
        if self.state != self.State.RUNNING or self.share < 0.02 or seconds < 2:
            return None
        return seconds * (1 - self.share) / self.share


class ImportRun(Work):
    """One file, read once: what it was and what became of its rows.

    `counts` is written in the transaction of the rows that it counts. With a stored `file` the run
    is worked on in the background and taken up again where a worker was killed; without one it is
    read while somebody waits, and one that stays `running` was killed: its rows are whole batches,
    and importing the file again adds only the missing ones. `is_check` reads the whole file and
    writes nothing but `findings`: what the import would do. `faults` keeps the first hundred
    without sentences (labeling.faults).
    """

    subject_path = None
    done_by = "labeling.background.read_file"

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="import_runs")
    file = models.ForeignKey(
        StoredFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="import_runs"
    )
    is_check = models.BooleanField(_("only checked"), default=False)
    mapping = models.JSONField(_("columns"), default=dict, blank=True)
    example_state = models.CharField(_("examples come as"), max_length=10, default="accepted")
    filename = models.CharField(_("file"), max_length=255)
    size = models.BigIntegerField(_("bytes"), default=0)
    form = models.CharField(_("form"), max_length=10, blank=True)
    encoding = models.CharField(_("encoding"), max_length=30, blank=True)
    counts = models.JSONField(_("counts"), default=dict)
    fault_count = models.PositiveIntegerField(_("faults"), default=0)
    faults = models.JSONField(default=list)
    ignored = models.JSONField(default=dict)
    findings = models.JSONField(default=dict)

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        indexes = [
            models.Index(fields=["dataset", "-created_at"], name="labeling_import_recent"),
            models.Index(
                fields=["created_at"],
                name="labeling_import_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} {self.state}"


class ImportPreset(TenantModel):
    """Which column means what, kept under a name for the next file of the same maker."""

    subject_path = None

    name = models.CharField(_("name"), max_length=100)
    mapping = models.JSONField(_("columns"))

    class Meta(TenantModel.Meta):
        verbose_name = _("column mapping")
        verbose_name_plural = _("column mappings")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="labeling_preset_once")
        ]

    def __str__(self) -> str:
        return self.name


class FreezeRun(Work):
    """A version that is being made, or could not be."""

    subject_path = None
    done_by = "labeling.background.freeze"

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="freeze_runs")
    seed = models.BigIntegerField(_("seed"), default=0)
    shares = models.JSONField(_("shares"), default=list)
    version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("freeze")
        verbose_name_plural = _("freezes")
        indexes = [
            models.Index(fields=["dataset", "-created_at"], name="labeling_freeze_recent"),
            models.Index(
                fields=["created_at"],
                name="labeling_freeze_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.state}"


class BulkChange(Work):
    """One decision about many examples at once: each gets its annotation, and all can be undone.

    `filters` say which examples were meant when it was asked for (labeling.finding).
    """

    subject_path = None
    done_by = "labeling.bulk.apply_change"

    class Action(models.TextChoices):
        ACCEPT = "accept", _("accept")
        REJECT = "reject", _("reject")
        ADD_LABEL = "add_label", _("add a label")
        REMOVE_LABEL = "remove_label", _("remove a label")
        UNDO = "undo", _("undo")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="bulk_changes")
    action = models.CharField(_("action"), max_length=12, choices=Action)
    label = models.CharField(_("label"), max_length=MAX_LABEL_CHARACTERS, blank=True)
    filters = models.JSONField(_("which examples"), default=dict)
    total = models.PositiveBigIntegerField(_("examples"), default=0)
    undoes = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="undone_by"
    )

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("bulk change")
        verbose_name_plural = _("bulk changes")
        indexes = [
            models.Index(fields=["dataset", "-created_at"], name="labeling_bulk_recent"),
            models.Index(
                fields=["created_at"],
                name="labeling_bulk_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.total}"


def kinds() -> list[type[Any]]:
    """Every table of long work, a product's as well."""
    return [model for model in apps.get_models() if issubclass(model, Work)]
