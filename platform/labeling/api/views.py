"""The native API: datasets with their imports and exports, examples, frozen versions."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import TenantViewSet
from accounts.models import User
from accounts.permissions import ANNOTATE, TRAIN, VIEW
from common.errors import ApplicationError
from labeling import exports, services
from labeling.api import serializers as shapes
from labeling.models import Dataset, DatasetVersion, Example, ImportRun, VersionRow

# A request reads its file at once; what is larger comes by `manage.py import_examples`.
MAX_UPLOAD_BYTES = 64 << 20


class LabelingViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """List and retrieve for everyone who may view; `filters` are parameters of the list."""

    lookup_value_converter = "uuid"
    needs = {"list": VIEW, "retrieve": VIEW}
    filters: dict[str, type[UUID] | type[str]] = {}

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        if self.action != "list":
            return rows
        for name, kind in self.filters.items():
            given = self.request.query_params.get(name)
            if given:
                rows = rows.filter(**{name: _read(name, given, kind)})
        return rows

    def input_as(self, shape: type[shapes.StrictSerializer], data: Any = None) -> dict[str, Any]:
        read = shape(data=self.request.data if data is None else data)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def answer(self, row: Any, status: int = 200) -> Response:
        return Response(self.get_serializer(row).data, status=status)

    def exported(self, source: Dataset | DatasetVersion, name: str) -> StreamingHttpResponse:
        """The rows as a file that is made while it is sent."""
        asked = self.input_as(shapes.ExportQuery, self.request.query_params.dict())
        lines, content_type, suffix = exports.FORMS[asked["form"]]
        return StreamingHttpResponse(
            lines(exports.payloads(source, asked.get("split"))),
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}.{suffix}"'},
        )


class DatasetViewSet(LabelingViewSet):
    model = Dataset
    serializer_class = shapes.DatasetSerializer
    needs = LabelingViewSet.needs | {
        "create": ANNOTATE,
        "partial_update": ANNOTATE,
        "upload": ANNOTATE,
        "freeze": TRAIN,
        "export": VIEW,
    }

    def get_queryset(self) -> QuerySet[Any]:
        return Dataset.objects.with_counts()

    def create(self, request: Request) -> Response:
        dataset = services.create_dataset(**self.input_as(shapes.NewDatasetSerializer))
        return self.answer(dataset, status=201)

    def partial_update(self, request: Request, pk: UUID) -> Response:
        dataset = self.get_object()
        changes = self.input_as(shapes.ChangedDatasetSerializer)
        for name, value in changes.items():
            setattr(dataset, name, value)
        dataset.save(update_fields=list(changes))
        return self.answer(dataset)

    @action(detail=True, methods=["post"], url_path="import", parser_classes=[MultiPartParser])
    def upload(self, request: Request, pk: UUID) -> Response:
        """A form with `file`, and optionally `mapping` (JSON), `dry_run`, `state`."""
        dataset = self.get_object()
        _refuse_large(request)
        # No serializer should see the lists of a QueryDict; without any body it is a plain dict.
        form = request.data.dict() if isinstance(request.data, QueryDict) else {}
        asked = self.input_as(shapes.UploadSerializer, form)
        report = services.import_examples(
            dataset=dataset,
            stream=asked["file"].file,
            filename=asked["file"].name,
            mapping=asked.get("mapping"),
            dry_run=asked["dry_run"],
            state=asked["state"],
        )
        return Response(shapes.report_as_dict(report), status=200 if report.dry_run else 201)

    @action(detail=True, methods=["post"])
    def freeze(self, request: Request, pk: UUID) -> Response:
        dataset = self.get_object()
        asked = self.input_as(shapes.FreezeSerializer)
        version = services.freeze_version(
            dataset=dataset, seed=asked["seed"], shares=tuple(asked["shares"])
        )
        return Response(shapes.VersionSerializer(version).data, status=201)

    @action(detail=True)
    def export(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """The accepted examples as they are now: `?form=openai|rows|csv`."""
        dataset = self.get_object()
        return self.exported(dataset, dataset.slug)


class ExampleViewSet(LabelingViewSet):
    model = Example
    serializer_class = shapes.ExampleSerializer
    filters = {"dataset": UUID, "state": str, "group": str, "external_id": str}
    needs = LabelingViewSet.needs | {"annotate": ANNOTATE, "annotations": VIEW}

    @action(detail=True, methods=["post"])
    def annotate(self, request: Request, pk: UUID) -> Response:
        example = self.get_object()
        annotation = services.annotate_example(
            example=example,
            annotator=request.user if isinstance(request.user, User) else None,
            **self.input_as(shapes.AnnotateSerializer),
        )
        return Response(shapes.AnnotationSerializer(annotation).data, status=201)

    @action(detail=True)
    def annotations(self, request: Request, pk: UUID) -> Response:
        found = self.get_object().annotations.order_by("created_at")[:200]
        return Response({"items": shapes.AnnotationSerializer(found, many=True).data})


class VersionViewSet(LabelingViewSet):
    model = DatasetVersion
    serializer_class = shapes.VersionSerializer
    filters = {"dataset": UUID}
    needs = LabelingViewSet.needs | {"rows": VIEW, "export": VIEW}

    @action(detail=True)
    def rows(self, request: Request, pk: UUID) -> Response:
        """The frozen rows of one split in their order, from behind position `?after=`."""
        version = self.get_object()
        asked = self.input_as(shapes.RowsQuery, request.query_params.dict())
        found = list(
            VersionRow.objects.filter(version=version, position__gt=asked["after"])
            .of_split(asked["split"])
            .order_by("position")[: asked["limit"]]
        )
        after = found[-1].position if found else asked["after"]
        return Response({"items": [row.payload for row in found], "after": after})

    @action(detail=True)
    def export(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """`?form=openai|rows|csv`, `?split=train|validation|test` or all of them."""
        version = self.get_object()
        return self.exported(version, f"{version.dataset.slug}-v{version.number}")


class ImportViewSet(LabelingViewSet):
    model = ImportRun
    serializer_class = shapes.ImportRunSerializer
    filters = {"dataset": UUID}


def _read(name: str, given: str, kind: type[UUID] | type[str]) -> UUID | str:
    try:
        return kind(given)
    except ValueError:
        raise ValidationError({name: [_("This is not an id.")]}) from None


def _refuse_large(request: Request) -> None:
    """Before a byte of the file is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MAX_UPLOAD_BYTES:
        raise ApplicationError(
            "too_large",
            _("Files of more than %(limit)d MB are imported with manage.py import_examples.")
            % {"limit": MAX_UPLOAD_BYTES >> 20},
            field="file",
            status_hint=413,
        )
