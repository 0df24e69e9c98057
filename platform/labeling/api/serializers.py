"""Datasets, examples, versions and imports as JSON; and what may be asked of them."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from common import strict_json
from labeling.exports import FORMS
from labeling.faults import Fault
from labeling.importing import ImportReport
from labeling.models import Annotation, Dataset, DatasetVersion, Example, ImportRun, Split
from labeling.rows import MAX_LABEL_CHARACTERS, MAX_LABELS


class StrictSerializer(serializers.Serializer[Any]):
    """Input: what is not known is refused by name, instead of being lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name: [_("There is no such field.")] for name in unknown[:20]}
                )
        return super().to_internal_value(data)


# --- In ------------------------------------------------------------------------------------------


class NewDatasetSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    slug = serializers.SlugField(max_length=63, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)


class ChangedDatasetSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)


class MappingField(serializers.Field[dict[str, str], Any, Any, Any]):
    """{"question": "Frage"}, as an object or, in a form, as its text."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, str):
            data = strict_json.loads(data)
        if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
            raise serializers.ValidationError(_('Write {"question": "name of the column", ...}.'))
        return data

    def to_representation(self, value: dict[str, str]) -> dict[str, str]:
        return value


class UploadSerializer(StrictSerializer):
    file = serializers.FileField(max_length=255, allow_empty_file=True)
    mapping = MappingField(required=False)
    dry_run = serializers.BooleanField(default=False)
    state = serializers.ChoiceField(
        choices=[Example.State.DRAFT, Example.State.ACCEPTED], default=Example.State.ACCEPTED
    )


class FreezeSerializer(StrictSerializer):
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**53)
    shares = serializers.ListField(
        child=serializers.FloatField(), min_length=3, max_length=3, default=[0.8, 0.1, 0.1]
    )


class AnnotateSerializer(StrictSerializer):
    verdict = serializers.ChoiceField(choices=Annotation.Verdict.choices)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LABEL_CHARACTERS),
        max_length=MAX_LABELS,
        required=False,
    )
    content = serializers.DictField(required=False)
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False)


class ExportQuery(StrictSerializer):
    form = serializers.ChoiceField(choices=sorted(FORMS), default="openai")
    split = serializers.ChoiceField(choices=Split.choices, required=False)


class RowsQuery(StrictSerializer):
    split = serializers.ChoiceField(choices=Split.choices, default=Split.TRAIN)
    after = serializers.IntegerField(min_value=-1, max_value=2**31, default=-1)
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


# --- Out -----------------------------------------------------------------------------------------


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    example_count = serializers.IntegerField(read_only=True)
    accepted_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Dataset
        fields = (
            "id", "name", "slug", "description", "language", "created_at", "example_count",
            "accepted_count",
        )  # fmt: skip
        read_only_fields = fields


class ExampleSerializer(serializers.ModelSerializer[Example]):
    class Meta:
        model = Example
        fields = (
            "id", "dataset", "kind", "content", "labels", "external_id", "group", "state",
            "passages", "preference", "redactions", "source_kind", "source_ref", "line",
            "import_run", "created_at", "edited_at",
        )  # fmt: skip
        read_only_fields = fields


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    class Meta:
        model = Annotation
        fields = (
            "id", "example", "annotator", "verdict", "labels", "content", "seconds", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class VersionSerializer(serializers.ModelSerializer[DatasetVersion]):
    class Meta:
        model = DatasetVersion
        fields = ("id", "dataset", "number", "digest", "counts", "seed", "shares", "frozen_at")
        read_only_fields = fields


class ImportRunSerializer(serializers.ModelSerializer[ImportRun]):
    faults = serializers.SerializerMethodField()

    class Meta:
        model = ImportRun
        fields = (
            "id", "dataset", "filename", "size", "form", "encoding", "state", "counts",
            "fault_count", "faults", "ignored", "failure", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_faults(self, run: ImportRun) -> list[dict[str, Any]]:
        """With their sentences, in the reader's language."""
        return [Fault.from_record(kept).as_dict() for kept in run.faults if isinstance(kept, dict)]


def report_as_dict(report: ImportReport) -> dict[str, Any]:
    """What became of a file, for the one who sent it."""
    return {
        "import": str(report.run.pk) if report.run is not None else None,
        "dry_run": report.dry_run,
        "filename": report.filename,
        "form": report.form,
        "encoding": report.encoding,
        "size": report.size,
        "counts": report.counts,
        "fault_count": report.fault_count,
        "faults_by_code": report.by_code,
        "faults": [fault.as_dict() for fault in report.faults],
        "ignored": report.ignored,
        "preview": report.preview,
        "seconds": round(report.seconds, 3),
    }
