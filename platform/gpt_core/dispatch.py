"""The queue's hands: who takes the next job, who holds what, and what happens when a holder is lost.

The database is the truth and the broker a doorbell: `ring` only says "look", and may be lost, repeated or
late without harm. Everything here may run in several workers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from kombu.exceptions import OperationalError as BrokerError

from . import announcements, fair_queue, job_folder, workers
from .fair_queue import KINDS
from .models import (
    Evaluation,
    Export,
    FineTuningJob,
    JobEvent,
    State,
    Supervised,
    Whose,
    seconds_from_now,
)

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended without its result, as a code and figures."""

    code: str
    whose: str = Whose.SYSTEM
    detail: str = ""
    line: int | None = None
    pointer: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_columns(self) -> dict[str, Any]:
        return {
            "failure_code": self.code[:64],
            "failure_whose": self.whose,
            "failure_detail": self.detail[:4000],
            "failure_line": self.line,
            "failure_pointer": self.pointer[:500],
            "failure_data": dict(self.data),
        }


def claim_next(worker: str) -> Supervised | None:
    """Take the next job for this worker, or None where nobody waits. Needs a system scope."""
    # More than one is tried, for another worker may be taking the first at this moment.
    for place in fair_queue.line():
        if claimed := _claim(place.kind, place.pk, worker):
            return claimed
    return None


def give_back(row: Supervised, failure: Failure) -> bool:
    """End an attempt of the row that was read: back to the queue, or failed after too many.

    Returns whether the row was still held by that attempt; nothing is written otherwise.
    """
    kind = type(row)
    with transaction.atomic():
        held = kind.objects.held(row.pk, row.fencing_token)
        current = held.select_for_update().first()
        if current is None:
            return False
        gone = current.attempts_without_progress >= MOST_ATTEMPTS
        tail = job_folder.log_tail(job_folder.folder_of(row))
        data = {"code": failure.code, "detail": failure.detail[:500], "attempt": current.attempt}
        if gone:
            held.move(State.FAILED, log_tail=tail, **failure.as_columns())
            record(current, "gave_up", level="error", **data)
        else:
            pause = settings.JOB_RETRY_SECONDS * 2 ** (current.attempts_without_progress - 1)
            held.move(State.QUEUED, log_tail=tail, not_before=seconds_from_now(max(0, pause)))
            record(current, "attempt_failed", level="warning", **data)
    return True


def release(row: Supervised) -> bool:
    """Put the row back as it was claimed: its worker goes away, and that is nobody's failure."""
    moved = (
        type(row)
        .objects.held(row.pk, row.fencing_token)
        .move(
            State.QUEUED,
            attempts_without_progress=Greatest(F("attempts_without_progress") - 1, 0),
            not_before=None,
        )
    )
    if moved:
        ring()
    return bool(moved)


def take_back_expired() -> int:
    """Return to the queue whatever a worker held and did not renew. Needs a system scope."""
    taken = 0
    for kind in KINDS:
        for row in kind.objects.expired():
            failure = Failure("worker_lost", detail=f"no heartbeat from {row.worker}")
            # give_back asks again under the lock: a heartbeat that came in between wins.
            with transaction.atomic():
                still = kind.objects.expired().filter(pk=row.pk, fencing_token=row.fencing_token)
                taken += bool(still.select_for_update().exists() and give_back(row, failure))
    return taken


def take_back_from_the_dead() -> int:
    """Return at once what workers held that died on this machine; leases are for all others.

    Needs a system scope.
    """
    taken = 0
    for kind in KINDS:
        here = kind.objects.filter(state=State.RUNNING, worker__startswith=f"{workers.place()}:")
        for row in here:
            if workers.is_dead(row.worker):
                failure = Failure("worker_lost", detail=f"{row.worker} has died")
                taken += give_back(row, failure)
    return taken


def work_waits() -> bool:
    unchecked = FineTuningJob.objects.filter(state=State.VALIDATING_FILES)
    return any(kind.objects.claimable().exists() for kind in KINDS) or unchecked.exists()


def ring() -> None:
    """Say "look" to a trainer once this transaction is committed."""
    transaction.on_commit(lambda: _ring())


def ring_for_admission() -> None:
    """Say "look" to whoever checks new jobs, so that a busy trainer keeps nobody out of the queue."""
    transaction.on_commit(lambda: _ring("admit_waiting", "default"))


def ring_for_files() -> None:
    """Say "look" to whoever reads the files of new jobs."""
    transaction.on_commit(lambda: _ring("admit_files", "long"))


def record(row: Supervised, event: str, /, *, level: str = "info", **data: Any) -> JobEvent | None:
    """Add to the story of the job that the row belongs to, and announce what of it is told outside."""
    announcements.announce(row, event, data)
    job_id = row.pk if isinstance(row, FineTuningJob) else _job_of(row)
    if job_id is None:
        return None
    if isinstance(row, Export):
        # Told in the story of the job that made the checkpoint, where its own events have these codes.
        event, data = f"export_{event}", data | {"export": str(row.pk), "kind": row.kind}
    return JobEvent.objects.create(
        tenant_id=row.tenant_id,
        job_id=job_id,
        evaluation_id=row.pk if isinstance(row, Evaluation) else None,
        code=event,
        level=level,
        data=data,
    )


def _job_of(row: Supervised) -> UUID | None:
    return row.checkpoint.job_id if isinstance(row, Evaluation | Export) else None


def _ring(task: str = "supervise_next", queue: str = "training") -> None:
    try:
        current_app.send_task(f"gpt_core.tasks.{task}", queue=queue, retry=False, expires=3600)
    except (BrokerError, OSError) as error:
        # Beat looks every few seconds whether work waits, and rings then.
        logger.warning("the broker does not answer, the doorbell rings later: %s", error)


def _claim(kind: type[Supervised], pk: UUID, worker: str) -> Supervised | None:
    """The row, ours alone; None where another worker was quicker."""
    with transaction.atomic():
        queue = kind.objects.claimable().filter(pk=pk)
        if not queue.select_for_update(skip_locked=True).exists():
            return None
        if not queue.claim(worker, settings.JOB_LEASE_SECONDS):
            return None
        return kind.objects.get(pk=pk)
