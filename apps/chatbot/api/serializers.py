"""Imports of past conversations as JSON; and what may be asked of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.chatbot.models import HistoryRun, HistorySource
from common.api import ListQuery, StrictSerializer
from labeling.api.serializers import FaultSerializer, MappingField
from labeling.faults import Fault


class NewHistoryImportSerializer(StrictSerializer):
    file = serializers.FileField(max_length=255, allow_empty_file=True)
    dataset = serializers.UUIDField(help_text="Where the mined questions go, as drafts.")
    source = serializers.ChoiceField(choices=HistorySource.choices)  # type: ignore[assignment]
    mapping = MappingField(required=False)
    reviewers = serializers.IntegerField(
        min_value=1, max_value=3, default=1, help_text="How many people look at each answer."
    )
    dry_run = serializers.BooleanField(
        default=False, help_text="Read and tell of it, and keep nothing until it is started."
    )


class HistoryImportsQuery(ListQuery):
    dataset = serializers.UUIDField(required=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=HistorySource.choices, required=False
    )
    state = serializers.ChoiceField(choices=HistoryRun.State.choices, required=False)


class HistoryImportSerializer(serializers.ModelSerializer[HistoryRun]):
    faults = serializers.SerializerMethodField()
    counts = serializers.DictField(read_only=True)
    redacted = serializers.DictField(read_only=True)
    mined = serializers.DictField(read_only=True)
    dry_run = serializers.BooleanField(source="is_check", read_only=True)

    class Meta:
        model = HistoryRun
        fields = (
            "id", "dataset", "source", "filename", "size", "form", "encoding", "dry_run", "state", "share",
            "counts", "redacted", "mined", "fault_count", "faults", "failure", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(FaultSerializer(many=True))
    def get_faults(self, run: HistoryRun) -> list[dict[str, Any]]:
        """With their sentences, in the reader's language."""
        return [Fault.from_record(kept).as_dict() for kept in run.faults if isinstance(kept, dict)]
