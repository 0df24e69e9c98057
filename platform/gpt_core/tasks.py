"""What the workers do. A message only says "look": what there is to do stands in the database."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from billiard import current_process
from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down

from tenancy.scope import tenant_scope
from tenancy.tasks import SystemTask

from . import admission, dispatch, services
from .supervision import supervise
from .workers import worker_name

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


@shared_task(base=SystemTask, reason="ends leases that ran out and rings where work waits")
def reap() -> None:
    """The safety net under the broker and the workers, every few seconds."""
    dispatch.take_back_expired()
    dispatch.take_back_from_the_dead()
    admission.admit_waiting()
    if dispatch.work_waits():
        dispatch.ring()


@shared_task(base=SystemTask, reason="the engines serve what every tenant's deployments name")
def reconcile_engines() -> None:
    """Have each engine serve what is deployed and what was before it."""
    services.reconcile_engines()


def supervise_one(leaving: Callable[[], bool]) -> bool:
    """Claim one job and see it through; False where nothing waits. Needs a system scope."""
    dispatch.take_back_from_the_dead()
    admission.admit_waiting()
    row = dispatch.claim_next(worker_name())
    if row is None:
        return False
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
