"""`/api/v1/canned-replies`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANSWER
from apps.chatbot.api.base import ChatbotViewSet
from apps.chatbot.models import CannedReply
from apps.chatbot.services import MOST_CHARACTERS
from apps.chatbot.services.inboxes import LANGUAGES
from apps.chatbot.services.replies import LONGEST_SHORTCUT, VARIABLES, delete_reply, write_reply
from common.api import ListQuery, StrictSerializer

SPOKEN = [("", ""), *LANGUAGES]


class RepliesQuery(ListQuery):
    shortcut = serializers.CharField(max_length=LONGEST_SHORTCUT, required=False)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)


class NewReplySerializer(StrictSerializer):
    shortcut = serializers.CharField(
        max_length=LONGEST_SHORTCUT, help_text="What agents type behind the slash."
    )
    language = serializers.ChoiceField(
        choices=SPOKEN, required=False, help_text="Empty: for every language."
    )
    text = serializers.CharField(
        max_length=MOST_CHARACTERS,
        help_text="Filled in when it is used: "
        + ", ".join(f"`{{{{{name}}}}}`" for name in VARIABLES),
    )


class ChangedReplySerializer(NewReplySerializer):
    shortcut = serializers.CharField(max_length=LONGEST_SHORTCUT, required=False)
    text = serializers.CharField(max_length=MOST_CHARACTERS, required=False)


class ReplySerializer(serializers.ModelSerializer[CannedReply]):
    language = serializers.ChoiceField(choices=SPOKEN, read_only=True)

    class Meta:
        model = CannedReply
        fields = ("id", "shortcut", "language", "text", "created_at")
        read_only_fields = fields


class ReplyViewSet(ChatbotViewSet):
    """Words that agents need again and again. A shortcut stands once in each language."""

    model = CannedReply
    serializer_class = ReplySerializer
    queries = {"list": RepliesQuery}
    needs = ChatbotViewSet.needs | dict.fromkeys(("create", "partial_update", "destroy"), ANSWER)

    @extend_schema(request=NewReplySerializer, responses={201: ReplySerializer})
    def create(self, request: Request) -> Response:
        return self.answer(write_reply(**self.input_as(NewReplySerializer)), status=201)

    @extend_schema(request=ChangedReplySerializer)
    @transaction.atomic
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """What is given changes; the rest stays."""
        found = self.get_object()
        as_it_is: dict[str, Any] = {
            name: getattr(found, name) for name in ("shortcut", "language", "text")
        }
        changed = as_it_is | self.input_as(ChangedReplySerializer)
        return self.answer(write_reply(reply=found, **changed))

    def destroy(self, request: Request, pk: UUID) -> Response:
        delete_reply(reply=self.get_object())
        return Response(status=204)
