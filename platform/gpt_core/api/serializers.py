"""The shapes of gpt_core's native API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ..gate import Verdict
from ..models import (
    BaseModel,
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    JobEvent,
)
from ..verdict_text import sentence, summary

_SUPERVISED = (
    "id", "state", "created_at", "queued_at", "started_at", "finished_at", "attempt",
    "cancel_requested", "step", "steps", "progress", "eta_seconds", "failure",
)  # fmt: skip


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


class StartEvaluationSerializer(StrictSerializer):
    main_metric = serializers.CharField(max_length=40, required=False)


class PromoteSerializer(StrictSerializer):
    checkpoint = serializers.UUIDField()
    deployment = serializers.CharField(max_length=63, required=False)
    override_reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class EmptySerializer(StrictSerializer):
    """A request that says all in its address."""


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


class SupervisedSerializer(serializers.ModelSerializer[Any]):
    progress = serializers.FloatField(read_only=True)
    failure = serializers.SerializerMethodField()

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
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)
    checkpoint = serializers.SerializerMethodField()

    class Meta:
        model = FineTuningJob
        fields = (
            *_SUPERVISED, "name", "base_model", "dataset_version", "deployment_name", "number",
            "retry_of", "method", "hyperparameters", "chosen", "reasons", "seed", "precision",
            "main_metric", "tokens_per_second", "trained_tokens", "last_step", "best_step",
            "best_loss", "checkpoint", "pause_requested",
        )  # fmt: skip
        read_only_fields = fields

    def get_checkpoint(self, job: FineTuningJob) -> str | None:
        checkpoint = getattr(job, "checkpoint", None)
        return str(checkpoint.pk) if checkpoint else None


class EventSerializer(serializers.ModelSerializer[JobEvent]):
    class Meta:
        model = JobEvent
        fields = ("id", "at", "level", "code", "data", "evaluation")
        read_only_fields = fields


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)

    class Meta:
        model = Checkpoint
        fields = (
            "id", "name", "kind", "base_model", "job", "dataset_version", "digest", "manifest",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class EvaluationSerializer(SupervisedSerializer):
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


class ChangeSerializer(serializers.ModelSerializer[DeploymentChange]):
    class Meta:
        model = DeploymentChange
        fields = ("id", "kind", "before", "after", "evaluation", "actor", "override_reason", "at")
        read_only_fields = fields


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    base_model: Any = serializers.SlugRelatedField(slug_field="name", read_only=True)
    model = serializers.CharField(read_only=True)

    class Meta:
        model = Deployment
        fields = ("id", "name", "base_model", "model", "checkpoint", "previous", "updated_at")
        read_only_fields = fields
