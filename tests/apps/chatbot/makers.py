"""Rows of the chatbot in one line each. Call them inside a tenant's scope."""

from __future__ import annotations

from typing import Any

from apps.chatbot import services
from apps.chatbot.models import Contact, Conversation, Inbox
from apps.chatbot.services.conversations import Posted


def make_inbox(**fields: Any) -> Inbox:
    return Inbox.objects.create(
        **{"name": "网站", "allowed_origins": ["https://acme.example"]} | fields
    )


def make_conversation(inbox: Inbox | None = None, **fields: Any) -> Conversation:
    contact = fields.pop("contact", None) or Contact.objects.create(name="李雷")
    return services.begin_conversation(inbox=inbox or make_inbox(), contact=contact, **fields)


def ask(conversation: Conversation, text: str = "你们免费测量吗？", **fields: Any) -> Posted:
    return services.post_message(conversation=conversation, role="user", text=text, **fields)
