"""The native API: bases, jobs, checkpoints, evaluations, deployments."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import TenantViewSet
from accounts.models import User
from accounts.permissions import PROMOTE, TRAIN, VIEW, can_override
from common.errors import ApplicationError
from labeling.models import DatasetVersion
from tenancy.scope import system_scope

from .. import dispatch, services
from ..models import BaseModel, Checkpoint, Deployment, Evaluation, FineTuningJob, JobMetric
from . import serializers as shapes

Row = TypeVar("Row", bound=Model)
MOST_EVENTS = 200
MOST_POINTS = 2000


class GptViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """List and retrieve for everyone who may view; `input_as` reads a request strictly."""

    lookup_value_converter = "uuid"
    needs = {"list": VIEW, "retrieve": VIEW}

    def input_as(self, shape: type[shapes.StrictSerializer]) -> dict[str, Any]:
        read = shape(data=self.request.data or {})
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    @property
    def actor(self) -> User | None:
        return self.request.user if isinstance(self.request.user, User) else None

    def answer(self, row: Any, status: int = 200) -> Response:
        return Response(self.get_serializer(row).data, status=status)


class BaseModelViewSet(GptViewSet):
    model = BaseModel
    serializer_class = shapes.BaseModelSerializer


class JobViewSet(GptViewSet):
    model = FineTuningJob
    serializer_class = shapes.JobSerializer
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

    def retrieve(self, request: Request, *args: Any, **values: Any) -> Response:
        job = self.get_object()
        with system_scope("the place of a job in the queue of all tenants"):
            position = dispatch.position_in_queue(job)
        return Response(self.get_serializer(job).data | {"queue_position": position})

    def create(self, request: Request) -> Response:
        asked = self.input_as(shapes.StartJobSerializer)
        asked["dataset_version"] = _named(
            DatasetVersion.objects.all(), asked["dataset_version"], "dataset_version"
        )
        asked["base_model"] = _base_of(asked.get("base_model"))
        return self.answer(services.start_fine_tuning(**asked, actor=self.actor), status=201)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        return self.answer(services.cancel_job(self.get_object()))

    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        return self.answer(services.pause_job(self.get_object()))

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        return self.answer(services.resume_job(self.get_object()))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        again = services.retry_job(self.get_object(), actor=self.actor)
        return self.answer(again, status=201)

    @action(detail=True)
    def events(self, request: Request, pk: UUID) -> Response:
        """The story so far, oldest first; `?after=` the id of the last event that is known."""
        after = _whole(request, "after")
        found = self.get_object().events.filter(pk__gt=after).order_by("pk")[:MOST_EVENTS]
        items = shapes.EventSerializer(found, many=True).data
        return Response({"items": items, "after": items[-1]["id"] if items else after})

    @action(detail=True)
    def metrics(self, request: Request, pk: UUID) -> Response:
        """The curves, as columns; thinned evenly where there are more points than a page shows."""
        after = _whole(request, "after_step")
        job = self.get_object()
        return Response({kind: _curve(job, kind, after) for kind in JobMetric.Kind.values})


class CheckpointViewSet(GptViewSet):
    model = Checkpoint
    serializer_class = shapes.CheckpointSerializer
    needs = GptViewSet.needs | {"evaluate": TRAIN}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("base_model")

    @action(detail=True, methods=["post"])
    def evaluate(self, request: Request, pk: UUID) -> Response:
        asked = self.input_as(shapes.StartEvaluationSerializer)
        evaluation = services.evaluate_checkpoint(
            checkpoint=self.get_object(), actor=self.actor, **asked
        )
        return Response(shapes.EvaluationSerializer(evaluation).data, status=201)


class EvaluationViewSet(GptViewSet):
    model = Evaluation
    serializer_class = shapes.EvaluationSerializer
    needs = GptViewSet.needs | {"cancel": TRAIN}

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        return self.answer(services.cancel_job(self.get_object()))


class DeploymentViewSet(GptViewSet):
    model = Deployment
    serializer_class = shapes.DeploymentSerializer
    needs = GptViewSet.needs | {"promote": PROMOTE, "roll_back": PROMOTE, "changes": VIEW}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("base_model", "checkpoint")

    @action(detail=False, methods=["post"])
    def promote(self, request: Request) -> Response:
        asked = self.input_as(shapes.PromoteSerializer)
        asked["checkpoint"] = _named(Checkpoint.objects.all(), asked["checkpoint"], "checkpoint")
        if asked.get("override_reason", "").strip() and not can_override(self.credential):
            # The service looks at the person; a key of an owner's is not the owner.
            raise services.owner_needed()
        return self.answer(services.promote(**asked, actor=self.actor))

    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: UUID) -> Response:
        self.input_as(shapes.EmptySerializer)
        return self.answer(services.roll_back(deployment=self.get_object(), actor=self.actor))

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


def _whole(request: Request, name: str) -> int:
    value = request.query_params.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ApplicationError("invalid_parameter", _("A whole number was expected."), field=name)
    return int(value)


def _curve(job: FineTuningJob, kind: str, after: int) -> dict[str, list[Any]]:
    names = ("step", "loss", "token_accuracy", "learning_rate", "grad_norm")
    rows = job.metrics.filter(kind=kind, step__gt=after).order_by("step")
    points = list(rows.values_list(*names))
    stride = -(-len(points) // MOST_POINTS) or 1
    # The newest point is always among them.
    points = points[::-1][::stride][::-1]
    return {name: [point[i] for point in points] for i, name in enumerate(names)}
