"""The shapes of gpt_core's native API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api import ListQuery, StrictSerializer, WholeNumberField

from ..fair_queue import NOTHING, Forecast
from ..gate import Verdict
from ..models import (
    BaseModel,
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    Export,
    FineTuningJob,
    JobEvent,
    State,
    Whose,
)
from ..verdict_text import sentence, summary

MOST_ID = 2**63 - 1
_SUPERVISED = (
    "id", "state", "created_at", "queued_at", "started_at", "finished_at", "attempt",
    "cancel_requested", "step", "steps", "progress", "eta_seconds", "failure",
)  # fmt: skip


# --- In ------------------------------------------------------------------------------------------


class StartJobSerializer(StrictSerializer):
    dataset_version = serializers.UUIDField()
    base_model = serializers.CharField(max_length=64, required=False)
    deployment = serializers.CharField(max_length=63)
    suffix = serializers.CharField(max_length=64, required=False, allow_blank=True)
    method = serializers.JSONField(required=False)
    hyperparameters = serializers.JSONField(required=False)
    seed = serializers.IntegerField(required=False)
    precision = serializers.CharField(max_length=10, required=False)
    main_metric = serializers.CharField(max_length=40, required=False)


class NewEvaluationSerializer(StrictSerializer):
    checkpoint = serializers.UUIDField()
    main_metric = serializers.CharField(max_length=40, required=False)


class StartEvaluationSerializer(StrictSerializer):
    main_metric = serializers.CharField(max_length=40, required=False)


class StartExportSerializer(StrictSerializer):
    kind = serializers.CharField(max_length=8)
    precision = serializers.CharField(max_length=8, required=False)


class PromoteSerializer(StrictSerializer):
    checkpoint = serializers.UUIDField()
    deployment = serializers.CharField(max_length=63, required=False)
    override_reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class AfterQuery(StrictSerializer):
    after = WholeNumberField(
        min_value=0,
        max_value=MOST_ID,
        default=0,
        help_text="The id of the last event that is known.",
    )


class AfterStepQuery(StrictSerializer):
    after_step = WholeNumberField(min_value=0, max_value=MOST_ID, default=0)


class JobsQuery(ListQuery):
    state = serializers.ChoiceField(choices=State.choices, required=False)
    deployment = serializers.CharField(max_length=63, required=False, source="deployment_name")
    dataset_version = serializers.UUIDField(required=False)


class CheckpointsQuery(ListQuery):
    kind = serializers.ChoiceField(choices=Checkpoint.Kind.choices, required=False)
    name = serializers.CharField(max_length=160, required=False)
    job = serializers.UUIDField(required=False)
    dataset_version = serializers.UUIDField(required=False)


class OfCheckpointQuery(ListQuery):
    checkpoint = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=State.choices, required=False)


class BasesQuery(ListQuery):
    name = serializers.CharField(max_length=64, required=False)


class DeploymentsQuery(ListQuery):
    name = serializers.CharField(max_length=63, required=False)


# --- Out -----------------------------------------------------------------------------------------


class BaseModelSerializer(serializers.ModelSerializer[BaseModel]):
    served = serializers.SerializerMethodField()

    class Meta:
        model = BaseModel
        fields = (
            "id", "name", "digest", "architecture", "parameters", "context", "languages", "licence",
            "served",
        )  # fmt: skip
        read_only_fields = fields

    def get_served(self, base: BaseModel) -> bool:
        return base.engine_url is not None


class FailureSerializer(serializers.Serializer[Any]):
    """Why it ended without its result: a code, and whose it is to mend."""

    code = serializers.CharField()
    whose = serializers.ChoiceField(choices=[*Whose.choices, ("", "")])
    detail = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    pointer = serializers.CharField(allow_null=True)
    log_tail = serializers.CharField()


class SupervisedSerializer(serializers.ModelSerializer[Any]):
    progress = serializers.FloatField(read_only=True, allow_null=True)
    failure = serializers.SerializerMethodField()

    @extend_schema_field(FailureSerializer(allow_null=True))
    def get_failure(self, row: Any) -> dict[str, Any] | None:
        if not row.failure_code:
            return None
        return {
            "code": row.failure_code,
            "whose": row.failure_whose,
            "detail": row.failure_detail,
            "line": row.failure_line,
            "pointer": row.failure_pointer or None,
            "log_tail": row.log_tail,
        }


class JobSerializer(SupervisedSerializer):
    method = serializers.DictField(read_only=True)
    hyperparameters = serializers.DictField(read_only=True)
    chosen = serializers.DictField(read_only=True)
    reasons = serializers.DictField(read_only=True)
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)
    checkpoint = serializers.SerializerMethodField()
    queue_position = serializers.SerializerMethodField()
    starts_in_seconds = serializers.SerializerMethodField()
    finishes_in_seconds = serializers.SerializerMethodField()

    class Meta:
        model = FineTuningJob
        fields = (
            *_SUPERVISED, "name", "base_model", "dataset_version", "deployment_name", "number",
            "retry_of", "method", "hyperparameters", "chosen", "reasons", "seed", "precision",
            "main_metric", "tokens_per_second", "trained_tokens", "last_step", "best_step",
            "best_loss", "checkpoint", "pause_requested", "queue_position", "starts_in_seconds",
            "finishes_in_seconds",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_checkpoint(self, job: FineTuningJob) -> str | None:
        checkpoint = getattr(job, "checkpoint", None)
        return str(checkpoint.pk) if checkpoint else None

    def get_queue_position(self, job: FineTuningJob) -> int | None:
        """How many jobs start before it, and one; null where it does not wait in the queue."""
        return self._forecast(job).position

    def get_starts_in_seconds(self, job: FineTuningJob) -> float | None:
        """An estimate; null where nobody can know."""
        return self._forecast(job).starts_in

    def get_finishes_in_seconds(self, job: FineTuningJob) -> float | None:
        """An estimate; null where nobody can know."""
        return self._forecast(job).finishes_in

    def _forecast(self, job: FineTuningJob) -> Forecast:
        forecasts: dict[Any, Forecast] = self.context.get("forecasts", {})
        return forecasts.get(job.pk, NOTHING)


class EventSerializer(serializers.ModelSerializer[JobEvent]):
    class Meta:
        model = JobEvent
        fields = ("id", "at", "level", "code", "data", "evaluation")
        read_only_fields = fields


class EventsSerializer(serializers.Serializer[Any]):
    items = EventSerializer(many=True)
    after = serializers.IntegerField(help_text="The parameter of the next page.")


class CurveSerializer(serializers.Serializer[Any]):
    """Columns of equal length."""

    step = serializers.ListField(child=serializers.IntegerField())
    loss = serializers.ListField(child=serializers.FloatField())
    token_accuracy = serializers.ListField(child=serializers.FloatField(allow_null=True))
    learning_rate = serializers.ListField(child=serializers.FloatField(allow_null=True))
    grad_norm = serializers.ListField(child=serializers.FloatField(allow_null=True))


class MetricsSerializer(serializers.Serializer[Any]):
    train = CurveSerializer()
    validation = CurveSerializer()


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    manifest = serializers.DictField(read_only=True)
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)
    erased_rows = serializers.IntegerField(
        read_only=True,
        help_text="Rows it learned from whose data was erased since: train anew where there are any.",
    )

    class Meta:
        model = Checkpoint
        fields = (
            "id", "name", "kind", "base_model", "job", "dataset_version", "digest", "manifest",
            "erased_rows", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class EvaluationSerializer(SupervisedSerializer):
    report = serializers.DictField(read_only=True, allow_null=True)
    verdict = serializers.SerializerMethodField()

    class Meta:
        model = Evaluation
        fields = (*_SUPERVISED, "checkpoint", "champion", "main_metric", "report", "verdict")
        read_only_fields = fields

    def get_verdict(self, evaluation: Evaluation) -> dict[str, Any] | None:
        if evaluation.verdict is None:
            return None
        verdict = Verdict.from_dict(evaluation.verdict)
        said = [sentence(reason) for reason in verdict.reasons]
        return evaluation.verdict | {"summary": summary(verdict), "sentences": said}


class ExportSerializer(SupervisedSerializer):
    proof = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = Export
        fields = (
            *_SUPERVISED, "checkpoint", "kind", "precision", "filename", "size", "sha256", "proof",
            "expires_at",
        )  # fmt: skip
        read_only_fields = fields


class ChangeSerializer(serializers.ModelSerializer[DeploymentChange]):
    class Meta:
        model = DeploymentChange
        fields = ("id", "kind", "before", "after", "evaluation", "actor", "override_reason", "at")
        read_only_fields = fields


class ChangesSerializer(serializers.Serializer[Any]):
    items = ChangeSerializer(many=True)


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)
    model = serializers.CharField(read_only=True)

    class Meta:
        model = Deployment
        fields = ("id", "name", "base_model", "model", "checkpoint", "previous", "updated_at")
        read_only_fields = fields
