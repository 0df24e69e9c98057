"""Bases, jobs, checkpoints and deployments, for the platform's staff: to look at, not to change.

What happens to a job or a deployment happens through the services, which keep the state machine and the
audit log; a form in the admin would go around both.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from .models import (
    BaseModel,
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    JobEvent,
)


class ReadOnlyAdmin(ModelAdmin):
    """Every row can be read, none written."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(BaseModel)
class BaseModelAdmin(ReadOnlyAdmin):
    list_display = ["name", "architecture", "parameters", "context", "engine_url", "created_at"]
    search_fields = ["name", "digest"]


@admin.register(FineTuningJob)
class FineTuningJobAdmin(ReadOnlyAdmin):
    list_display = [
        "tenant", "deployment_name", "number", "state", "step", "steps", "attempt", "worker",
        "heartbeat_at", "failure_code", "queued_at",
    ]  # fmt: skip
    list_filter = ["state", "failure_whose", "failure_code"]
    list_select_related = ["tenant"]
    search_fields = ["id", "tenant__slug", "deployment_name", "worker"]
    date_hierarchy = "queued_at"


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "tenant", "job", "level", "code"]
    list_filter = ["level", "code"]
    list_select_related = ["tenant", "job", "job__tenant"]
    search_fields = ["job__id", "tenant__slug"]


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ["name", "tenant", "kind", "base_model", "digest", "created_at"]
    list_filter = ["kind", "base_model"]
    list_select_related = ["tenant", "base_model"]
    search_fields = ["name", "digest", "tenant__slug"]


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ["checkpoint", "tenant", "state", "main_metric", "passed", "worker", "queued_at"]
    list_filter = ["state", "main_metric"]
    list_select_related = ["tenant", "checkpoint"]
    search_fields = ["checkpoint__name", "tenant__slug"]


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = ["name", "tenant", "base_model", "checkpoint", "previous", "updated_at"]
    list_select_related = ["tenant", "base_model", "checkpoint", "previous"]
    search_fields = ["name", "tenant__slug", "checkpoint__name"]


@admin.register(DeploymentChange)
class DeploymentChangeAdmin(ReadOnlyAdmin):
    list_display = ["at", "tenant", "deployment", "kind", "before", "after", "actor"]
    list_filter = ["kind"]
    list_select_related = ["tenant", "deployment", "before", "after", "actor"]
    search_fields = ["deployment__name", "tenant__slug", "override_reason"]
