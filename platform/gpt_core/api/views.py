"""The native API: bases, jobs, checkpoints, evaluations, deployments."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import NativeViewSet
from accounts.api.schema import PROBLEM, ProblemSerializer
from accounts.permissions import PROMOTE, TRAIN, VIEW, can_override
from common.api import EmptySerializer
from common.errors import ApplicationError
from labeling.models import DatasetVersion
from tenancy.scope import system_scope

from .. import fair_queue, services
from ..models import (
    BaseModel,
    Checkpoint,
    Deployment,
    Evaluation,
    Export,
    FineTuningJob,
    JobMetric,
)
from ..services import exports
from . import serializers as shapes

Row = TypeVar("Row", bound=Model)
MOST_EVENTS = 200
MOST_POINTS = 2000


class GptViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """List and retrieve for everyone who may view."""

    needs = {"list": VIEW, "retrieve": VIEW}


class BaseModelViewSet(GptViewSet):
    """What jobs can begin from: shared by every tenant."""

    model = BaseModel
    serializer_class = shapes.BaseModelSerializer
    queries = {"list": shapes.BasesQuery}


class JobViewSet(GptViewSet):
    model = FineTuningJob
    serializer_class = shapes.JobSerializer
    queries = {
        "list": shapes.JobsQuery,
        "events": shapes.AfterQuery,
        "metrics": shapes.AfterStepQuery,
    }
    needs = GptViewSet.needs | {
        "create": TRAIN,
        "cancel": TRAIN,
        "pause": TRAIN,
        "resume": TRAIN,
        "retry": TRAIN,
        "events": VIEW,
        "metrics": VIEW,
    }

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("base_model", "checkpoint")

    def get_serializer(self, *rows: Any, **options: Any) -> Any:
        """Each job with its place in the queue of all tenants: numbers, and nothing else of them."""
        if rows:
            jobs = rows[0] if options.get("many") else rows
            with system_scope("the places of jobs in the queue of all tenants"):
                found = fair_queue.forecasts(jobs)
            options["context"] = {**self.get_serializer_context(), "forecasts": found}
        return super().get_serializer(*rows, **options)

    @extend_schema(request=shapes.StartJobSerializer, responses={201: shapes.JobSerializer})
    def create(self, request: Request) -> Response:
        """What is not named is chosen by "auto", and shown with its reason once the job runs."""
        asked = self.input_as(shapes.StartJobSerializer)
        asked["dataset_version"] = _named(
            DatasetVersion.objects.all(), asked["dataset_version"], "dataset_version"
        )
        asked["base_model"] = _base_of(asked.get("base_model"))
        return self.answer(services.start_fine_tuning(**asked, actor=self.actor), status=201)

    @extend_schema(request=EmptySerializer, responses={200: shapes.JobSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """At once where it does not run yet; a running one stops within a step."""
        self.input_as(EmptySerializer)
        return self.answer(services.cancel_job(self.get_object()))

    @extend_schema(request=EmptySerializer, responses={200: shapes.JobSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: UUID) -> Response:
        """Stop where it can be resumed; its place goes to others."""
        self.input_as(EmptySerializer)
        return self.answer(services.pause_job(self.get_object()))

    @extend_schema(request=EmptySerializer, responses={200: shapes.JobSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: UUID) -> Response:
        """Back to the queue, to go on from the last saved step."""
        self.input_as(EmptySerializer)
        return self.answer(services.resume_job(self.get_object()))

    @extend_schema(request=EmptySerializer, responses={201: shapes.JobSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:
        """A new job that asks for the same; the old one stays what it is."""
        self.input_as(EmptySerializer)
        again = services.retry_job(self.get_object(), actor=self.actor)
        return self.answer(again, status=201)

    @extend_schema(responses={200: shapes.EventsSerializer})
    @action(detail=True)
    def events(self, request: Request, pk: UUID) -> Response:
        """The story so far, oldest first, from behind the event `after`."""
        after = self.query["after"]
        found = self.get_object().events.filter(pk__gt=after).order_by("pk")[:MOST_EVENTS]
        items = shapes.EventSerializer(found, many=True).data
        return Response({"items": items, "after": items[-1]["id"] if items else after})

    @extend_schema(responses={200: shapes.MetricsSerializer})
    @action(detail=True)
    def metrics(self, request: Request, pk: UUID) -> Response:
        """The curves, as columns; thinned evenly where there are more points than a page shows."""
        after = self.query["after_step"]
        job = self.get_object()
        return Response({kind: _curve(job, kind, after) for kind in JobMetric.Kind.values})


class CheckpointViewSet(GptViewSet):
    model = Checkpoint
    serializer_class = shapes.CheckpointSerializer
    queries = {"list": shapes.CheckpointsQuery}
    needs = GptViewSet.needs | {"evaluate": TRAIN, "exports": TRAIN}

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset().select_related("base_model")
        return services.with_erased_rows(rows)

    @extend_schema(
        request=shapes.StartEvaluationSerializer, responses={201: shapes.EvaluationSerializer}
    )
    @action(detail=True, methods=["post"])
    def evaluate(self, request: Request, pk: UUID) -> Response:
        """Beside its base and what serves now; one that is under way is answered instead."""
        asked = self.input_as(shapes.StartEvaluationSerializer)
        evaluation = services.evaluate_checkpoint(
            checkpoint=self.get_object(), actor=self.actor, **asked
        )
        return Response(shapes.EvaluationSerializer(evaluation).data, status=201)

    @extend_schema(request=shapes.StartExportSerializer, responses={201: shapes.ExportSerializer})
    @action(detail=True, methods=["post"])
    def exports(self, request: Request, pk: UUID) -> Response:
        """Make a file of it: `{"kind": "adapter"|"merged"|"gguf"}`; its state stands under /exports/."""
        asked = self.input_as(shapes.StartExportSerializer)
        export = services.start_export(checkpoint=self.get_object(), actor=self.actor, **asked)
        return Response(shapes.ExportSerializer(export).data, status=201)


class EvaluationViewSet(GptViewSet):
    model = Evaluation
    serializer_class = shapes.EvaluationSerializer
    queries = {"list": shapes.OfCheckpointQuery}
    needs = GptViewSet.needs | {"create": TRAIN, "cancel": TRAIN}

    @extend_schema(
        request=shapes.NewEvaluationSerializer, responses={201: shapes.EvaluationSerializer}
    )
    def create(self, request: Request) -> Response:
        """Beside its base and what serves now; one that is under way is answered instead."""
        asked = self.input_as(shapes.NewEvaluationSerializer)
        asked["checkpoint"] = _named(Checkpoint.objects.all(), asked["checkpoint"], "checkpoint")
        evaluation = services.evaluate_checkpoint(**asked, actor=self.actor)
        return self.answer(evaluation, status=201)

    @extend_schema(request=EmptySerializer, responses={200: shapes.EvaluationSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """At once where it does not run yet; a running one stops within a step."""
        self.input_as(EmptySerializer)
        return self.answer(services.cancel_job(self.get_object()))


class ExportViewSet(GptViewSet):
    model = Export
    serializer_class = shapes.ExportSerializer
    queries = {"list": shapes.OfCheckpointQuery}
    # Whoever has the file has the model, so it takes more than looking.
    needs = GptViewSet.needs | {"cancel": TRAIN, "destroy": TRAIN, "download": TRAIN}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().order_by("-queued_at", "pk")

    @extend_schema(request=EmptySerializer, responses={200: shapes.ExportSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """At once where it does not run yet; a running one stops within a step."""
        self.input_as(EmptySerializer)
        return self.answer(services.cancel_job(self.get_object()))

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (409, PROBLEM): ProblemSerializer,
            (410, PROBLEM): ProblemSerializer,
        }
    )
    @action(detail=True)
    def download(self, request: Request, pk: UUID) -> HttpResponseBase:
        """The file itself."""
        return exports.answer_with(self.get_object(), actor=self.actor)

    def destroy(self, request: Request, pk: UUID) -> Response:
        services.delete_export(export=self.get_object(), actor=self.actor)
        return Response(status=204)


class DeploymentViewSet(GptViewSet):
    model = Deployment
    serializer_class = shapes.DeploymentSerializer
    queries = {"list": shapes.DeploymentsQuery}
    needs = GptViewSet.needs | {"promote": PROMOTE, "roll_back": PROMOTE, "changes": VIEW}
    # The engine loads meanwhile, and what is in place already stays in place.
    in_steps = frozenset({"promote"})

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("base_model", "checkpoint")

    @extend_schema(request=shapes.PromoteSerializer, responses={200: shapes.DeploymentSerializer})
    @action(detail=False, methods=["post"])
    def promote(self, request: Request) -> Response:
        """Let a checkpoint answer. The gate must have passed it beside what serves now."""
        asked = self.input_as(shapes.PromoteSerializer)
        asked["checkpoint"] = _named(
            Checkpoint.objects.present(), asked["checkpoint"], "checkpoint"
        )
        if asked.get("override_reason", "").strip() and not can_override(self.credential):
            # The service looks at the person; a key of an owner's is not the owner.
            raise services.owner_needed()
        return self.answer(services.promote(**asked, actor=self.actor))

    @extend_schema(request=EmptySerializer, responses={200: shapes.DeploymentSerializer})
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: UUID) -> Response:
        """Let what served before answer again. Rolling back twice is where one began."""
        self.input_as(EmptySerializer)
        return self.answer(services.roll_back(deployment=self.get_object(), actor=self.actor))

    @extend_schema(responses={200: shapes.ChangesSerializer})
    @action(detail=True)
    def changes(self, request: Request, pk: UUID) -> Response:
        found = self.get_object().changes.order_by("-at")[:MOST_EVENTS]
        return Response({"items": shapes.ChangeSerializer(found, many=True).data})


def _named(rows: QuerySet[Row], pk: UUID, field: str) -> Row:
    """The row that a body names. One of another tenant is exactly as absent as none."""
    found = rows.filter(pk=pk).first()
    if found is None:
        raise ApplicationError("not_found", _("Not found."), field=field, status_hint=404)
    return found


def _base_of(name: str | None) -> BaseModel:
    found = (
        BaseModel.objects.filter(name=name or settings.DEFAULT_BASE_MODEL)
        .order_by("-created_at")
        .first()
    )
    if found is None:
        raise ApplicationError("not_found", _("Not found."), field="base_model", status_hint=404)
    return found


def _curve(job: FineTuningJob, kind: str, after: int) -> dict[str, list[Any]]:
    names = ("step", "loss", "token_accuracy", "learning_rate", "grad_norm")
    rows = job.metrics.filter(kind=kind, step__gt=after).order_by("step")
    points = list(rows.values_list(*names))
    stride = -(-len(points) // MOST_POINTS) or 1
    # The newest point is always among them.
    points = points[::-1][::stride][::-1]
    return {name: [point[i] for point in points] for i, name in enumerate(names)}
