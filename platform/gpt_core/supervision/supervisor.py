"""Watching one attempt: the process, its events, the lease, and what people ask for meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

from common.errors import ApplicationError
from tenancy import quotas

from .. import dispatch, job_folder
from ..dispatch import Failure
from ..models import (
    TERMINAL,
    Evaluation,
    Export,
    FineTuningJob,
    JobEvent,
    JobMetric,
    State,
    Supervised,
    Whose,
)
from .child import Child
from .evaluation import EvaluationWork
from .export import ExportWork
from .lease import Lease, LeaseLostError
from .tail import Tail
from .training import TrainingWork
from .work import Reading, Work, WorkError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

TICK_SECONDS = 0.5
# Nothing of a cancelled job is kept, so there is nothing to wait for but the end of a step.
CANCEL_GRACE = 5.0
# A step, and then the saving of the state that the next attempt starts from.
SAVE_GRACE = 10.0


class Stop(Enum):
    """Why a supervisor stops its process before it has ended by itself."""

    CANCEL = "cancel"
    PAUSE = "pause"
    LEAVE = "leave"
    FLOOD = "flood"


def supervise(row: Supervised, *, leaving: Callable[[], bool] = lambda: False) -> None:
    """See one claimed job through to the end of this attempt. Needs the scope of the job's tenant.

    `leaving` is asked about twice a second: once it says yes, the process is stopped where it can
    be resumed and the job goes back to the queue. Raises nothing that concerns the job itself.
    """
    lease = Lease(row)
    try:
        _Attempt(_work_of(row), lease, leaving).run()
    except LeaseLostError:
        logger.warning("%s %s: the lease is lost, another worker has it", row.KIND, row.pk)
    else:
        _tidy_if_over(row)


def _tidy_if_over(row: Supervised) -> None:
    try:
        if type(row).objects.filter(pk=row.pk, state__in=TERMINAL).exists():
            job_folder.tidy(row)
    except (OperationalError, InterfaceError, OSError) as error:
        logger.warning("%s %s: its folder is not tidied: %s", row.KIND, row.pk, error)


def _work_of(row: Supervised) -> Work:
    if isinstance(row, FineTuningJob):
        return TrainingWork(row)
    if isinstance(row, Evaluation):
        return EvaluationWork(row)
    if isinstance(row, Export):
        return ExportWork(row)
    raise TypeError(f"nobody supervises {type(row).__name__}")


class _Attempt:
    def __init__(self, work: Work, lease: Lease, leaving: Callable[[], bool]) -> None:
        self.work = work
        self.lease = lease
        self.leaving = leaving
        self.stop: Stop | None = None

    def run(self) -> None:
        row = self.work.row
        try:
            folder = self._patiently(self.work.prepare)
            tail = Tail(folder / self.work.EVENTS, row.events_read)
            self._patiently(lambda: self._begin(tail))
            while (command := self.work.command(folder)) is not None:
                status = self._watch(Child(command, folder), tail)
                if self.stop is not None:
                    return self._patiently(self._end_stopped)
                if status != 0:
                    raise WorkError(self.work.failure(status, folder))
                if self.work.finished is None:
                    raise WorkError(Failure("process_ended", detail="it said nothing of a result"))
            self._patiently(lambda: self.work.conclude(folder, self.lease))
        except WorkError as error:
            failure = error.failure
            self._patiently(lambda: self._fail(failure))
        except ApplicationError as error:
            # The rows that were frozen are not all there any more.
            failure = Failure(error.code, Whose.USER, str(error.detail), error.line)
            self._patiently(lambda: self._fail(failure))
        except OSError as error:
            failure = Failure("disk", detail=str(error)[:500])
            self._patiently(lambda: self._fail(failure))
        except LeaseLostError:
            raise
        except (
            Exception
        ) as error:  # a fault of ours: the job says so, instead of waiting for its lease
            logger.exception("%s %s", row.KIND, row.pk)
            failure = Failure("internal", detail=f"{type(error).__name__}: {error}"[:500])
            self._patiently(lambda: self._fail(failure))

    def _begin(self, tail: Tail) -> None:
        with transaction.atomic():
            self.lease.write(events_read=tail.offset)
            dispatch.record(self.work.row, "attempt_began", attempt=self.work.row.attempt)

    def _watch(self, child: Child, tail: Tail) -> int:
        """Follow one process to its end; its exit status."""
        try:
            status = None
            while status is None:
                status = child.wait(TICK_SECONDS)
                self._look(child, tail)
            self._patiently(lambda: self._read_rest(tail))
            return status
        finally:
            # Whatever went wrong here, no process stays behind.
            child.close()

    def _look(self, child: Child, tail: Tail) -> None:
        child.trim_log()
        try:
            orders = self.lease.orders()
            self._read_piece(tail)
            if self.lease.is_due:
                self.lease.renew()
        except (OperationalError, InterfaceError) as error:
            self._forgive(error)
            return
        if orders.cancel:
            self._stop(child, Stop.CANCEL)
        elif tail.is_flooded:
            self._stop(child, Stop.FLOOD)
        elif self.leaving():
            self._stop(child, Stop.LEAVE)
        elif orders.pause:
            self._stop(child, Stop.PAUSE)

    def _stop(self, child: Child, why: Stop) -> None:
        # A cancel overrules a pause that was asked for before it.
        if self.stop is None or why is Stop.CANCEL:
            self.stop = why
        child.terminate(CANCEL_GRACE if why in (Stop.CANCEL, Stop.FLOOD) else SAVE_GRACE)

    def _read_rest(self, tail: Tail) -> None:
        while self._read_piece(tail):
            pass

    def _read_piece(self, tail: Tail) -> bool:
        """Copy the next events into rows, once; the offset moves in the same transaction."""
        events, offset = tail.read()
        if offset == tail.offset:
            return False
        reading = Reading()
        for event in events:
            self.work.read(event, reading)
        with transaction.atomic():
            if self.lease.advance(tail.offset, offset, **reading.changes):
                JobMetric.objects.bulk_create(reading.metrics, ignore_conflicts=True)
                JobEvent.objects.bulk_create(reading.events)
                quotas.count_training_tokens(reading.trained_tokens - self.work.trained_tokens)
        self.work.trained_tokens = max(reading.trained_tokens, self.work.trained_tokens)
        tail.offset = offset
        return True

    def _end_stopped(self) -> None:
        row = self.work.row
        match self.stop:
            case Stop.CANCEL:
                with transaction.atomic():
                    self.lease.end(State.CANCELLED)
                    dispatch.record(row, "cancelled")
            case Stop.PAUSE:
                with transaction.atomic():
                    self.lease.end(State.PAUSED, pause_requested=False)
                    dispatch.record(row, "paused")
            case Stop.FLOOD:
                self._fail(Failure("event_flood", detail="the process wrote without end"))
            case _:
                dispatch.release(row)

    def _fail(self, failure: Failure) -> None:
        """The user's failure is final, for the same data fails again; ours is tried again."""
        row = self.work.row
        if failure.whose != Whose.USER:
            if not dispatch.give_back(row, failure):
                raise LeaseLostError(str(row.pk))
            return
        with transaction.atomic():
            tail = job_folder.log_tail(job_folder.folder_of(row))
            self.lease.end(State.FAILED, log_tail=tail, **failure.as_columns())
            dispatch.record(row, "failed", level="error", code=failure.code)

    def _patiently(self, step: Callable[[], Result]) -> Result:
        """Do it, and do it again while the database is away, for as long as the lease may last."""
        while True:
            try:
                return step()
            except (OperationalError, InterfaceError) as error:
                self._forgive(error)
                time.sleep(TICK_SECONDS)

    def _forgive(self, error: Exception) -> None:
        """A database that is away kills nothing, until another may have taken the job."""
        logger.warning("the database does not answer: %s", error)
        connection.close()
        if self.lease.is_over:
            raise LeaseLostError(str(self.lease.pk)) from error
