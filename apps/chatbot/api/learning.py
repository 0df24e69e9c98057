"""`/api/v1/knowledge-gaps`, `/api/v1/test-questions` and `/api/v1/test-runs`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANNOTATE, TRAIN
from apps.chatbot import services
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import (
    Article,
    Gap,
    GapQuestion,
    Inbox,
    RegressionCase,
    RegressionResult,
    RegressionRun,
)
from apps.chatbot.services import regression
from common.api import EmptySerializer, ListQuery, StrictSerializer
from gpt_core.models import Checkpoint

# --- In ------------------------------------------------------------------------------------------


class GapsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=Gap.State.choices, required=False)


class TestQuestionsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)


class NewTestQuestionSerializer(StrictSerializer):
    inbox = serializers.UUIDField()
    question = serializers.CharField(max_length=regression.MOST_QUESTION)
    must_contain = serializers.ListField(
        child=serializers.CharField(max_length=200),
        max_length=regression.MOST_FACTS,
        required=False,
        help_text="Numbers, links, words. Spelling of numbers does not matter.",
    )
    article = serializers.UUIDField(
        required=False, allow_null=True, help_text="The article that it must be answered from."
    )
    must_refuse = serializers.BooleanField(
        required=False, help_text="A person must be fetched; nothing else is expected then."
    )


class TestRunsQuery(ListQuery):
    checkpoint = serializers.UUIDField(required=False)
    inbox = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=RegressionRun.State.choices, required=False)


class NewTestRunSerializer(StrictSerializer):
    checkpoint = serializers.UUIDField()
    inbox = serializers.UUIDField(help_text="Whose questions are put to it.")


# --- Out -----------------------------------------------------------------------------------------


class GapQuestionSerializer(serializers.ModelSerializer[GapQuestion]):
    class Meta:
        model = GapQuestion
        fields = ("message", "text", "why", "created_at")
        read_only_fields = fields


class GapSerializer(serializers.ModelSerializer[Gap]):
    questions = GapQuestionSerializer(
        many=True, read_only=True, help_text="Each time that it was asked, redacted."
    )

    class Meta:
        model = Gap
        fields = ("id", "inbox", "state", "asked_last", "questions", "created_at")
        read_only_fields = fields


class TestQuestionSerializer(serializers.ModelSerializer[RegressionCase]):
    must_contain: Any = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = RegressionCase
        fields = (
            "id", "inbox", "question", "must_contain", "article", "must_refuse", "origin",
            "source_ref", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class SampleSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()
    outcome = serializers.CharField()
    faults = serializers.ListField(child=serializers.CharField())


class TestResultSerializer(serializers.ModelSerializer[RegressionResult]):
    samples: Any = SampleSerializer(many=True, read_only=True)

    class Meta:
        model = RegressionResult
        fields = ("case", "passed", "samples")
        read_only_fields = fields


class TestRunSerializer(serializers.ModelSerializer[RegressionRun]):
    results = TestResultSerializer(many=True, read_only=True)

    class Meta:
        model = RegressionRun
        fields = (
            "id", "checkpoint", "inbox", "state", "share", "failure", "samples", "cases",
            "cases_passed", "passed", "results", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


# --- Views -----------------------------------------------------------------------------------------


class GapViewSet(ChatbotViewSet):
    """Matters that visitors ask about and no article answers."""

    model = Gap
    serializer_class = GapSerializer
    queries = {"list": GapsQuery}
    needs = ChatbotViewSet.needs | {"dismiss": ANNOTATE}

    def get_queryset(self) -> QuerySet[Any]:
        return Gap.objects.filter(questions__isnull=False).distinct().prefetch_related("questions")

    @extend_schema(request=EmptySerializer, responses={200: GapSerializer})
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: UUID) -> Response:
        """No article is to be written about it; it does not come back when it is asked again."""
        found = self.get_object()
        self.input_as(EmptySerializer)
        services.dismiss_gap(gap=found)
        found.refresh_from_db()
        return self.answer(found)


class TestQuestionViewSet(ChatbotViewSet):
    """Questions that every checkpoint must answer well before it may serve the inbox."""

    model = RegressionCase
    serializer_class = TestQuestionSerializer
    queries = {"list": TestQuestionsQuery}
    needs = ChatbotViewSet.needs | dict.fromkeys(("create", "destroy"), ANNOTATE)

    @extend_schema(request=NewTestQuestionSerializer, responses={201: TestQuestionSerializer})
    def create(self, request: Request) -> Response:
        """The same question again changes what is expected of it."""
        asked = self.input_as(NewTestQuestionSerializer)
        asked["inbox"] = named(Inbox, "inbox", pk=asked["inbox"])
        if asked.get("article"):
            asked["article"] = named(Article, "article", pk=asked["article"])
        return self.answer(regression.add_case(**asked), status=201)

    def destroy(self, request: Request, pk: UUID) -> Response:
        regression.remove_case(case=self.get_object())
        return Response(status=204)


class TestRunViewSet(ChatbotViewSet):
    """The questions of an inbox put to a checkpoint, each several times."""

    model = RegressionRun
    serializer_class = TestRunSerializer
    queries = {"list": TestRunsQuery}
    needs = ChatbotViewSet.needs | {"create": TRAIN}

    def get_queryset(self) -> QuerySet[Any]:
        return RegressionRun.objects.prefetch_related("results")

    @extend_schema(request=NewTestRunSerializer, responses={201: TestRunSerializer})
    def create(self, request: Request) -> Response:
        """A worker asks them: look again until the state is `done`."""
        asked = self.input_as(NewTestRunSerializer)
        run = regression.start_run(
            checkpoint=named(Checkpoint, "checkpoint", pk=asked["checkpoint"], deleted_at=None),
            inbox=named(Inbox, "inbox", pk=asked["inbox"]),
            actor=self.actor,
        )
        return self.answer(run, status=201)
