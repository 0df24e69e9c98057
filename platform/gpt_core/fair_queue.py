"""The fair queue: who goes next, where each job stands, and when it will probably start and end.

The rule, in this one place. A tenant is charged what its jobs worked in the last 24 hours, and what those
that run now are expected to work, divided by its weight (tenancy.models.Quota). Next comes the job of
the tenant that is charged least; of equals, the one that waits longest. Inside a tenant, evaluations
and exports go before trainings, for they are short and somebody waits for them; else the first to come goes
first.

A job is charged as it starts, by its estimate. So the order depends neither on which job ends first nor
on how many trainers there are, and `line`, which the trainers themselves walk along, is what the place
of a job is counted in. Work that ends otherwise than estimated, or comes in later, changes the places
behind it.

Everything here looks across tenants and needs a system scope; what it tells of others is numbers.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from tenancy.models import Quota

from .estimates import Paces, paces
from .models import Evaluation, Export, FineTuningJob, State, Supervised

FAIR_WINDOW = timedelta(hours=24)
KINDS: tuple[type[Supervised], ...] = (Evaluation, Export, FineTuningJob)
# What a job is charged while nothing like it was ever measured.
GUESS_SECONDS = {Evaluation: 60.0, Export: 60.0, FineTuningJob: 600.0}
# Trainers that have nothing to do take a job within a second; after so long, none is there.
PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Place:
    """A job that waits, and what its start will cost its tenant: milliseconds, before the weight."""

    kind: type[Supervised]
    pk: UUID
    tenant_id: UUID
    queued_at: datetime
    charge: int
    # How long it will probably take; None where nothing like it was ever measured.
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a job stands. Seconds from now; None where nobody can know, or where it is past."""

    position: int | None = None
    starts_in: float | None = None
    finishes_in: float | None = None


NOTHING = Forecast()


def line() -> Iterator[Place]:
    """Every job that waits, in the order in which they will start if nothing changes."""
    return _walk(paces(), _open(asked=set()))


def position_in_queue(job: Supervised) -> int | None:
    """How many jobs start before this one if nothing changes, plus one; None where it does not wait."""
    return estimate_of(job).position


def estimate_of(job: Supervised) -> Forecast:
    """Where the job stands, when it starts and when it ends."""
    return forecasts([job]).get(job.pk, NOTHING)


def forecasts(jobs: Iterable[Supervised]) -> dict[UUID, Forecast]:
    """The same for many jobs, at the price of one. Only those that wait or run are in the answer."""
    jobs = [job for job in jobs if job.state in (State.QUEUED, State.RUNNING)]
    if not jobs:
        return {}
    measured = paces()
    found = {
        job.pk: Forecast(finishes_in=_known(_left(job, measured)))
        for job in jobs
        if job.state == State.RUNNING
    }
    wanted = {job.pk for job in jobs if job.state == State.QUEUED}
    if not wanted:
        return found
    rows = _open(asked=wanted)
    places = list(_walk(measured, rows))
    running = [row for row in rows if row.state == State.RUNNING]
    # When each trainer is free again. Whoever trains, evaluates afterwards.
    free = [_left(row, measured) + _afterwards(type(row), measured) for row in running]
    free += [0.0] * (_trainers(places, len(running)) - len(running))
    heapq.heapify(free)
    for position, place in enumerate(places, 1):
        starts = heapq.heappop(free) if free else math.inf
        ends = starts + (math.inf if place.seconds is None else place.seconds)
        heapq.heappush(free, ends + _afterwards(place.kind, measured))
        if place.pk in wanted:
            found[place.pk] = Forecast(position, _known(starts), _known(ends))
    return found


def _open(*, asked: set[UUID]) -> list[Any]:
    """Every job that runs or waits, with the few columns that the queue looks at.

    A job that rests before its next attempt stands in no line; where it is `asked` about, it is told
    where it would stand now.
    """
    waits = Q(state=State.QUEUED) & (
        Q(not_before=None) | Q(not_before__lte=Now()) | Q(pk__in=asked)
    )
    columns = [
        "tenant_id", "state", "queued_at", "heartbeat_at", "worked_seconds", "eta_seconds",
    ]  # fmt: skip
    found: list[Any] = []
    for kind in KINDS:
        own = ["base_model_id", "estimated_tokens"] if kind is FineTuningJob else []
        rows = kind.objects.filter(Q(state=State.RUNNING) | waits).only(*columns, *own)
        found += rows.order_by("queued_at", "pk")
    return found


def _walk(measured: Paces, rows: list[Any]) -> Iterator[Place]:
    waiting = _waiting(measured, rows)
    charges = _charges(measured, rows)
    weights = dict(Quota.objects.filter(key_id=None).values_list("tenant_id", "weight"))

    def turn(tenant_id: UUID) -> tuple[float, datetime, str, UUID]:
        share = charges[tenant_id] / weights.get(tenant_id, 1.0)
        return share, waiting[tenant_id][-1].queued_at, str(tenant_id), tenant_id

    turns = [turn(tenant_id) for tenant_id in waiting]
    heapq.heapify(turns)
    while turns:
        *_order, tenant_id = heapq.heappop(turns)
        place = waiting[tenant_id].pop()
        yield place
        charges[tenant_id] += place.charge
        if waiting[tenant_id]:
            heapq.heappush(turns, turn(tenant_id))


def _waiting(measured: Paces, rows: list[Any]) -> dict[UUID, list[Place]]:
    """The jobs of each tenant that wait, the first to go at the end."""
    found: dict[UUID, list[Place]] = defaultdict(list)
    # What is short comes first in the order of the kinds, and so last in each list.
    for row in reversed(rows):
        if row.state == State.QUEUED:
            seconds = measured.seconds_of(row)
            charged = row.worked_seconds if _is_recent(row) else 0.0
            charge = _expected_milliseconds(row, seconds) - round(charged * 1000)
            found[row.tenant_id].append(
                Place(type(row), row.pk, row.tenant_id, row.queued_at, charge, _rest(row, seconds))
            )
    return found


def _charges(measured: Paces, rows: list[Any]) -> dict[UUID, int]:
    """What each tenant is charged by now, in milliseconds: whole numbers, whose sums have no order."""
    charges: dict[UUID, int] = defaultdict(int)
    for kind in KINDS:
        done = kind.objects.exclude(state=State.RUNNING).filter(
            heartbeat_at__gte=Now() - FAIR_WINDOW
        )
        for tenant_id, worked in (
            done.order_by().values_list("tenant_id").annotate(worked=Sum("worked_seconds"))
        ):
            charges[tenant_id] += round(worked * 1000)
    for row in rows:
        if row.state == State.RUNNING:
            charges[row.tenant_id] += _expected_milliseconds(row, measured.seconds_of(row))
    return charges


def _expected_milliseconds(row: Supervised, seconds: float | None) -> int:
    """What the whole job is charged while it runs: its estimate, or more where it took longer."""
    expected = GUESS_SECONDS[type(row)] if seconds is None else seconds
    # At least a second more than before, so that no start is free.
    return max(round(expected * 1000), round(row.worked_seconds * 1000) + 1000)


def _left(row: Supervised, measured: Paces) -> float:
    """Seconds that a running job still takes: what it says itself, else by its estimate."""
    if row.eta_seconds is not None:
        return max(0.0, row.eta_seconds)
    rest = _rest(row, measured.seconds_of(row))
    return math.inf if rest is None else rest


def _rest(row: Supervised, seconds: float | None) -> float | None:
    return None if seconds is None else max(1.0, seconds - row.worked_seconds)


def _afterwards(kind: type[Supervised], measured: Paces) -> float:
    return measured.short.get(Evaluation, 0.0) if kind is FineTuningJob else 0.0


def _trainers(places: list[Place], running: int) -> int:
    """How many trainers there are: as many as the settings say, unless they have let a job wait."""
    waits_since = min((place.queued_at for place in places), default=None)
    if waits_since is not None and waits_since < timezone.now() - PATIENCE:
        return running
    return max(running, settings.TRAINERS)


def _is_recent(row: Supervised) -> bool:
    return row.heartbeat_at is not None and row.heartbeat_at >= timezone.now() - FAIR_WINDOW


def _known(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
