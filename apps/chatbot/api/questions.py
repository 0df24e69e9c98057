"""`/api/v1/questions`: one question to the bot, without a visitor and without a conversation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import GENERATE
from apps.chatbot.answering.asking import MOST_QUESTION, ask_question
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import Answer, Handoff, Inbox, Question
from common.api import ListQuery, StrictSerializer


class NewQuestionSerializer(StrictSerializer):
    inbox = serializers.UUIDField(help_text="By whose rules it is answered.")
    text = serializers.CharField(max_length=MOST_QUESTION)


class QuestionsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=Question.State.choices, required=False)


class QuestionSerializer(serializers.ModelSerializer[Question]):
    outcome = serializers.ChoiceField(choices=["", *Answer.Outcome.values], read_only=True)
    handoff = serializers.ChoiceField(
        choices=["", *Handoff.Reason.values],
        read_only=True,
        help_text="Why a visitor would have been given to a person.",
    )
    passages: Any = serializers.ListField(
        child=serializers.DictField(), read_only=True, help_text="What the answer rests on."
    )

    class Meta:
        model = Question
        fields = (
            "id", "inbox", "text", "state", "failure", "outcome", "answer", "handoff", "confidence",
            "model", "checkpoint", "passages", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class QuestionViewSet(ChatbotViewSet):
    """Questions that were asked here, each kept for a day."""

    model = Question
    serializer_class = QuestionSerializer
    queries = {"list": QuestionsQuery}
    needs = ChatbotViewSet.needs | {"create": GENERATE}

    @extend_schema(request=NewQuestionSerializer, responses={201: QuestionSerializer})
    def create(self, request: Request) -> Response:
        """A worker answers it as it would answer a visitor: ask for it until its state is `done`."""
        asked = self.input_as(NewQuestionSerializer)
        inbox = named(Inbox, "inbox", pk=asked["inbox"])
        return self.answer(
            ask_question(inbox=inbox, text=asked["text"], actor=self.actor), status=201
        )
