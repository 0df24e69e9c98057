"""`/api/v1/conversations` and `/api/v1/feedback`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.permissions import ANSWER, can_answer
from apps.chatbot import services
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import Answer, Citation, Conversation, Feedback, Handoff, Message
from common.api import EmptySerializer, ListQuery, StrictSerializer, WholeNumberField

# --- In ------------------------------------------------------------------------------------------


class ConversationsQuery(ListQuery):
    inbox = serializers.UUIDField(required=False)
    contact = serializers.UUIDField(required=False)
    assignee = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=Conversation.State.choices, required=False)
    owner = serializers.ChoiceField(choices=Conversation.Owner.choices, required=False)
    updated_after = serializers.DateTimeField(
        required=False, help_text="Those that something happened in since."
    )


class MessagesQuery(StrictSerializer):
    after = WholeNumberField(
        min_value=0,
        max_value=2**62,
        default=0,
        help_text="The `seq` of the last message that you have.",
    )
    limit = WholeNumberField(min_value=1, max_value=200, default=50)


class NewMessageSerializer(StrictSerializer):
    text = serializers.CharField(max_length=services.MOST_CHARACTERS)
    private = serializers.BooleanField(default=False, help_text="A note for the team.")
    client_id = serializers.UUIDField(
        required=False,
        help_text="An id of your own. The same send again is the same message, for ever.",
    )


class AssignSerializer(StrictSerializer):
    assignee = serializers.UUIDField(
        allow_null=True, help_text="The id of a person who may answer visitors; null for nobody."
    )


class SnoozeSerializer(StrictSerializer):
    until = serializers.DateTimeField()


class FeedbackQuery(ListQuery):
    message = serializers.UUIDField(required=False)
    helpful = serializers.BooleanField(required=False)
    reason = serializers.ChoiceField(choices=Feedback.Reason.choices, required=False)


# --- Out -----------------------------------------------------------------------------------------


class HandoffSerializer(serializers.ModelSerializer[Handoff]):
    class Meta:
        model = Handoff
        fields = ("id", "reason", "summary", "taken_by", "taken_at", "returned_at", "created_at")
        read_only_fields = fields


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    handoffs = HandoffSerializer(many=True, read_only=True)

    class Meta:
        model = Conversation
        fields = (
            "id", "inbox", "contact", "state", "owner", "assignee", "language", "page", "last_seq",
            "waiting_since", "due_at", "overdue_at", "first_response_at", "resolved_at",
            "snoozed_until", "csat", "csat_comment", "handoffs", "updated_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class CitationSerializer(serializers.ModelSerializer[Citation]):
    article = serializers.UUIDField(source="passage.version.article_id", read_only=True)
    version = serializers.IntegerField(source="passage.version.number", read_only=True)
    title = serializers.CharField(source="passage.version.title", read_only=True)
    text = serializers.CharField(source="passage.text", read_only=True)

    class Meta:
        model = Citation
        fields = ("number", "article", "version", "title", "text")
        read_only_fields = fields


class AnswerSerializer(serializers.ModelSerializer[Answer]):
    """Where the bot's words come from: the model that wrote them and the passages they rest on."""

    outcome = serializers.ChoiceField(choices=["", *Answer.Outcome.values], read_only=True)
    citations = CitationSerializer(many=True, read_only=True)

    class Meta:
        model = Answer
        fields = ("id", "outcome", "confidence", "model", "checkpoint", "query", "citations")
        read_only_fields = fields


class MessageSerializer(serializers.ModelSerializer[Message]):
    answer = AnswerSerializer(
        source="answered_by",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="Of a message of the bot.",
    )

    class Meta:
        model = Message
        fields = (
            "id", "conversation", "seq", "role", "text", "private", "author", "client_id",
            "created_at", "answer",
        )  # fmt: skip
        read_only_fields = fields


class MessagesSerializer(serializers.Serializer[Any]):
    items = MessageSerializer(many=True)
    after = serializers.IntegerField(help_text="Ask for what comes behind it with `after`.")


class FeedbackSerializer(serializers.ModelSerializer[Feedback]):
    conversation = serializers.UUIDField(source="message.conversation_id", read_only=True)
    reason = serializers.ChoiceField(choices=["", *Feedback.Reason.values], read_only=True)

    class Meta:
        model = Feedback
        fields = ("id", "conversation", "message", "helpful", "reason", "comment", "created_at")
        read_only_fields = fields


# --- Views -------------------------------------------------------------------------------------


class ConversationViewSet(ChatbotViewSet):
    """What visitors and the company say to each other.

    A key speaks and acts in the name of whoever made it. Private notes are shown to those alone who
    may `answer`.
    """

    model = Conversation
    serializer_class = ConversationSerializer
    queries = {"list": ConversationsQuery, "messages": MessagesQuery}
    needs = ChatbotViewSet.needs | {"messages": ChatbotViewSet.needs["list"]} | dict.fromkeys(
        ("say", "take_over", "assign", "snooze", "resolve", "reopen", "hand_back"), ANSWER
    )  # fmt: skip

    def get_queryset(self) -> QuerySet[Any]:
        return Conversation.objects.select_related("inbox").prefetch_related("handoffs")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.query.pop("updated_after", None)
        rows = super().filter_queryset(queryset)
        return rows.filter(updated_at__gt=since) if since else rows

    @extend_schema(responses={200: MessagesSerializer})
    @action(detail=True)
    def messages(self, request: Request, pk: UUID) -> Response:
        """In their order, from behind number `after`. Numbers of the conversation that are none of a
        message's are other events'."""
        rows = Message.objects.filter(conversation=self.get_object(), seq__gt=self.query["after"])
        if not can_answer(self.credential):
            rows = rows.filter(private=False)
        rows = rows.select_related("answered_by").prefetch_related(
            "answered_by__citations__passage__version"
        )
        found = list(rows.order_by("seq")[: self.query["limit"]])
        after = found[-1].seq if found else self.query["after"]
        return Response({"items": MessageSerializer(found, many=True).data, "after": after})

    @extend_schema(
        request=NewMessageSerializer, responses={200: MessageSerializer, 201: MessageSerializer}
    )
    @messages.mapping.post
    def say(self, request: Request, pk: UUID) -> Response:
        """Say something to the visitor, or keep a note. The bot is silent from a reply on.

        200 where the same `client_id` was sent before.
        """
        posted = services.post_message(
            conversation=self.get_object(),
            role=Message.Role.AGENT,
            author=self.speaker,
            **self.input_as(NewMessageSerializer),
        )
        status = 201 if posted.is_new else 200
        return Response(MessageSerializer(posted.message).data, status=status)

    @extend_schema(request=EmptySerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"], url_path="take-over")
    def take_over(self, request: Request, pk: UUID) -> Response:
        """Yours from now on, whoever had it; a solved one is open again, the bot is silent."""
        found = self._meant()
        return self.answer(services.take_over(conversation=found, agent=self.agent))

    @extend_schema(request=AssignSerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: UUID) -> Response:
        """Give it to a member who may answer visitors, or to nobody."""
        found = self.get_object()
        to = self.input_as(AssignSerializer)["assignee"]
        # Whom the tenant does not have is as absent as nobody.
        assignee = named(User, "assignee", pk=to, memberships__tenant=self.tenant) if to else None
        return self.answer(
            services.assign(conversation=found, assignee=assignee, actor=self.speaker)
        )

    @extend_schema(request=SnoozeSerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: UUID) -> Response:
        """Out of the queue until then, or until the visitor writes."""
        found = self.get_object()
        until = self.input_as(SnoozeSerializer)["until"]
        return self.answer(
            services.snooze(conversation=found, until=until, actor=self.agent),
        )

    @extend_schema(request=EmptySerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: UUID) -> Response:
        """Solved. What the visitor writes next begins a new case."""
        found = self._meant()
        resolved = services.change_state(
            conversation=found, state=Conversation.State.RESOLVED, actor=self.speaker
        )
        return self.answer(resolved)

    @extend_schema(request=EmptySerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: UUID) -> Response:
        """Solved or snoozed it is open again, and waits for a person."""
        return self.answer(services.reopen(conversation=self._meant()))

    @extend_schema(request=EmptySerializer, responses={200: ConversationSerializer})
    @action(detail=True, methods=["post"], url_path="hand-back")
    def hand_back(self, request: Request, pk: UUID) -> Response:
        """The bot answers again from here on."""
        return self.answer(services.hand_back(conversation=self._meant(), actor=self.speaker))

    def _meant(self) -> Conversation:
        """The conversation of an address that says all."""
        found: Conversation = self.get_object()
        self.input_as(EmptySerializer)
        return found


class FeedbackViewSet(ChatbotViewSet):
    """Visitors' thumbs on messages of the bot, newest first."""

    model = Feedback
    serializer_class = FeedbackSerializer
    queries = {"list": FeedbackQuery}

    def get_queryset(self) -> QuerySet[Any]:
        return Feedback.objects.select_related("message")
