"""Checkpoints, deployments and what happened to jobs: to look at, not to change."""

from __future__ import annotations

from django.contrib import admin

from ..models import Checkpoint, Deployment, DeploymentChange, JobEvent
from .seen import SeenAdmin


@admin.register(JobEvent)
class JobEventAdmin(SeenAdmin):
    list_display = ["at", "tenant", "job", "level", "code"]
    list_filter = ["level", "code"]
    list_select_related = ["tenant", "job", "job__tenant"]
    search_fields = ["job__id", "tenant__slug"]


@admin.register(Checkpoint)
class CheckpointAdmin(SeenAdmin):
    list_display = ["name", "tenant", "kind", "base_model", "digest", "created_at"]
    list_filter = ["kind", "base_model"]
    list_select_related = ["tenant", "base_model"]
    search_fields = ["name", "digest", "tenant__slug"]


@admin.register(Deployment)
class DeploymentAdmin(SeenAdmin):
    list_display = ["name", "tenant", "base_model", "checkpoint", "previous", "updated_at"]
    list_select_related = ["tenant", "base_model", "checkpoint", "previous"]
    search_fields = ["name", "tenant__slug", "checkpoint__name"]


@admin.register(DeploymentChange)
class DeploymentChangeAdmin(SeenAdmin):
    list_display = ["at", "tenant", "deployment", "kind", "before", "after", "actor"]
    list_filter = ["kind"]
    list_select_related = ["tenant", "deployment", "before", "after", "actor"]
    search_fields = ["deployment__name", "tenant__slug", "override_reason"]
