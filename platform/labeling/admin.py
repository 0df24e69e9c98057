"""Datasets and what is in them, for the platform's staff."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from labeling.models import (
    Annotation,
    Dataset,
    DatasetVersion,
    Example,
    ImportRun,
    Label,
    StoredFile,
    VersionRow,
)
from tenancy.operating import OperatorAdmin


class Seen(OperatorAdmin):
    """Made by services, never by hand: staff may look."""

    list_select_related: Any = ["tenant"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Dataset)
class DatasetAdmin(OperatorAdmin):
    list_display = ["name", "tenant", "slug", "language", "created_at"]
    list_select_related = ["tenant"]
    search_fields = ["name", "slug", "tenant__slug"]
    # The slug is a part of addresses and of the names of deployments.
    readonly_fields = ["id", "tenant", "slug", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(ImportRun)
class ImportRunAdmin(Seen):
    list_display = ["filename", "dataset", "tenant", "state", "form", "fault_count", "created_at"]
    list_filter = ["state", "form"]
    list_select_related = ["tenant", "dataset"]
    search_fields = ["filename", "tenant__slug"]


@admin.register(StoredFile)
class StoredFileAdmin(Seen):
    list_display = ["filename", "tenant", "purpose", "size", "state", "expires_at", "created_at"]
    list_filter = ["purpose", "state"]
    search_fields = ["filename", "tenant__slug"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Label)
class LabelAdmin(Seen):
    list_display = ["name", "dataset", "tenant"]
    list_select_related = ["tenant", "dataset"]
    search_fields = ["name", "dataset__slug"]


@admin.register(Example)
class ExampleAdmin(Seen):
    list_display = ["external_id", "dataset", "tenant", "kind", "state", "source_kind"]
    list_filter = ["kind", "state", "source_kind"]
    list_select_related = ["tenant", "dataset"]
    search_fields = ["external_id", "dataset__slug", "tenant__slug"]


@admin.register(Annotation)
class AnnotationAdmin(Seen):
    list_display = ["example", "annotator", "verdict", "seconds", "created_at"]
    list_filter = ["verdict"]
    list_select_related = ["example", "annotator"]


@admin.register(DatasetVersion)
class DatasetVersionAdmin(Seen):
    list_display = ["dataset", "number", "tenant", "digest", "frozen_at"]
    list_select_related = ["tenant", "dataset"]
    search_fields = ["digest", "dataset__slug", "tenant__slug"]


@admin.register(VersionRow)
class VersionRowAdmin(Seen):
    list_display = ["version", "split", "position", "subject"]
    list_filter = ["split"]
    list_select_related = ["version"]
