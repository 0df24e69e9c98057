"""/v1/fine_tuning/jobs: create, list, look at, cancel, pause, resume, events, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import TRAIN, VIEW
from tenancy.scope import system_scope

from ... import services
from ...fair_queue import NOTHING, forecasts
from ...models import Checkpoint, FineTuningJob, JobEvent, JobMetric
from ...services.hyperparameters import resolve_hyperparameters
from . import errors, ids, job_requests, job_shapes
from .base import OpenAIViewSet, listed, page_after, whole_number
from .estimates import estimate_object
from .metadata import MetadataValue

MOST_LISTED = 100
MOST_EVENTS = 1_000
_EVENT = re.compile(r"ftevent-(?P<kind>[em])(?P<pk>[0-9]{1,18})", re.ASCII)
_FILTER = re.compile(r"metadata\[(?P<key>.{1,64})\]", re.DOTALL)


class JobViewSet(OpenAIViewSet):
    model = FineTuningJob
    needs = {
        "list": VIEW,
        "create": TRAIN,
        "estimate": TRAIN,
        "retrieve": VIEW,
        "cancel": TRAIN,
        "pause": TRAIN,
        "resume": TRAIN,
        "events": VIEW,
        "checkpoints": VIEW,
    }

    # The engine counts meanwhile, and nothing is written.
    in_steps = frozenset({"estimate"})
    asks_by_query = frozenset({"list", "events", "checkpoints"})

    def get_queryset(self) -> QuerySet[Any]:
        return FineTuningJob.objects.select_related("tenant", "base_model")

    def create(self, request: Request) -> Response:
        given = self.body(job_requests.FIELDS, required=("model", "training_file"))
        settings = job_requests.Settings(given)
        asked = job_requests.read(given)
        with settings.renamed():
            job = services.start_from_files(
                **asked,
                method=settings.method,
                hyperparameters=settings.hyperparameters,
                actor=self.actor,
            )
        return self._answer(job)

    def estimate(self, request: Request) -> Response:
        """What a job would take and whether the month has room for it, before it is made."""
        given = self.body(job_requests.ESTIMATE_FIELDS, required=("model", "training_file"))
        settings = job_requests.Settings(given)
        asked = job_requests.read(given)
        with settings.renamed():
            hyperparameters = resolve_hyperparameters(settings.hyperparameters)
        return Response(
            estimate_object(
                training_file=asked["training_file"],
                validation_file=asked["validation_file"],
                base_model=asked["base_model"],
                hyperparameters=hyperparameters,
            )
        )

    def list(self, request: Request) -> Response:
        rows = self._filtered()
        asked = self.parameters("after", "limit", *self._filters())
        limit = whole_number("limit", asked.get("limit", 20), 1, MOST_LISTED)
        last = (
            ids.named(self.get_queryset(), ids.JOB, asked["after"], "after")
            if "after" in asked
            else None
        )
        found, more = page_after(rows, last, limit=limit)
        return listed(_objects(found), has_more=more)

    def retrieve(self, request: Request, job_id: str) -> Response:
        return self._answer(self._job(job_id))

    def cancel(self, request: Request, job_id: str) -> Response:
        return self._told(services.cancel_job, job_id)

    def pause(self, request: Request, job_id: str) -> Response:
        return self._told(services.pause_job, job_id)

    def resume(self, request: Request, job_id: str) -> Response:
        return self._told(services.resume_job, job_id)

    def events(self, request: Request, job_id: str) -> Response:
        """What happened and the figures of the steps, newest first."""
        job = self._job(job_id)
        asked = self.parameters("after", "limit")
        limit = whole_number("limit", asked.get("limit", 20), 1, MOST_EVENTS)
        last = _event_called(job, asked["after"]) if "after" in asked else None
        found = [*_behind(job.events.all(), last, limit), *_behind(job.metrics.all(), last, limit)]
        found.sort(key=_order, reverse=True)
        data = [job_shapes.event_object(event, job) for event in found[:limit]]
        return listed(data, has_more=len(found) > limit)

    def checkpoints(self, request: Request, job_id: str) -> Response:
        """The result and the steps that were kept besides, latest step first."""
        job = self._job(job_id)
        asked = self.parameters("after", "limit")
        limit = whole_number("limit", asked.get("limit", 10), 1, MOST_LISTED)
        kept = Checkpoint.objects.present().filter(Q(job=job) | Q(step_of=job))
        rows = sorted(kept, key=lambda row: (row.step or job.best_step or 0, row.pk), reverse=True)
        if "after" in asked:
            last = ids.named(kept, ids.CHECKPOINT, asked["after"], "after")
            rows = rows[rows.index(last) + 1 :]
        steps = [row.step or job.best_step or 0 for row in rows[:limit]]
        metrics = list(job.metrics.filter(step__in=steps))
        data = [job_shapes.checkpoint_object(row, job, metrics) for row in rows[:limit]]
        return listed(data, has_more=len(rows) > limit)

    def _job(self, job_id: str) -> FineTuningJob:
        return ids.named(self.get_queryset(), ids.JOB, job_id, "fine_tuning_job_id")

    def _told(self, act: Any, job_id: str) -> Response:
        self.body(())
        act(self._job(job_id))
        return self._answer(self._job(job_id))

    def _answer(self, job: FineTuningJob) -> Response:
        return Response(_objects([job])[0])

    def _filters(self) -> Sequence[str]:
        return [
            name
            for name in self.request.query_params
            if name == "metadata" or _FILTER.fullmatch(name)
        ]

    def _filtered(self) -> QuerySet[Any]:
        """`metadata[key]=value`, each of them; `metadata=null` those without any."""
        rows = self.get_queryset()
        for number, name in enumerate(self._filters()):
            value = self.request.query_params[name]
            match = _FILTER.fullmatch(name)
            if match is None:
                if value != "null":
                    raise errors.wrong("metadata", "null")
                rows = rows.filter(metadata={})
            else:
                alias = f"pair_{number}"
                text = MetadataValue(match["key"])
                rows = rows.annotate(**{alias: text}).filter(**{alias: value})
        return rows


Event = JobEvent | JobMetric


def _objects(jobs: Sequence[FineTuningJob]) -> list[dict[str, Any]]:
    with system_scope("where jobs stand in the queue of all tenants"):
        told = forecasts(jobs)
    return [job_shapes.as_object(job, told.get(job.pk, NOTHING)) for job in jobs]


def _order(event: Event) -> tuple[Any, bool, int]:
    return event.created_at, isinstance(event, JobMetric), event.pk


def _event_called(job: FineTuningJob, name: str) -> Event:
    match = _EVENT.fullmatch(name)
    found: Event | None = None
    if match is not None:
        rows: Any = job.events if match["kind"] == "e" else job.metrics
        found = rows.filter(pk=int(match["pk"])).first()
    if found is None:
        raise errors.NoSuchObjectError("after", name)
    return found


def _behind(rows: QuerySet[Any], last: Event | None, limit: int) -> list[Any]:
    """The newest rows of one kind that come after `last` on the way back in time."""
    if last is not None:
        same = Q(created_at=last.created_at)
        if rows.model is type(last):
            same &= Q(pk__lt=last.pk)
        elif rows.model is JobMetric:
            # At one moment figures stand before events, so that these are told already.
            same = Q(pk__in=[])
        rows = rows.filter(Q(created_at__lt=last.created_at) | same)
    return list(rows.order_by("-created_at", "-pk")[: limit + 1])
