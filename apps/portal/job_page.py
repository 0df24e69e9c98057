"""Everything the page of one fine-tuning job shows, gathered once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from accounts.permissions import can_override, can_promote, can_train
from apps.portal import words
from apps.portal.outcome import Outcome, objections_of
from gpt_core import fair_queue
from gpt_core.fair_queue import Forecast
from gpt_core.models import (
    Checkpoint,
    Deployment,
    Evaluation,
    FineTuningJob,
    JobEvent,
    State,
)
from tenancy.models import Membership
from tenancy.scope import system_scope

MOST_EVENTS = 200
_MACHINE = frozenset({"device", "threads", "pass_tokens"})


@dataclass(frozen=True)
class Phase:
    """One station on a job's way: done, now, yours (a person is to decide), stopped, or next."""

    label: str
    place: str


@dataclass(frozen=True)
class Parameter:
    """One setting of the training: what it is, and who or what chose it."""

    name: str
    value: str
    reason: str


class JobPage(Outcome):
    """One job as its page sees it. Reads through the tenant's scope that it is made in."""

    def __init__(self, job: FineTuningJob, membership: Membership) -> None:
        self.job = job
        self.membership = membership

    # --- What there is ---------------------------------------------------------------------------

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.objects.filter(job=self.job).first()

    @cached_property
    def evaluation(self) -> Evaluation | None:  # type: ignore[override]
        """The newest comparison, finished or not."""
        if self.checkpoint is None:
            return None
        found = Evaluation.objects.filter(checkpoint=self.checkpoint).select_related("champion")
        return found.order_by("-queued_at", "-created_at").first()

    @cached_property
    def deployment(self) -> Deployment | None:
        found = Deployment.objects.filter(name=self.job.deployment_name)
        return found.select_related("checkpoint", "previous").first()

    @cached_property
    def events(self) -> list[JobEvent]:
        return list(JobEvent.objects.filter(job=self.job).order_by("-id")[:MOST_EVENTS])

    @cached_property
    def forecast(self) -> Forecast:
        """Its place in the queue of all tenants, and when it starts and ends."""
        if self.job.state not in (State.QUEUED, State.RUNNING):
            return fair_queue.NOTHING
        with system_scope("tell a job's place in the queue"):
            return fair_queue.estimate_of(self.job)

    @property
    def queue_position(self) -> int | None:
        return self.forecast.position

    # --- Where it stands -------------------------------------------------------------------------

    @cached_property
    def serves(self) -> bool:
        return bool(
            self.checkpoint
            and self.deployment
            and self.deployment.checkpoint_id == self.checkpoint.pk
        )

    @cached_property
    def stage(self) -> str:
        """waiting, running, paused, failed, cancelled, comparing, uncompared, refused, open, serving."""
        if self.job.state != State.SUCCEEDED:
            waits = self.job.state in (State.QUEUED, State.VALIDATING_FILES)
            return "waiting" if waits else str(self.job.state)
        if self.serves:
            return "serving"
        if self.evaluation is None or self.evaluation.state in (State.FAILED, State.CANCELLED):
            return "uncompared"
        if self.verdict is None:
            return "comparing"
        return "open" if self.verdict.passed else "refused"

    @property
    def is_live(self) -> bool:
        """Something may change by itself, so the page keeps looking."""
        return self.stage in ("waiting", "running", "comparing")

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever the page would."""
        seen: list[Any] = [
            self.job.state,
            self.job.step,
            self.job.attempt,
            round(self.job.eta_seconds or 0),
            self.job.cancel_requested,
            self.job.pause_requested,
            self.queue_position,
            # To a quarter of a minute: a page that changes with each second is no page to read.
            round((self.forecast.starts_in or 0) / 15),
            self.events[0].pk if self.events else 0,
            self.stage,
        ]
        if self.evaluation is not None:
            seen += [
                self.evaluation.pk,
                self.evaluation.state,
                self.evaluation.step,
                round(self.evaluation.eta_seconds or 0),
            ]
        if self.deployment is not None:
            seen.append(self.deployment.updated_at.isoformat())
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    @cached_property
    def phases(self) -> list[Phase]:
        labels = [_("Queue"), _("Training"), _("Comparison"), _("Gate"), _("Serving")]
        reached = {
            "waiting": 0, "running": 1, "paused": 1, "failed": 1, "cancelled": 1,
            "comparing": 2, "uncompared": 2, "refused": 3, "open": 3, "serving": 4,
        }[self.stage]  # fmt: skip
        stopped = self.stage in ("failed", "cancelled", "uncompared", "refused")

        def place(at: int) -> str:
            if at < reached or self.stage == "serving":
                return "done"
            if at > reached:
                return "next"
            if self.stage in ("open", "paused"):
                return "yours"
            return "stopped" if stopped else "now"

        return [Phase(label, place(at)) for at, label in enumerate(labels)]

    # --- What was asked --------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> list[Parameter]:
        """Each setting with its value: what was chosen where it is known, else what was asked."""
        asked: dict[str, Any] = {**self.job.method, **self.job.hyperparameters}
        values = {**asked, **_flat(self.job.chosen)}
        # The engine says the method under its own name, and what it runs on besides.
        hidden = _MACHINE | ({"type"} if "method" in values else frozenset())
        reasons = _flat(self.job.reasons)
        return [
            Parameter(
                words.parameter_name(name),
                _("chosen at the start") if value == "auto" else words.parameter_value(value),
                _why(name, asked, reasons),
            )
            for name, value in values.items()
            if name not in hidden
        ]

    # --- What the reader may do ------------------------------------------------------------------

    @property
    def can_cancel(self) -> bool:
        return (
            can_train(self.membership)
            and not self.job.is_terminal
            and not self.job.cancel_requested
        )

    @property
    def can_pause(self) -> bool:
        return (
            can_train(self.membership)
            and self.job.state in (State.RUNNING, State.QUEUED)
            and not self.job.pause_requested
            and not self.job.cancel_requested
        )

    @property
    def can_resume(self) -> bool:
        return can_train(self.membership) and self.stage == "paused"

    @property
    def can_retry(self) -> bool:
        return can_train(self.membership) and self.stage in ("failed", "cancelled")

    @property
    def can_compare(self) -> bool:
        return can_train(self.membership) and self.stage in ("uncompared", "refused", "open")

    @property
    def can_promote(self) -> bool:
        return can_promote(self.membership) and self.stage == "open"

    @cached_property
    def objections(self) -> list[str]:
        return objections_of(self.checkpoint, self.stage)

    @property
    def can_override(self) -> bool:
        closed = self.stage in ("refused", "uncompared") or bool(self.objections)
        return can_override(self.membership) and closed

    @property
    def can_roll_back(self) -> bool:
        return can_promote(self.membership) and self.stage == "serving"


def _flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """One level of names, however the engine grouped them."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping) and "code" not in value:
            flat.update(value)
        else:
            flat[name] = value
    return flat


def _why(name: str, asked: Mapping[str, Any], reasons: Mapping[str, Any]) -> str:
    if name in reasons:
        return words.reason(reasons[name])
    if asked.get(name) == "auto" or name not in asked:
        return ""
    return words.reason("given")
