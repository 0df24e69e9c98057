"""`/api/v1/candidate-trials` and `/api/v1/answer-reviews`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANNOTATE, PROMOTE
from apps.chatbot import services
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.api.conversations import CitationSerializer
from apps.chatbot.api.numbers import ShareOfSampleSerializer
from apps.chatbot.models import Answer, AnswerReview, CandidateTrial, Inbox
from apps.chatbot.services.trials import MOST_SHARE, start_trial, stop_trial
from apps.chatbot.trials import arms_of
from common.api import EmptySerializer, ListQuery, StrictSerializer, WholeNumberField
from gpt_core.models import Checkpoint

# --- In ------------------------------------------------------------------------------------------


class TrialsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)
    checkpoint = serializers.UUIDField(required=False)


class NewTrialSerializer(StrictSerializer):
    inbox = serializers.UUIDField()
    checkpoint = serializers.UUIDField(help_text="One that the gate lets pass.")
    share = WholeNumberField(
        min_value=1,
        max_value=MOST_SHARE,
        help_text="Of a hundred conversations that begin from now on.",
    )


class ReviewsQuery(ListQuery):
    verdict = serializers.ChoiceField(choices=AnswerReview.Verdict.choices, required=False)


class VerdictSerializer(StrictSerializer):
    verdict = serializers.ChoiceField(
        choices=[AnswerReview.Verdict.RIGHT, AnswerReview.Verdict.WRONG]
    )


# --- Out -----------------------------------------------------------------------------------------


class ArmSerializer(serializers.Serializer[Any]):
    """Of the conversations in which the bot was asked something."""

    is_candidate = serializers.BooleanField()
    resolved = ShareOfSampleSerializer(help_text="Without people.")
    handed = ShareOfSampleSerializer(help_text="To people.")
    helpful = ShareOfSampleSerializer(help_text="Of the thumbs given: those up.")
    failed = ShareOfSampleSerializer(help_text="Handed to people, or with a thumb down.")


class TrialSerializer(serializers.ModelSerializer[CandidateTrial]):
    end = serializers.ChoiceField(choices=["", *CandidateTrial.End.values], read_only=True)
    arms = serializers.SerializerMethodField(help_text="What serves, then the candidate.")

    class Meta:
        model = CandidateTrial
        fields = ("id", "inbox", "checkpoint", "share", "end", "ended_at", "arms", "created_at")
        read_only_fields = fields

    @extend_schema_field(ArmSerializer(many=True))
    def get_arms(self, trial: CandidateTrial) -> Any:
        return ArmSerializer(arms_of(trial), many=True).data


class ReviewedAnswerSerializer(serializers.ModelSerializer[Answer]):
    question = serializers.CharField(source="question.text", read_only=True)
    text = serializers.CharField(read_only=True, help_text="What the visitor was told.")
    outcome = serializers.ChoiceField(choices=["", *Answer.Outcome.values], read_only=True)
    citations = CitationSerializer(many=True, read_only=True)

    class Meta:
        model = Answer
        fields = (
            "id", "conversation", "question", "text", "outcome", "model", "checkpoint", "citations",
        )  # fmt: skip
        read_only_fields = fields


class ReviewSerializer(serializers.ModelSerializer[AnswerReview]):
    answer = ReviewedAnswerSerializer(read_only=True)

    class Meta:
        model = AnswerReview
        fields = ("id", "verdict", "reviewed_at", "answer", "created_at")
        read_only_fields = fields


# --- Views -----------------------------------------------------------------------------------------


class TrialViewSet(ChatbotViewSet):
    """A checkpoint answers a share of an inbox's conversations, and is sent back by itself where it
    does worse. One at a time in an inbox."""

    model = CandidateTrial
    serializer_class = TrialSerializer
    queries = {"list": TrialsQuery}
    needs = ChatbotViewSet.needs | dict.fromkeys(("create", "stop"), PROMOTE)

    def get_queryset(self) -> QuerySet[Any]:
        return CandidateTrial.objects.select_related("inbox", "checkpoint")

    @extend_schema(request=NewTrialSerializer, responses={201: TrialSerializer})
    def create(self, request: Request) -> Response:
        """A conversation stays on the side on which it began."""
        asked = self.input_as(NewTrialSerializer)
        trial = start_trial(
            inbox=named(Inbox, "inbox", pk=asked["inbox"]),
            checkpoint=named(Checkpoint, "checkpoint", pk=asked["checkpoint"], deleted_at=None),
            share=asked["share"],
            actor=self.actor,
        )
        return self.answer(trial, status=201)

    @extend_schema(request=EmptySerializer, responses={200: TrialSerializer})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: UUID) -> Response:
        """What serves answers everywhere from the next message on. Stopped again it stays as it ended."""
        found = self.get_object()
        self.input_as(EmptySerializer)
        stop_trial(trial=found)
        found.refresh_from_db()
        return self.answer(found)


class ReviewViewSet(ChatbotViewSet):
    """Answers of the bot that lot drew for people to judge: a fair sample of all."""

    model = AnswerReview
    serializer_class = ReviewSerializer
    queries = {"list": ReviewsQuery}
    needs = dict.fromkeys(("list", "retrieve", "judge"), ANNOTATE)

    def get_queryset(self) -> QuerySet[Any]:
        return AnswerReview.objects.select_related("answer__question").prefetch_related(
            "answer__citations__passage__version"
        )

    @extend_schema(request=VerdictSerializer, responses={200: ReviewSerializer})
    @action(detail=True, methods=["post"])
    def judge(self, request: Request, pk: UUID) -> Response:
        """The last word counts."""
        found = self.get_object()
        verdict = self.input_as(VerdictSerializer)["verdict"]
        is_right = verdict == AnswerReview.Verdict.RIGHT
        services.review_answer(review=found, is_right=is_right, reviewer=self.actor)
        return self.answer(found)
