"""Long work on datasets, done by whoever holds it: the web for what is short, else a worker.

A row waits; a worker claims it by a lease and a token, renews the lease as it goes, and ends it.
Where the lease runs out the row is taken up again from its start, which is harmless: rows of a file
are known by what they say, a version is written whole, and no example is changed twice.
"""

import logging
import time
from collections import Counter
from typing import Any, Self

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError as BrokerError

from common.errors import ApplicationError
from labeling.models import Work
from labeling.models.work import kinds
from tenancy.querysets import seconds_from_now

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
TOLD_EVERY = 1.0  # seconds


class WorkCancelledError(Exception):
    """Somebody asked to stop."""


class WorkLostError(Exception):
    """Another holds the row now, or it is gone: nothing is to be written any more."""


class Hold:
    """One worker's claim on one row. Progress is told to it; it renews the lease and hears "stop"."""

    def __init__(self, row: Work) -> None:
        self.row = row
        self._told = time.monotonic()

    @classmethod
    def of(cls, row: Work) -> Self | None:
        """The claim, or None where another was quicker."""
        kind = type(row)
        claimed = (
            kind.objects.claimable()
            .filter(pk=row.pk, token=row.token)
            .update(
                state=Work.State.RUNNING,
                token=F("token") + 1,
                attempt=F("attempt") + 1,
                lease_until=seconds_from_now(settings.JOB_LEASE_SECONDS),
                started_at=Now(),
                share=0,
                done=0,
            )
        )
        if not claimed:
            return None
        row.refresh_from_db()
        return cls(row)

    def progress(self, share: float, done: int | None = None) -> None:
        """How far it is. Written about once a second; raises where it is to stop."""
        if time.monotonic() - self._told < TOLD_EVERY:
            return
        self._told = time.monotonic()
        told = {} if done is None else {"done": done}
        self.write(
            share=min(1.0, share), lease_until=seconds_from_now(settings.JOB_LEASE_SECONDS), **told
        )
        if self._held().filter(cancel_requested=True).exists():
            raise WorkCancelledError

    def write(self, **changes: Any) -> None:
        """Change the row, if it is still ours. Inside a transaction it fences what follows as well."""
        if not self._held().update(**changes):
            raise WorkLostError(str(self.row.pk))

    def end(self, state: str, **changes: Any) -> None:
        self.write(state=state, finished_at=timezone.now(), lease_until=None, **changes)
        self.row.refresh_from_db()

    def _held(self) -> Any:
        return type(self.row).objects.held(self.row.pk, self.row.token)


def carry_out(row: Work) -> bool:
    """Claim the row and see it through; False where another has it. Needs the tenant's scope."""
    hold = Hold.of(row)
    if hold is None:
        return False
    if row.cancel_requested:
        hold.end(Work.State.CANCELLED)
        return True
    if row.attempt > MOST_ATTEMPTS:
        hold.end(Work.State.FAILED, failure="worker_lost")
        return True
    try:
        import_string(row.done_by)(hold)
    except WorkCancelledError:
        hold.end(Work.State.CANCELLED)
    except WorkLostError:
        logger.warning("%s %s was taken over by another worker", type(row).__name__, row.pk)
    except ApplicationError as error:
        hold.end(Work.State.FAILED, failure=error.code[:100])
    except Exception:
        logger.exception("%s %s failed", type(row).__name__, row.pk)
        hold.end(Work.State.FAILED, failure="internal")
    return True


def begin(row: Work, *, at_once: bool) -> None:
    """Have new work done: in this process where it is short, else by a worker."""
    if at_once:
        carry_out(row)
    else:
        transaction.on_commit(lambda: ring(row.queue))


def cancel(row: Work) -> None:
    """Stop at the next row. What is done stays done."""
    kind = type(row)
    if not kind.objects.filter(pk=row.pk, state=Work.State.QUEUED).update(
        state=Work.State.CANCELLED, finished_at=timezone.now()
    ):
        kind.objects.filter(pk=row.pk, state=Work.State.RUNNING).update(cancel_requested=True)


def next_waiting(queue: str = "default") -> Work | None:
    """Who goes next in this queue: of the tenants with least under way the one that waits longest. Needs a
    system scope."""
    running: Counter[Any] = Counter()
    waiting: list[Work] = []
    for kind in kinds():
        if kind.queue != queue:
            continue
        running.update(
            kind.objects.filter(state=Work.State.RUNNING, lease_until__gte=Now()).values_list(
                "tenant_id", flat=True
            )
        )
        waiting += kind.objects.claimable().order_by("created_at", "pk")[:100]
    return min(
        waiting, key=lambda row: (running[row.tenant_id], row.created_at, str(row.pk)), default=None
    )


def ring(queue: str = "default") -> None:
    """Say "look" to a worker. Beat says it again while work waits."""
    try:
        current_app.send_task(
            "labeling.tasks.do_waiting_work",
            kwargs={"queue": queue},
            queue=queue,
            retry=False,
            expires=3600,
        )
    except (BrokerError, OSError) as error:
        logger.warning("the broker does not answer, the doorbell rings later: %s", error)
