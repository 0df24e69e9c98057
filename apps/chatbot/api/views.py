"""The native API of the support chatbot: imports of past conversations."""

from __future__ import annotations

from uuid import UUID

from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANNOTATE
from apps.chatbot import services
from apps.chatbot.api import serializers as shapes
from apps.chatbot.models import HistoryRun
from labeling.api.views import LabelingViewSet, refuse_large
from labeling.services import cancel_work


class HistoryViewSet(LabelingViewSet):
    """Files of past conversations: redacted, kept once, and mined for questions with their answers."""

    model = HistoryRun
    serializer_class = shapes.HistoryImportSerializer
    queries = {"list": shapes.HistoryImportsQuery}
    needs = LabelingViewSet.needs | dict.fromkeys(("create", "start", "cancel"), ANNOTATE)
    # An import commits batch by batch, and adds nothing when it is done again.
    in_steps = frozenset({"create", "start"})
    parser_classes = [MultiPartParser]

    def refuse_unread(self, request: Request) -> None:
        if self.action == "create":
            refuse_large(request)

    @extend_schema(
        request={"multipart/form-data": shapes.NewHistoryImportSerializer},
        responses={201: shapes.HistoryImportSerializer},
    )
    def create(self, request: Request) -> Response:
        """Small files are read at once, others by a worker: ask for the import until its state is `done`."""
        # No serializer should see the lists of a QueryDict; without any body it is a plain dict.
        form = request.data.dict() if isinstance(request.data, QueryDict) else {}
        asked = self.input_as(shapes.NewHistoryImportSerializer, form)
        run = services.receive_history(
            dataset=self.dataset_named(asked["dataset"]),
            source=asked["source"],
            stream=asked["file"].file,
            filename=asked["file"].name,
            mapping=asked.get("mapping"),
            reviewers=asked["reviewers"],
            actor=self.actor,
        )
        if not asked["dry_run"]:
            run = services.start_history(run=run)
        return self.answer(run, status=201)

    @extend_schema(request=None, responses={200: shapes.HistoryImportSerializer})
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: UUID) -> Response:
        """Read in what was only looked at."""
        return self.answer(services.start_history(run=self.get_object()))

    @extend_schema(request=None, responses={200: shapes.HistoryImportSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """Stop; what is in already stays."""
        run = self.get_object()
        cancel_work(run)
        run.refresh_from_db()
        return self.answer(run)
