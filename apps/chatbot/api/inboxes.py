"""`/api/v1/inboxes` and `/api/v1/identity-keys`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import MANAGE
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import IdentityKey, Inbox
from apps.chatbot.pre_chat import KINDS, MOST_CHOICES, MOST_LABEL, MOST_QUESTIONS
from apps.chatbot.services.inboxes import (
    LANGUAGES,
    MOST_ORIGINS,
    MOST_PHRASES,
    change_inbox,
    create_inbox,
    switch_bot,
)
from apps.chatbot.widget.identity import add_key, retire_key
from common.api import ListQuery, StrictSerializer
from gpt_core.models import Deployment

# --- In ------------------------------------------------------------------------------------------


class ThemeSerializer(StrictSerializer):
    accent = serializers.RegexField(r"^#[0-9a-fA-F]{6}$", required=False)
    position = serializers.ChoiceField(choices=["right", "left"], required=False)
    mode = serializers.ChoiceField(choices=["auto", "light", "dark"], required=False)


class PreChatQuestionSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=KINDS)
    label: Any = serializers.CharField(max_length=MOST_LABEL)
    required: Any = serializers.BooleanField(required=False, default=False)
    choices = serializers.ListField(
        child=serializers.CharField(max_length=MOST_LABEL), required=False, max_length=MOST_CHOICES
    )


class NewInboxSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100)
    allowed_origins = serializers.ListField(
        child=serializers.CharField(max_length=300),
        max_length=MOST_ORIGINS,
        required=False,
        help_text="Such as `https://www.example.com`, compared exactly. Empty means nobody.",
    )
    deployment = serializers.UUIDField(
        required=False, allow_null=True, help_text="None: passages are shown as they stand."
    )
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)
    identity = serializers.ChoiceField(choices=Inbox.Identity.choices, required=False)
    bot_enabled = serializers.BooleanField(required=False)
    answer_threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    curated_threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    banned_phrases = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=MOST_PHRASES, required=False
    )
    greeting = serializers.CharField(max_length=500, required=False, allow_blank=True)
    theme = ThemeSerializer(required=False)
    hours = serializers.DictField(
        required=False,
        help_text='`{"zone": "Asia/Shanghai", "days": {"mon": [["09:00", "18:00"]]}}`; empty means always open.',
    )
    pre_chat = serializers.ListField(
        child=PreChatQuestionSerializer(),
        required=False,
        max_length=MOST_QUESTIONS,
        help_text="Asked before a visitor's first message; the answers become labels of the contact.",
    )
    auto_assign = serializers.BooleanField(
        required=False, help_text="What waits goes to available agents in turn."
    )
    capacity = serializers.IntegerField(min_value=0, max_value=10_000, required=False)
    first_response_minutes = serializers.IntegerField(
        min_value=1,
        max_value=14_400,
        required=False,
        allow_null=True,
        help_text="A target of people's answers, in minutes of business hours; none by default.",
    )
    next_response_minutes = serializers.IntegerField(
        min_value=1, max_value=14_400, required=False, allow_null=True
    )


class ChangedInboxSerializer(NewInboxSerializer):
    name = serializers.CharField(max_length=100, required=False)


class NewIdentityKeySerializer(StrictSerializer):
    inbox = serializers.UUIDField()


class IdentityKeysQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)


# --- Out -----------------------------------------------------------------------------------------


class InboxSerializer(serializers.ModelSerializer[Inbox]):
    allowed_origins: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    banned_phrases: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    theme: Any = serializers.DictField(read_only=True)
    hours: Any = serializers.DictField(read_only=True)
    pre_chat: Any = serializers.ListField(child=serializers.DictField(), read_only=True)
    key = serializers.CharField(read_only=True, help_text="Names the inbox in a page: `data-key`.")

    class Meta:
        model = Inbox
        fields = (
            "id", "name", "key", "deployment", "language", "allowed_origins", "identity",
            "bot_enabled", "answer_threshold", "curated_threshold", "banned_phrases", "greeting",
            "theme", "hours", "pre_chat",
            "auto_assign", "capacity", "first_response_minutes", "next_response_minutes",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class IdentityKeySerializer(serializers.ModelSerializer[IdentityKey]):
    class Meta:
        model = IdentityKey
        fields = ("id", "inbox", "kid", "retired_at", "created_at")
        read_only_fields = fields


class IdentityKeyWithSecretSerializer(IdentityKeySerializer):
    secret = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(IdentityKeySerializer.Meta):
        fields: Any = (*IdentityKeySerializer.Meta.fields, "secret")
        read_only_fields: Any = fields


# --- Views -------------------------------------------------------------------------------------


class InboxViewSet(ChatbotViewSet):
    """One inbox a site or channel, with the rules by which it answers."""

    model = Inbox
    serializer_class = InboxSerializer
    needs = ChatbotViewSet.needs | {"create": MANAGE, "partial_update": MANAGE}

    @extend_schema(request=NewInboxSerializer, responses={201: InboxSerializer})
    def create(self, request: Request) -> Response:
        """With a key of its own. Nobody may use its widget before an origin is named."""
        return self.answer(create_inbox(**self._rules(NewInboxSerializer, {})), status=201)

    @extend_schema(request=ChangedInboxSerializer)
    @transaction.atomic
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """What is given holds from the next request on; the rest stays."""
        inbox = self.get_object()
        rules = self._rules(ChangedInboxSerializer, inbox.theme)
        on = rules.pop("bot_enabled", inbox.bot_enabled)
        switch_bot(inbox=inbox, on=on)
        inbox.bot_enabled = on
        return self.answer(change_inbox(inbox=inbox, **rules))

    def _rules(self, shape: type[StrictSerializer], theme: dict[str, Any]) -> dict[str, Any]:
        rules = self.input_as(shape)
        if rules.get("deployment"):
            rules["deployment"] = named(Deployment, "deployment", pk=rules["deployment"])
        if "theme" in rules:
            rules["theme"] = theme | rules["theme"]
        return rules


class IdentityKeyViewSet(ChatbotViewSet):
    """What a site signs its visitors' identities with. Two of an inbox may be live at once."""

    model = IdentityKey
    serializer_class = IdentityKeySerializer
    queries = {"list": IdentityKeysQuery}
    needs = dict.fromkeys(("list", "retrieve", "create", "destroy"), MANAGE)

    @extend_schema(
        request=NewIdentityKeySerializer, responses={201: IdentityKeyWithSecretSerializer}
    )
    def create(self, request: Request) -> Response:
        """Answers with the secret; it is not shown again."""
        asked = self.input_as(NewIdentityKeySerializer)
        key = add_key(inbox=named(Inbox, "inbox", pk=asked["inbox"]))
        return Response(IdentityKeyWithSecretSerializer(key).data, status=201)

    def destroy(self, request: Request, pk: UUID) -> Response:
        """Retires it: what it signed is believed no more. The row stays, for people to see."""
        retire_key(key=self.get_object())
        return Response(status=204)
