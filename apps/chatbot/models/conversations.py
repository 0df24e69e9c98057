"""People outside, what they said and what was said to them, in one order that never has a gap."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.querysets import ConversationQuerySet, HandoffQuerySet
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager

from .inboxes import Inbox

# So long before an answer is due, the desk begins to warn.
SOON = timedelta(minutes=15)


class Contact(TenantModel):
    """A visitor. `external_id` is set by a verified identity alone; what a visitor types as an
    address or a name is a label, never an identity, and opens nobody's history."""

    subject_path = "subject"

    external_id = models.CharField(_("id at the company"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail address"), blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    # What erasure and lineage follow: "contact:<id>", also on examples made of these words.
    subject = models.CharField(max_length=60, blank=True, editable=False)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                condition=~models.Q(external_id=""),
                name="chatbot_contact_once",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email or str(self.pk)[:8]

    def save(self, *args: object, **options: object) -> None:
        self.subject = f"contact:{self.pk}"
        super().save(*args, **options)  # type: ignore[arg-type]

    @property
    def is_verified(self) -> bool:
        return bool(self.external_id)


class ConversationManager(TenantManager.from_queryset(ConversationQuerySet)):  # type: ignore[misc]
    """The tenant's conversations, with the questions of ConversationQuerySet."""


class Conversation(TenantModel):
    """`last_seq` is the number of its newest event; whoever adds one holds the row's lock."""

    subject_path = "contact__subject"

    class State(models.TextChoices):
        OPEN = "open", _("open")
        PENDING = "pending", _("with the bot")
        SNOOZED = "snoozed", _("snoozed")
        RESOLVED = "resolved", _("resolved")

    class Owner(models.TextChoices):
        BOT = "bot", _("the bot")
        PEOPLE = "people", _("people")

    inbox = models.ForeignKey(Inbox, on_delete=models.PROTECT, related_name="conversations")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="conversations")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    owner = models.CharField(_("answered by"), max_length=10, choices=Owner, default=Owner.BOT)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    language = models.CharField(_("language"), max_length=10, blank=True)
    page = models.CharField(_("page"), max_length=500, blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    # The bot looks back to here and no further: a solved case is not dragged into the next.
    context_from = models.PositiveBigIntegerField(default=0)
    # Up to here examples were made of it; 0 has the whole looked at anew.
    learned_seq = models.PositiveBigIntegerField(default=0)
    waiting_since = models.DateTimeField(_("waits for an agent since"), null=True, blank=True)
    due_at = models.DateTimeField(_("to be answered by"), null=True, blank=True)
    overdue_at = models.DateTimeField(_("found overdue"), null=True, blank=True)
    first_response_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)
    csat = models.PositiveSmallIntegerField(_("satisfaction"), null=True, blank=True)
    csat_comment = models.TextField(blank=True)

    objects: ClassVar[ConversationManager] = ConversationManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            models.Index(fields=["inbox", "state", "-updated_at"], name="chatbot_conv_queue"),
            models.Index(fields=["contact", "-created_at"], name="chatbot_conv_contact"),
            models.Index(fields=["tenant", "-updated_at"], name="chatbot_conv_latest"),
            models.Index(
                fields=["snoozed_until"],
                condition=models.Q(state="snoozed"),
                name="chatbot_conv_asleep",
            ),
            models.Index(
                fields=["updated_at"],
                condition=models.Q(last_seq__gt=models.F("learned_seq")),
                name="chatbot_conv_unlearned",
            ),
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False, overdue_at__isnull=True),
                name="chatbot_conv_due",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)[:8]

    @property
    def is_overdue(self) -> bool:
        return self.due_at is not None and self.due_at <= timezone.now()

    @property
    def is_due_soon(self) -> bool:
        return self.due_at is not None and self.due_at <= timezone.now() + SOON


class Message(TenantModel):
    """What somebody said. Never changed: what was wrong is answered by a later message."""

    subject_path = "conversation__contact__subject"

    class Role(models.TextChoices):
        SYSTEM = "system", _("system")
        USER = "user", _("visitor")
        ASSISTANT = "assistant", _("bot")
        AGENT = "agent", _("agent")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    seq = models.PositiveBigIntegerField()
    role = models.CharField(_("role"), max_length=10, choices=Role)
    text = models.TextField(_("text"))
    private = models.BooleanField(_("private note"), default=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    client_id = models.UUIDField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["seq"]
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="chatbot_message_seq"),
            # For ever: a repeat of the same send is the same message, whenever it comes.
            models.UniqueConstraint(
                fields=["conversation", "client_id"],
                condition=models.Q(client_id__isnull=False),
                name="chatbot_message_sent_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.role}"


class Event(TenantModel):
    """One entry of a conversation's own order: what readers replay from where they stopped.

    `private` events are for the desk alone; the widget sees a number without content in their
    place, so that its numbers have no gap either.
    """

    subject_path = "conversation__contact__subject"

    class Type(models.TextChoices):
        MESSAGE = "message.created", _("message")
        ANSWER = "answer.waiting", _("an answer is awaited")
        ENDED = "answer.ended", _("an answer ended without words")
        HANDOFF = "handoff", _("handed to people")
        STATUS = "status", _("state changed")
        ASSIGNED = "assigned", _("given to somebody")
        OVERDUE = "overdue", _("not answered in time")
        CSAT = "csat", _("satisfaction")
        FEEDBACK = "feedback", _("feedback")

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    type = models.CharField(max_length=20, choices=Type)
    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, null=True, related_name="event"
    )
    private = models.BooleanField(default=False)
    # Which member did it; the visitor is never told.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    data = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        ordering = ["seq"]
        verbose_name = _("conversation event")
        verbose_name_plural = _("conversation events")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="chatbot_event_seq")
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class HandoffManager(TenantManager.from_queryset(HandoffQuerySet)):  # type: ignore[misc]
    """The tenant's handoffs, with the questions of HandoffQuerySet."""


class Handoff(TenantModel):
    """The bot gave the conversation to people: a typed act with its reason, never read out of prose."""

    subject_path = "conversation__contact__subject"

    class Reason(models.TextChoices):
        CUSTOMER_REQUEST = "customer_request", _("the visitor asked for a person")
        MISSING_KNOWLEDGE = "missing_knowledge", _("nothing in the knowledge answers it")
        UNSUPPORTED_REQUEST = "unsupported_request", _("the bot cannot do this")
        POLICY_RESTRICTION = "policy_restriction", _("a rule forbids the answer")
        TOOL_FAILURE = "tool_failure", _("the model could not be reached")
        PENDING_CLARIFICATION = "pending_clarification", _("asking back did not help")
        USAGE_LIMIT = "usage_limit", _("the quota is used up")
        TAKEN_OVER = "taken_over", _("somebody of the team took it")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="handoffs"
    )
    reason = models.CharField(_("reason"), max_length=30, choices=Reason)
    summary = models.TextField(_("summary for the agent"), blank=True)
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    taken_at = models.DateTimeField(null=True, blank=True)
    returned_at = models.DateTimeField(_("given back to the bot"), null=True, blank=True)

    objects: ClassVar[HandoffManager] = HandoffManager()

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("handoff")
        verbose_name_plural = _("handoffs")

    def __str__(self) -> str:
        return self.reason
