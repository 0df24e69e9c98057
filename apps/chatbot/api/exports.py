"""`/api/v1/conversation-exports`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schema import PROBLEM, ProblemSerializer
from accounts.permissions import MANAGE, can_answer
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import Contact, ConversationExport, Inbox
from apps.chatbot.services.exports import answer_with, delete_export, start_export
from common.api import EmptySerializer, ListQuery, StrictSerializer
from labeling.services import cancel_work


class NewConversationExportSerializer(StrictSerializer):
    form = serializers.ChoiceField(choices=ConversationExport.Form.choices)
    inbox = serializers.UUIDField(required=False, allow_null=True)
    contact = serializers.UUIDField(
        required=False, allow_null=True, help_text="Needed for an `archive`."
    )
    since = serializers.DateTimeField(required=False, allow_null=True)
    until = serializers.DateTimeField(required=False, allow_null=True)
    with_notes = serializers.BooleanField(
        default=False,
        help_text="With private notes: as `ndjson` or `archive`, for who may `answer`.",
    )


class ConversationExportsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)
    contact = serializers.UUIDField(required=False)
    form = serializers.ChoiceField(choices=ConversationExport.Form.choices, required=False)
    state = serializers.ChoiceField(choices=ConversationExport.State.choices, required=False)


class ConversationExportSerializer(serializers.ModelSerializer[ConversationExport]):
    messages = serializers.IntegerField(source="done", read_only=True)
    filename = serializers.CharField(
        source="result.filename", default=None, allow_null=True, read_only=True
    )
    size = serializers.IntegerField(
        source="result.size", default=None, allow_null=True, read_only=True
    )
    sha256 = serializers.CharField(
        source="result.sha256", default=None, allow_null=True, read_only=True
    )
    expires_at = serializers.DateTimeField(
        source="result.expires_at",
        default=None,
        allow_null=True,
        read_only=True,
        help_text="The file is kept until.",
    )
    is_ready = serializers.BooleanField(read_only=True, help_text="There is a file to download.")

    class Meta:
        model = ConversationExport
        fields = (
            "id", "form", "inbox", "contact", "since", "until", "with_notes", "state", "share",
            "conversations", "messages", "failure", "is_ready", "filename", "size", "sha256",
            "expires_at", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class ConversationExportViewSet(ChatbotViewSet):
    """Conversations as a file, written by a worker and kept for some days."""

    model = ConversationExport
    serializer_class = ConversationExportSerializer
    queries = {"list": ConversationExportsQuery}
    needs = ChatbotViewSet.needs | dict.fromkeys(
        ("create", "cancel", "download", "destroy"), MANAGE
    )

    def get_queryset(self) -> QuerySet[Any]:
        return ConversationExport.objects.select_related("result")

    @extend_schema(
        request=NewConversationExportSerializer, responses={201: ConversationExportSerializer}
    )
    def create(self, request: Request) -> Response:
        """Ask for it until it `is_ready`."""
        asked = self.input_as(NewConversationExportSerializer)
        if asked["with_notes"]:
            self._require_notes()
        for name, model in (("inbox", Inbox), ("contact", Contact)):
            if asked.get(name):
                asked[name] = named(model, name, pk=asked[name])  # type: ignore[type-var]
        return self.answer(start_export(actor=self.actor, **asked), status=201)

    @extend_schema(request=EmptySerializer, responses={200: ConversationExportSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        export = self.get_object()
        self.input_as(EmptySerializer)
        cancel_work(export)
        export.refresh_from_db()
        return self.answer(export)

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (409, PROBLEM): ProblemSerializer,
            (410, PROBLEM): ProblemSerializer,
        }
    )
    @action(detail=True)
    def download(self, request: Request, pk: UUID) -> HttpResponseBase:
        """The file itself."""
        export = self.get_object()
        if export.with_notes:
            self._require_notes()
        return answer_with(export)

    def destroy(self, request: Request, pk: UUID) -> Response:
        """With its file."""
        delete_export(export=self.get_object())
        return Response(status=204)

    def _require_notes(self) -> None:
        if not can_answer(self.credential):
            raise PermissionDenied
