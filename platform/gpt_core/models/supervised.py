"""Supervised work: the state machine, the lease and the fencing token that every long job shares.

The row is the truth. A worker holds a job by its lease (ended by the database's clock, so that no machine's
own clock matters) and by a fencing token that grows with every claim: whatever it writes says
`WHERE fencing_token = mine`, so a worker that was given up for dead cannot write any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantManager, TenantModel
from tenancy.querysets import TenantQuerySet


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


def seconds_from_now(seconds: float) -> models.Expression:
    """A moment by the database's clock."""
    return models.ExpressionWrapper(
        Now() + models.Value(timedelta(seconds=seconds)), output_field=models.DateTimeField()
    )


class SupervisedQuerySet(TenantQuerySet):
    """Queries over supervised work, and the only place where a state changes."""

    def claimable(self) -> Self:
        return self.filter(Q(not_before=None) | Q(not_before__lte=Now()), state=State.QUEUED)

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


SupervisedManager = TenantManager.from_queryset(SupervisedQuerySet)


class Supervised(TenantModel):
    """A job that a worker supervises: training or evaluation."""

    KIND: ClassVar[str]

    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.QUEUED, db_index=True
    )
    queued_at = models.DateTimeField(_("queued at"), db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    worker = models.CharField(max_length=200, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    fencing_token = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    attempts_without_progress = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    worked_seconds = models.FloatField(default=0)
    events_read = models.BigIntegerField(default=0)

    cancel_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(default=False)

    step = models.PositiveBigIntegerField(_("step"), default=0)
    steps = models.PositiveBigIntegerField(_("steps"), default=0)
    last_step = models.PositiveBigIntegerField(_("last saved step"), default=0)
    eta_seconds = models.FloatField(_("seconds left"), null=True, blank=True)

    failure_code = models.CharField(max_length=64, blank=True, default="")
    failure_whose = models.CharField(max_length=8, choices=Whose.choices, blank=True, default="")
    failure_detail = models.TextField(blank=True, default="")
    failure_line = models.PositiveBigIntegerField(null=True, blank=True)
    failure_pointer = models.CharField(max_length=500, blank=True, default="")
    log_tail = models.TextField(blank=True, default="")

    objects = SupervisedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any) -> Self:
        row = super().from_db(db, field_names, values)
        row._loaded_state = row.__dict__.get("state")
        return row

    def save(self, *args: Any, **kwargs: Any) -> None:
        loaded = self.__dict__.get("_loaded_state")
        if not self._state.adding and loaded is not None and loaded != self.state:
            raise StateError("a state changes through move() alone")
        super().save(*args, **kwargs)
        self._loaded_state = self.state

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._loaded_state = self.__dict__.get("state")

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_waiting(self) -> bool:
        return self.state in WAITING

    @property
    def progress(self) -> float | None:
        """The share done, 0 to 1; None before the number of steps is known."""
        return min(1.0, self.step / self.steps) if self.steps else None
