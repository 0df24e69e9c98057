"""Supervised work: the state machine, the lease and the fencing token that every long job shares.

The row is the truth. A worker holds a job by its lease (ended by the database's clock, so that no machine's
own clock matters) and by a fencing token that grows with every claim: whatever it writes says
`WHERE fencing_token = mine`, so a worker that was given up for dead cannot write any more.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel

from .states import TERMINAL, WAITING, State, StateError, SupervisedManager, Whose


class Supervised(TenantModel):
    """A job that a worker supervises: training, evaluation or export."""

    KIND: ClassVar[str]
    _loaded_state: str | None = None

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
    # Which of the caller's parameters is at fault, and the figures of the sentence.
    failure_data = models.JSONField(default=dict)
    failure_pointer = models.CharField(max_length=500, blank=True, default="")
    log_tail = models.TextField(blank=True, default="")

    objects: ClassVar[SupervisedManager] = SupervisedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        row._remember_state()
        return row

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding and self._loaded_state not in (None, self.state):
            raise StateError("a state changes through move() alone")
        super().save(*args, **kwargs)
        self._remember_state()

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._remember_state()

    def _remember_state(self) -> None:
        # Not by attribute: a deferred column would be fetched.
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
