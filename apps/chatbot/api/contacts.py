"""`/api/v1/contacts`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANSWER, MANAGE
from apps.chatbot.api.base import ChatbotViewSet
from apps.chatbot.models import Contact
from apps.chatbot.services.contacts import MOST_ATTRIBUTES, change_contact, erase_contact
from common.api import ListQuery, StrictSerializer


class ContactsQuery(ListQuery):
    external_id = serializers.CharField(max_length=200, required=False)
    email = serializers.CharField(max_length=254, required=False)


class ChangedContactSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)
    attributes = serializers.DictField(
        child=serializers.CharField(max_length=500, allow_blank=True),
        required=False,
        help_text=f"Words of your own, by name; all of them at once, at most {MOST_ATTRIBUTES}.",
    )


class ContactSerializer(serializers.ModelSerializer[Contact]):
    attributes: Any = serializers.DictField(read_only=True)
    is_verified = serializers.BooleanField(
        read_only=True, help_text="The company's own site has vouched for `external_id`."
    )

    class Meta:
        model = Contact
        fields = (
            "id", "external_id", "name", "email", "language", "attributes", "is_verified",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ContactViewSet(ChatbotViewSet):
    """Visitors. Name and address are what they typed, unless they are verified."""

    model = Contact
    serializer_class = ContactSerializer
    queries = {"list": ContactsQuery}
    needs = ChatbotViewSet.needs | {"partial_update": ANSWER, "destroy": MANAGE}

    @extend_schema(request=ChangedContactSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """What the team knows them by; `external_id` is a verified identity's alone."""
        contact = self.get_object()
        changes = self.input_as(ChangedContactSerializer)
        return self.answer(change_contact(contact=contact, **changes))

    def destroy(self, request: Request, pk: UUID) -> Response:
        """Erases everything of them: conversations, files, examples, rows of frozen versions.

        Nothing brings it back. Checkpoints that learned from it say so in `erased_rows`. What there is
        goes out first by a `conversation-export` of the form `archive`.
        """
        erase_contact(contact=self.get_object())
        return Response(status=204)
