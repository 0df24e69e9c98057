"""Admission to the queue: is what a job is to learn from still what was frozen?

A job that names files has no version yet, and more to go through (gpt_core.file_admission).
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count

from . import dispatch
from .dispatch import Failure
from .job_folder import SPLITS
from .models import FineTuningJob, State, Whose


def admit_waiting() -> int:
    """Check every job that names a version, and queue or fail it. Needs a system scope."""
    admitted = 0
    waiting = FineTuningJob.objects.filter(
        state=State.VALIDATING_FILES, dataset_version__isnull=False
    )
    for job in waiting.order_by("queued_at")[:100]:
        admitted += admit(job)
    return admitted


def admit(job: FineTuningJob) -> bool:
    """Whether the job stands in the queue now. Asked twice at once, it answers twice and moves once."""
    failure = fault_of(job)
    with transaction.atomic():
        row = FineTuningJob.objects.filter(pk=job.pk)
        if failure is None:
            if row.move(State.QUEUED):
                dispatch.record(job, "queued")
                return True
        elif row.filter(state=State.VALIDATING_FILES).move(State.FAILED, **failure.as_columns()):
            dispatch.record(job, "failed", level="error", code=failure.code)
    return False


def fault_of(job: FineTuningJob) -> Failure | None:
    """What is wrong with the frozen rows, or None."""
    version = job.dataset_version
    assert version is not None
    found = dict(
        version.rows.order_by()
        .values_list("split")
        .annotate(n=Count("pk"))
        .values_list("split", "n")
    )
    if not found.get("train"):
        return Failure("no_training_rows", Whose.USER)
    promised = {split: n for split, n in version.counts.items() if split in SPLITS}
    if any(found.get(split, 0) != n for split, n in promised.items()):
        return Failure("dataset_version_changed", Whose.USER, detail=f"{found} is not {promised}")
    return None
