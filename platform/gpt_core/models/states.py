"""The state machine of supervised work, and the queries that alone move a row along it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import Tenant
from tenancy.querysets import TenantManager, TenantQuerySet, seconds_from_now

if TYPE_CHECKING:
    from .supervised import Supervised  # noqa: F401


class State(models.TextChoices):
    VALIDATING_FILES = "validating_files", _("checking the files")
    QUEUED = "queued", _("waiting in the queue")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


# Where each state may lead. A state that leads nowhere is terminal, and stays so.
MOVES: Mapping[str, frozenset[str]] = {
    State.VALIDATING_FILES: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.QUEUED, State.PAUSED, State.SUCCEEDED, State.FAILED, State.CANCELLED}
    ),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
TERMINAL = frozenset(state for state, leads_to in MOVES.items() if not leads_to)
WAITING = frozenset({State.VALIDATING_FILES, State.QUEUED})


class Whose(models.TextChoices):
    """Who can mend a failure: the one who brought the data, or the ones who run the platform."""

    USER = "user", _("yours")
    SYSTEM = "system", _("ours")


class StateError(Exception):
    """A state was to change in another way than through `SupervisedQuerySet.move`."""


class SupervisedQuerySet(TenantQuerySet["Supervised"]):
    """Queries over supervised work, and the only place where a state changes."""

    def claimable(self) -> Self:
        """What may be begun now. A company that is suspended or closing has its work wait."""
        active = Tenant.objects.filter(state=Tenant.State.ACTIVE)
        return self.filter(
            Q(not_before=None) | Q(not_before__lte=Now()),
            state=State.QUEUED,
            tenant_id__in=active.values("pk"),
        )

    def expired(self) -> Self:
        return self.filter(state=State.RUNNING, lease_until__lt=Now())

    def held(self, pk: uuid.UUID, token: int) -> Self:
        """The row while the holder of `token` still holds it; nothing afterwards."""
        return self.filter(pk=pk, state=State.RUNNING, fencing_token=token)

    def open(self) -> Self:
        return self.exclude(state__in=TERMINAL)

    def move(self, to: str, **changes: Any) -> int:
        """Move every row of this query for which the move is allowed; the number of rows moved.

        One atomic UPDATE, so two that move the same row at once do not both succeed.
        """
        sources = [state for state, leads_to in MOVES.items() if to in leads_to]
        if to in TERMINAL:
            changes.setdefault("finished_at", Now())
        if to != State.RUNNING:
            changes |= {"lease_until": None, "worker": ""}
        moved = self.filter(state__in=sources)
        return super(SupervisedQuerySet, moved).update(state=to, **changes)

    def claim(self, worker: str, lease_seconds: float) -> int:
        """Take the rows of this query that wait: the lease begins and the fencing token grows."""
        return self.claimable().move(
            State.RUNNING,
            worker=worker,
            lease_until=seconds_from_now(lease_seconds),
            heartbeat_at=Now(),
            started_at=models.functions.Coalesce(F("started_at"), Now()),
            fencing_token=F("fencing_token") + 1,
            attempt=F("attempt") + 1,
            attempts_without_progress=F("attempts_without_progress") + 1,
            not_before=None,
        )

    def update(self, **changes: Any) -> int:
        if "state" in changes:
            raise StateError("a state changes through move() alone")
        return super().update(**changes)


class SupervisedManager(TenantManager.from_queryset(SupervisedQuerySet)):  # type: ignore[misc]
    """Scoped to the tenant, with the queries above."""
