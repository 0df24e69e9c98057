"""A worker's hold on one job: everything it writes is written only while it holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from ..models import Supervised, seconds_from_now


class LeaseLostError(Exception):
    """Another holds the job now, or may: nothing is to be written any more."""


@dataclass(frozen=True)
class Orders:
    """What people asked of a running job since it was last looked at."""

    cancel: bool
    pause: bool


class Lease:
    """The hold that `dispatch.claim_next` gave: renewed by heartbeats, proved by the fencing token."""

    def __init__(self, row: Supervised) -> None:
        self.kind = type(row)
        self.pk = row.pk
        self.token = row.fencing_token
        self.seconds = float(settings.JOB_LEASE_SECONDS)
        self._renewed = self._worked_until = time.monotonic()

    @property
    def is_due(self) -> bool:
        """A heartbeat is owed."""
        return time.monotonic() - self._renewed >= settings.JOB_HEARTBEAT_SECONDS

    @property
    def is_over(self) -> bool:
        """By our own clock the lease has ended, so another may hold the job without our knowing."""
        return time.monotonic() - self._renewed >= self.seconds

    def orders(self) -> Orders:
        found = self._held().values_list("cancel_requested", "pause_requested").first()
        if found is None:
            raise LeaseLostError(str(self.pk))
        return Orders(*found)

    def renew(self) -> None:
        # Counted from before the statement: the database's clock cannot have started later.
        before = time.monotonic()
        self.write(
            lease_until=seconds_from_now(self.seconds),
            heartbeat_at=Now(),
            worked_seconds=F("worked_seconds") + (before - self._worked_until),
        )
        self._renewed = self._worked_until = before

    def write(self, **changes: Any) -> None:
        """Change the row, if it is still ours. Inside a transaction it fences what follows as well."""
        if not self._held().update(**changes):
            raise LeaseLostError(str(self.pk))

    def advance(self, offset: int, to: int, **changes: Any) -> bool:
        """Note that the events up to `to` are kept. False where that is noted already.

        A connection may break after a commit and before its answer; what is then tried again must
        not keep the same events twice.
        """
        if self._held().filter(events_read=offset).update(events_read=to, **changes):
            return True
        if not self._held().exists():
            raise LeaseLostError(str(self.pk))
        return False

    def end(self, to: str, **changes: Any) -> None:
        """Leave the row in another state."""
        worked = F("worked_seconds") + (time.monotonic() - self._worked_until)
        if not self._held().move(to, worked_seconds=worked, **changes):
            raise LeaseLostError(str(self.pk))

    def _held(self) -> Any:
        return self.kind.objects.held(self.pk, self.token)
