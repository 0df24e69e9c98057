"""Datasets, examples, versions and imports as JSON; and what may be asked of them."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common import strict_json
from common.api import ListQuery, StrictSerializer, WholeNumberField
from labeling.exports import FORMS
from labeling.faults import Fault
from labeling.importing import ImportReport
from labeling.models import Annotation, Dataset, DatasetVersion, Example, ImportRun, Label, Split
from labeling.rows import MAX_ID_CHARACTERS, MAX_LABEL_CHARACTERS, MAX_LABELS

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


class NewLabelSerializer(StrictSerializer):
    dataset = serializers.UUIDField()
    name = serializers.CharField(max_length=MAX_LABEL_CHARACTERS)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class ChangedLabelSerializer(StrictSerializer):
    name = serializers.CharField(max_length=MAX_LABEL_CHARACTERS, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class LabelsField(serializers.ListField):
    child = serializers.CharField(max_length=MAX_LABEL_CHARACTERS)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_LABELS, **options)


class NewExampleSerializer(StrictSerializer):
    dataset = serializers.UUIDField()
    content = serializers.DictField(
        help_text='`{"messages": [...]}`, `{"prompt": ..., "completion": ...}` or `{"text": ...}`.'
    )
    labels = LabelsField(required=False)
    external_id = serializers.CharField(
        max_length=MAX_ID_CHARACTERS,
        required=False,
        help_text="Its id in your system. Without one it is known by its content.",
    )
    group = serializers.CharField(
        max_length=MAX_ID_CHARACTERS,
        required=False,
        help_text="Examples of one group are never split apart.",
    )
    subject = serializers.CharField(
        max_length=MAX_ID_CHARACTERS,
        required=False,
        help_text="Whose data it holds, such as `contact:17`; erasure follows it.",
    )
    state = serializers.ChoiceField(
        choices=[Example.State.DRAFT, Example.State.ACCEPTED], default=Example.State.DRAFT
    )


class ChangedExampleSerializer(StrictSerializer):
    content = serializers.DictField(required=False)
    labels = LabelsField(required=False)
    state = serializers.ChoiceField(
        choices=[Example.State.ACCEPTED, Example.State.REJECTED], required=False
    )


@extend_schema_field(serializers.CharField(help_text='{"question": "name of the column"} as JSON.'))
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
    verdict = serializers.ChoiceField(
        choices=[one for one in Annotation.Verdict.choices if one[0] != Annotation.Verdict.UNDO]
    )
    labels = LabelsField(required=False)
    content = serializers.DictField(required=False)
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False)


class ExportQuery(StrictSerializer):
    form = serializers.ChoiceField(choices=sorted(FORMS), default="openai")
    split = serializers.ChoiceField(choices=Split.choices, required=False)


class RowsQuery(StrictSerializer):
    split = serializers.ChoiceField(choices=Split.choices, default=Split.TRAIN)
    after = WholeNumberField(min_value=-1, max_value=2**31, default=-1)
    limit = WholeNumberField(min_value=1, max_value=200, default=50)


class OfDatasetQuery(ListQuery):
    dataset = serializers.UUIDField(required=False)


class LabelsQuery(OfDatasetQuery):
    name = serializers.CharField(max_length=MAX_LABEL_CHARACTERS, required=False)


class ImportsQuery(OfDatasetQuery):
    state = serializers.ChoiceField(choices=ImportRun.State.choices, required=False)


class ExamplesQuery(OfDatasetQuery):
    state = serializers.ChoiceField(choices=Example.State.choices, required=False)
    kind = serializers.ChoiceField(choices=Example.Kind.choices, required=False)
    group = serializers.CharField(max_length=MAX_ID_CHARACTERS, required=False)
    external_id = serializers.CharField(max_length=MAX_ID_CHARACTERS, required=False)
    import_run = serializers.UUIDField(required=False)
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=MAX_LABEL_CHARACTERS, required=False, help_text="A label that they wear."
    )


class AnnotationsQuery(ListQuery):
    dataset = serializers.UUIDField(required=False, source="example__dataset")
    example = serializers.UUIDField(required=False)
    annotator = serializers.UUIDField(required=False)
    verdict = serializers.ChoiceField(choices=Annotation.Verdict.choices, required=False)


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


class LabelSerializer(serializers.ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ("id", "dataset", "name", "description", "created_at")
        read_only_fields = fields


class ExampleSerializer(serializers.ModelSerializer[Example]):
    content = serializers.DictField(read_only=True)
    labels: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    passages: Any = serializers.ListField(read_only=True)
    redactions: Any = serializers.ListField(read_only=True)
    preference = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = Example
        fields = (
            "id", "dataset", "kind", "content", "labels", "external_id", "group", "state",
            "passages", "preference", "redactions", "source_kind", "source_ref", "line",
            "import_run", "created_at", "edited_at",
        )  # fmt: skip
        read_only_fields = fields


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    labels: Any = serializers.ListField(
        child=serializers.CharField(), read_only=True, allow_null=True
    )
    content = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = Annotation
        fields = (
            "id", "example", "annotator", "verdict", "labels", "content", "seconds", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class HistorySerializer(serializers.Serializer[Any]):
    items = AnnotationSerializer(many=True)


class VersionSerializer(serializers.ModelSerializer[DatasetVersion]):
    counts = serializers.DictField(read_only=True)
    shares: Any = serializers.ListField(child=serializers.FloatField(), read_only=True)

    class Meta:
        model = DatasetVersion
        fields = ("id", "dataset", "number", "digest", "counts", "seed", "shares", "frozen_at")
        read_only_fields = fields


class FaultSerializer(serializers.Serializer[Any]):
    """What is wrong with a line of a file, where, and how to mend it."""

    line = serializers.IntegerField(allow_null=True)
    pointer = serializers.CharField(help_text="A JSON pointer into the row.")
    code = serializers.CharField()
    message = serializers.CharField()
    fix = serializers.CharField()

    class Meta:
        ref_name = "FaultOfRow"


class ImportRunSerializer(serializers.ModelSerializer[ImportRun]):
    faults = serializers.SerializerMethodField()
    counts = serializers.DictField(read_only=True)
    ignored = serializers.DictField(read_only=True)

    class Meta:
        model = ImportRun
        fields = (
            "id", "dataset", "filename", "size", "form", "encoding", "state", "counts",
            "fault_count", "faults", "ignored", "failure", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(FaultSerializer(many=True))
    def get_faults(self, run: ImportRun) -> list[dict[str, Any]]:
        """With their sentences, in the reader's language."""
        return [Fault.from_record(kept).as_dict() for kept in run.faults if isinstance(kept, dict)]


class ImportReportSerializer(serializers.Serializer[Any]):
    """What became of a file, for the one who sent it."""

    dry_run = serializers.BooleanField()
    filename = serializers.CharField()
    form = serializers.CharField()
    encoding = serializers.CharField()
    size = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    fault_count = serializers.IntegerField()
    faults_by_code = serializers.DictField(child=serializers.IntegerField())
    faults = FaultSerializer(many=True)
    ignored = serializers.DictField(child=serializers.IntegerField())
    preview = serializers.ListField(child=serializers.DictField())
    seconds = serializers.FloatField()

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's own.
        return {
            "import": serializers.UUIDField(allow_null=True, read_only=True)
        } | super().get_fields()


class RowsSerializer(serializers.Serializer[Any]):
    items = serializers.ListField(child=serializers.DictField())
    after = serializers.IntegerField(help_text="The parameter of the next page.")


def report_as_dict(report: ImportReport) -> dict[str, Any]:
    """An ImportReportSerializer's data."""
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
