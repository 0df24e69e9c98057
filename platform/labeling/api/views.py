"""The native API: datasets with their imports and exports, labels, examples, annotations, versions."""

from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Value
from django.http import QueryDict, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import NativeViewSet
from accounts.permissions import ANNOTATE, TRAIN, VIEW
from common.errors import ApplicationError
from labeling import exports, services
from labeling.api import serializers as shapes
from labeling.finding import Wears
from labeling.models import (
    Annotation,
    Dataset,
    DatasetVersion,
    Example,
    ImportRun,
    Label,
    VersionRow,
)

# A request reads its file at once; what is larger comes by `manage.py import_examples`.
MAX_UPLOAD_BYTES = 64 << 20
A_FILE = extend_schema(
    responses={
        (200, "application/jsonl"): OpenApiTypes.STR,
        (200, "text/csv"): OpenApiTypes.STR,
    }
)
VERDICT_OF_STATE = {
    Example.State.ACCEPTED: Annotation.Verdict.ACCEPT,
    Example.State.REJECTED: Annotation.Verdict.REJECT,
}


class LabelingViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """List and retrieve for everyone who may view."""

    needs = {"list": VIEW, "retrieve": VIEW}

    def dataset_named(self, pk: UUID) -> Dataset:
        """The dataset that a body names. One of another tenant is exactly as absent as none."""
        found = Dataset.objects.filter(pk=pk).first()
        if found is None:
            raise ApplicationError("not_found", _("Not found."), field="dataset", status_hint=404)
        return found

    def exported(self, source: Dataset | DatasetVersion, name: str) -> StreamingHttpResponse:
        """The rows as a file that is made while it is sent."""
        lines, content_type, suffix = exports.FORMS[self.query["form"]]
        return StreamingHttpResponse(
            lines(exports.payloads(source, self.query.get("split"))),
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}.{suffix}"'},
        )


class DatasetViewSet(LabelingViewSet):
    model = Dataset
    serializer_class = shapes.DatasetSerializer
    queries = {"export": shapes.ExportQuery}
    needs = LabelingViewSet.needs | {
        "create": ANNOTATE,
        "partial_update": ANNOTATE,
        "destroy": TRAIN,
        "upload": ANNOTATE,
        "freeze": TRAIN,
        "export": VIEW,
    }
    # An import commits batch by batch, and adds nothing when it is done again.
    in_steps = frozenset({"upload"})

    def get_queryset(self) -> QuerySet[Any]:
        return Dataset.objects.with_counts()

    def refuse_unread(self, request: Request) -> None:
        if self.action == "upload":
            refuse_large(request)

    @extend_schema(request=shapes.NewDatasetSerializer, responses={201: shapes.DatasetSerializer})
    def create(self, request: Request) -> Response:
        dataset = services.create_dataset(**self.input_as(shapes.NewDatasetSerializer))
        return self.answer(self.get_queryset().get(pk=dataset.pk), status=201)

    @extend_schema(request=shapes.ChangedDatasetSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Its address stays, for scripts refer to it."""
        dataset = self.get_object()
        values = {name: getattr(dataset, name) for name in ("name", "description", "language")}
        changes = self.input_as(shapes.ChangedDatasetSerializer)
        services.rename_dataset(dataset=dataset, **(values | changes))
        return self.answer(dataset)

    def destroy(self, request: Request, pk: UUID) -> Response:
        """With all that it holds; refused where a job learned from one of its versions."""
        services.delete_dataset(dataset=self.get_object())
        return Response(status=204)

    @extend_schema(
        request={"multipart/form-data": shapes.UploadSerializer},
        responses={200: shapes.ImportReportSerializer, 201: shapes.ImportReportSerializer},
    )
    @action(detail=True, methods=["post"], url_path="import", parser_classes=[MultiPartParser])
    def upload(self, request: Request, pk: UUID) -> Response:
        """Read a file of examples: JSON Lines, JSON, CSV, TSV or a workbook.

        With `dry_run` it is read and told of, and nothing is kept.
        """
        dataset = self.get_object()
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

    @extend_schema(request=shapes.FreezeSerializer, responses={201: shapes.VersionSerializer})
    @action(detail=True, methods=["post"])
    def freeze(self, request: Request, pk: UUID) -> Response:
        """Keep the accepted examples as they are now, split, as the next version."""
        dataset = self.get_object()
        asked = self.input_as(shapes.FreezeSerializer)
        version = services.freeze_version(
            dataset=dataset, seed=asked["seed"], shares=tuple(asked["shares"])
        )
        return Response(shapes.VersionSerializer(version).data, status=201)

    @A_FILE
    @action(detail=True)
    def export(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """The accepted examples as they are now, as a file."""
        dataset = self.get_object()
        return self.exported(dataset, dataset.slug)


class LabelViewSet(LabelingViewSet):
    """The names that examples of a dataset may carry. An import or an annotation adds those that it uses."""

    model = Label
    serializer_class = shapes.LabelSerializer
    queries = {"list": shapes.LabelsQuery}
    needs = LabelingViewSet.needs | dict.fromkeys(("create", "partial_update", "destroy"), ANNOTATE)

    @extend_schema(request=shapes.NewLabelSerializer, responses={201: shapes.LabelSerializer})
    def create(self, request: Request) -> Response:
        asked = self.input_as(shapes.NewLabelSerializer)
        dataset = self.dataset_named(asked.pop("dataset"))
        return self.answer(services.create_label(dataset=dataset, **asked), status=201)

    @extend_schema(request=shapes.ChangedLabelSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """A new name is given to every example that wears the label, and noted in its history."""
        label = self.get_object()
        changes = self.input_as(shapes.ChangedLabelSerializer)
        return self.answer(services.change_label(label=label, actor=self.actor, **changes))

    def destroy(self, request: Request, pk: UUID) -> Response:
        """Refused with `label_worn`, and how many, while an example wears it."""
        services.delete_label(label=self.get_object())
        return Response(status=204)


class ExampleViewSet(LabelingViewSet):
    model = Example
    serializer_class = shapes.ExampleSerializer
    queries = {"list": shapes.ExamplesQuery}
    needs = LabelingViewSet.needs | {
        "create": ANNOTATE,
        "partial_update": ANNOTATE,
        "destroy": ANNOTATE,
        "annotate": ANNOTATE,
        "annotations": VIEW,
    }

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        label = self.query.pop("label", None)
        rows = super().filter_queryset(queryset)
        return rows.filter(Wears(F("labels"), Value(label))) if label else rows

    @extend_schema(request=shapes.NewExampleSerializer, responses={201: shapes.ExampleSerializer})
    def create(self, request: Request) -> Response:
        """One example, read as a line of an import would be. Many at once come by a file."""
        asked = self.input_as(shapes.NewExampleSerializer)
        dataset = self.dataset_named(asked.pop("dataset"))
        return self.answer(services.write_example(dataset=dataset, **asked), status=201)

    @extend_schema(request=shapes.ChangedExampleSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Correct it; what it was before stays in its annotations, and no import overwrites it."""
        example = self.get_object()
        changes = self.input_as(shapes.ChangedExampleSerializer)
        state = changes.pop("state", None)
        verdict = VERDICT_OF_STATE[state] if state else Annotation.Verdict.EDIT
        if changes or state:
            services.annotate_example(
                example=example, annotator=self.actor, verdict=verdict, **changes
            )
        return self.answer(example)

    def destroy(self, request: Request, pk: UUID) -> Response:
        """Frozen versions keep their copy: a model may have learned from it."""
        services.delete_example(example=self.get_object())
        return Response(status=204)

    @extend_schema(request=shapes.AnnotateSerializer, responses={201: shapes.AnnotationSerializer})
    @action(detail=True, methods=["post"])
    def annotate(self, request: Request, pk: UUID) -> Response:
        """Judge it, and correct it where that is needed."""
        annotation = services.annotate_example(
            example=self.get_object(),
            annotator=self.actor,
            **self.input_as(shapes.AnnotateSerializer),
        )
        return Response(shapes.AnnotationSerializer(annotation).data, status=201)

    @extend_schema(responses={200: shapes.HistorySerializer})
    @action(detail=True)
    def annotations(self, request: Request, pk: UUID) -> Response:
        """Its history, oldest first; the first 200. All of them are under /annotations/."""
        found = self.get_object().annotations.order_by("created_at")[:200]
        return Response({"items": shapes.AnnotationSerializer(found, many=True).data})


class AnnotationViewSet(LabelingViewSet):
    """What people made of examples, newest first."""

    model = Annotation
    serializer_class = shapes.AnnotationSerializer
    queries = {"list": shapes.AnnotationsQuery}


class VersionViewSet(LabelingViewSet):
    model = DatasetVersion
    serializer_class = shapes.VersionSerializer
    queries = {
        "list": shapes.OfDatasetQuery,
        "rows": shapes.RowsQuery,
        "export": shapes.ExportQuery,
    }
    needs = LabelingViewSet.needs | {"rows": VIEW, "export": VIEW}

    @extend_schema(responses={200: shapes.RowsSerializer})
    @action(detail=True)
    def rows(self, request: Request, pk: UUID) -> Response:
        """The frozen rows of one split in their order, from behind position `after`."""
        version = self.get_object()
        found = list(
            VersionRow.objects.filter(version=version, position__gt=self.query["after"])
            .of_split(self.query["split"])
            .order_by("position")[: self.query["limit"]]
        )
        after = found[-1].position if found else self.query["after"]
        return Response({"items": [row.payload for row in found], "after": after})

    @A_FILE
    @action(detail=True)
    def export(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """One split, or all of them, as a file."""
        version = self.get_object()
        return self.exported(version, f"{version.dataset.slug}-v{version.number}")


class ImportViewSet(LabelingViewSet):
    """Every file that was read, and what became of its rows."""

    model = ImportRun
    serializer_class = shapes.ImportRunSerializer
    queries = {"list": shapes.ImportsQuery}


def refuse_large(request: Request) -> None:
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
