"""What the workers do. A message only says "look": what there is to do stands in the database."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from billiard import current_process
from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.utils import timezone

from common.errors import ConflictError
from labeling.models import Assignment, LabelingTask
from tenancy.home import keeping_files_still
from tenancy.scope import tenant_scope
from tenancy.tasks import SystemTask, TenantTask

from . import (
    admission,
    closing,
    dispatch,
    file_admission,
    services,
    sightings,
    storage,
    suggestions,
)
from .models import TenantArchive
from .supervision import supervise
from .workers import worker_name

logger = logging.getLogger(__name__)

# One byte shared with the pool's processes, which are forked from the one that hears the shutdown.
_shutting_down = mmap.mmap(-1, 1)


@worker_shutting_down.connect
def _tell_supervisors(**_details: Any) -> None:
    _shutting_down[0] = 1


@worker_ready.connect
def _look_at_the_start(**_details: Any) -> None:
    """The bell may have rung while nobody was there to hear it."""
    dispatch.ring()


@shared_task(base=SystemTask, reason="takes the next job in the fair order of all tenants")
def supervise_next() -> int:
    """Claim what waits, one job after another, and see each through. Returns how many."""
    seen = 0
    with _leaving() as leaving:
        while not leaving() and supervise_one(leaving):
            seen += 1
    return seen


@shared_task(base=SystemTask, reason="checks the new jobs of every tenant")
def admit_waiting() -> None:
    """Let what is sound into the queue, and ring for it."""
    if admission.admit_waiting():
        dispatch.ring()


@shared_task(base=SystemTask, reason="checks the files of the next new job of any tenant")
def admit_files() -> None:
    """One job's files: a message for each, so that other long work has its turn in between."""
    if file_admission.admit_next() and file_admission.waits():
        dispatch.ring_for_files()


@shared_task(base=SystemTask, reason="ends leases that ran out and rings where work waits")
def reap() -> None:
    """The safety net under the broker and the workers, every few seconds."""
    dispatch.take_back_expired()
    dispatch.take_back_from_the_dead()
    admission.admit_waiting()
    if file_admission.waits():
        dispatch.ring_for_files()
    if dispatch.work_waits():
        dispatch.ring()


@shared_task(base=SystemTask, reason="the engines serve what every tenant's deployments name")
def reconcile_engines() -> None:
    """Have each engine serve what is deployed and what was before it."""
    services.reconcile_engines()


@shared_task(base=TenantTask)
def suggest_ahead(*, tenant_id: str, task_id: str) -> int:
    """Look at the next items of a labelling task before people do."""
    task = LabelingTask.objects.filter(pk=task_id, state=LabelingTask.State.OPEN).first()
    return suggestions.suggest_ahead(task) if task is not None else 0


@shared_task(
    base=SystemTask, reason="looks whether the labelling tasks of any tenant lack suggestions"
)
def suggest_where_needed() -> None:
    """The net under a bell that was lost, and under a checkpoint that was exchanged."""
    held = Assignment.objects.filter(annotation=None, leased_until__gt=timezone.now())
    for task in LabelingTask.objects.filter(
        pk__in=held.values("item__task"), state=LabelingTask.State.OPEN
    ).exclude(suggester=""):
        suggest_ahead.delay(tenant_id=str(task.tenant_id), task_id=str(task.pk))


@shared_task(base=SystemTask, reason="deletes the exports of every tenant whose time is over")
def sweep_exports() -> None:
    """And the files that no row speaks of any more."""
    services.sweep_exports()


@shared_task(base=SystemTask, bind=True, reason="notes which workers are there")
def hear(task: Any, queue: str) -> None:
    """Beat rings each queue; whoever hears it is at work."""
    sightings.note(str(task.request.hostname or "here"), queue)


@shared_task(base=SystemTask, reason="writes the archives that companies asked for")
def write_archives() -> int:
    """One after another; returns how many."""
    return closing.write_waiting()


@shared_task(base=SystemTask, reason="deletes archives whose time is over, and companies likewise")
def close_what_is_due() -> None:
    """And rings where an archive waits or was left by a worker that is gone."""
    closing.sweep_archives()
    closing.erase_due()
    if TenantArchive.objects.claimable().exists():
        write_archives.apply_async(queue="long", expires=600)


@shared_task(base=SystemTask, reason="measures what every tenant keeps on the disk")
def measure_storage() -> None:
    """What quotas are held against."""
    storage.measure_every_tenant()


@shared_task(base=SystemTask, reason="collects the old checkpoints of every tenant")
def collect_checkpoints() -> None:
    """By night, by rule, unless a backup is being written; then the next night."""
    try:
        with keeping_files_still():
            services.collect_of_every_tenant()
    except ConflictError:
        logger.info("no checkpoints are collected while a backup is at work")


def supervise_one(leaving: Callable[[], bool]) -> bool:
    """Claim one job and see it through; False where nothing waits. Needs a system scope."""
    dispatch.take_back_from_the_dead()
    admission.admit_waiting()
    row = dispatch.claim_next(worker_name())
    if row is None:
        return file_admission.admit_neglected()
    with tenant_scope(row.tenant_id):
        supervise(row, leaving=leaving)
    return True


@contextlib.contextmanager
def _leaving() -> Iterator[Callable[[], bool]]:
    """A question that says yes once this worker is to go: told to, shutting down, or orphaned."""
    told: list[int] = []
    parent = os.getppid()

    def leaving() -> bool:
        return bool(told) or _shutting_down[0] == 1 or os.getppid() != parent

    if threading.current_thread() is not threading.main_thread():
        yield leaving
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    try:
        yield leaving
    finally:
        signal.signal(signal.SIGTERM, before)
        if told and current_process().name == "MainProcess":
            # A worker without a pool heard it in our place, and is still to obey. A pool's process
            # just ends its task: its worker was told as well, and waits for that.
            os.kill(os.getpid(), signal.SIGTERM)
