"""Intercom and Chatwoot: conversations of chats, as their APIs and webhooks give them."""

from collections.abc import Mapping
from typing import Any

from apps.chatbot.history.people import People
from apps.chatbot.history.shape import AGENT, BOT, SYSTEM, VISITOR, Conversation, Part
from apps.chatbot.history.spool import Message
from apps.chatbot.history.tickets import begun, ended
from apps.chatbot.history.times import moment
from apps.chatbot.history.values import (
    first_text,
    id_of,
    list_of,
    object_of,
    role_called,
    text_of,
    words_of,
)
from apps.chatbot.history.words import from_markup, plain
from labeling.faults import Fault
from labeling.readers.raw import RawRow

# Intercom's parts that say something; the others are events.
_SAYING = {"comment", "note", "quick_reply", "assignment", "open", "close", "conversation_rating"}

# Here a "user" is who works for the company.
_CHATWOOT_SIDES = {
    "contact": VISITOR, "Contact": VISITOR, "user": AGENT, "User": AGENT, "agent_bot": BOT,
    "AgentBot": BOT, "captain_assistant": BOT, "Captain::Assistant": BOT,
}  # fmt: skip


def intercom(raw: RawRow, people: People) -> Conversation | Fault | None:
    """A conversation whose first message lies in `source`, with its parts."""
    value = raw.value
    found = begun(raw, value, "id", "parts")
    if isinstance(found, Fault):
        return found
    found.status = text_of(value.get("state"))
    found.title = text_of(value.get("title"))
    found.rating = first_text(object_of(value.get("conversation_rating")), "rating")
    found.tags = words_of(object_of(value.get("tags")).get("tags") or value.get("tags"))
    source = object_of(value.get("source"))
    found.channel = text_of(source.get("type"))
    contacts = list_of(object_of(value.get("contacts")).get("contacts"))
    first = object_of(contacts[0]) if contacts else object_of(source.get("author"))
    found.customer = first_text(first, "external_id", "id", "email")
    nested = value.get("conversation_parts")
    parts = nested.get("conversation_parts") if isinstance(nested, dict) else nested
    if parts is not None and not isinstance(parts, list):
        figures = {"found": type(parts).__name__}
        return raw.fault("messages_not_list", ("conversation_parts",), figures)
    spoken = [source, *list_of(parts)]
    for at, part in enumerate(spoken):
        if not isinstance(part, dict):
            steps = ("conversation_parts", "conversation_parts", at - 1)
            return raw.fault("message_not_object", steps, {"found": text_of(part)})
        # A body that was redacted there, and an event, say nothing.
        if text_of(part.get("body")).strip() or list_of(part.get("attachments")):
            read = _intercom_part(part, is_first=at == 0)
            read.at = read.at or (found.opened_at if at == 0 else None)
            found.parts.append(read)
            if read.role == VISITOR and read.author:
                found.names.add(read.author)
    return ended(raw, found, "conversation_parts")


def _intercom_part(part: Mapping[str, Any], *, is_first: bool) -> Part:
    author = object_of(part.get("author"))
    kind = text_of(part.get("part_type"))
    role = role_called(author.get("type"))
    by_machine = author.get("from_ai_agent") is True or author.get("is_ai_answer") is True
    if by_machine or part.get("is_ai_answer") is True:
        role = BOT
    if not is_first and kind and kind not in _SAYING:
        role = SYSTEM
    return Part(
        role=role or SYSTEM,
        text=from_markup(text_of(part.get("body"))),
        at=moment(part.get("created_at")),
        is_private=kind == "note",
        attachments=len(list_of(part.get("attachments"))),
        author=first_text(author, "name"),
    )


def chatwoot(raw: RawRow, people: People) -> Conversation | Message | Fault | None:
    """A conversation with its messages, or one message of one: a webhook's event or an API's row."""
    value = raw.value
    if not isinstance(value, dict):
        return raw.fault("row_not_object", (), {"found": type(value).__name__})
    if isinstance(value.get("messages"), list) and "content" not in value:
        return _chatwoot_conversation(raw, value)
    event = text_of(value.get("event"))
    if event and event not in ("message_created", "message_updated"):
        return None
    conversation = object_of(value.get("conversation"))
    name = id_of(value.get("conversation_id")) or first_text(conversation, "id", "display_id")
    if not name:
        return raw.fault("conversation_id_missing", ("conversation",), {})
    part = _chatwoot_part(value)
    sender = object_of(object_of(conversation.get("meta")).get("sender") or value.get("contact"))
    if part.role == VISITOR:
        sender = sender or object_of(value.get("sender"))
    about = _chatwoot_about(conversation, sender)
    return Message(name, raw.line, part, about)


def _chatwoot_conversation(raw: RawRow, value: Mapping[str, Any]) -> Conversation | Fault:
    found = begun(raw, value, "id", "messages")
    if isinstance(found, Fault):
        return found
    sender = object_of(object_of(value.get("meta")).get("sender"))
    about = _chatwoot_about(value, sender)
    found.names |= set(about.pop("names"))
    for fact, told in about.items():
        setattr(found, fact, told or getattr(found, fact))
    for at, message in enumerate(value["messages"]):
        if not isinstance(message, dict):
            return raw.fault("message_not_object", ("messages", at), {"found": text_of(message)})
        found.parts.append(_chatwoot_part(message))
    return ended(raw, found, "messages")


def _chatwoot_about(conversation: Mapping[str, Any], sender: Mapping[str, Any]) -> dict[str, Any]:
    meta = object_of(conversation.get("meta"))
    return {
        "status": text_of(conversation.get("status")),
        "channel": first_text(conversation, "channel") or text_of(meta.get("channel")),
        "tags": words_of(conversation.get("labels")),
        "customer": first_text(sender, "identifier", "id", "email", "phone_number"),
        "names": [name for name in (first_text(sender, "name"),) if name],
    }


def _chatwoot_part(message: Mapping[str, Any]) -> Part:
    sender = object_of(message.get("sender"))
    kind = text_of(message.get("message_type"))
    direction = role_called(kind)
    side = _CHATWOOT_SIDES.get(first_text(sender, "type") or text_of(message.get("sender_type")))
    attributes = object_of(message.get("content_attributes"))
    if direction in (VISITOR, SYSTEM):
        role = direction
    elif attributes.get("external_echo"):
        role = AGENT  # somebody answered from the channel's own app
    elif side is not None:
        role = side
    else:
        # A null for a sender is a rule or a campaign.
        role = AGENT if "sender" not in message else SYSTEM
    text = text_of(message.get("content"))
    return Part(
        role=role,
        text=from_markup(text) if text.lstrip().startswith("<") else plain(text),
        at=moment(message.get("created_at")),
        is_private=message.get("private") is True,
        attachments=len(list_of(message.get("attachments"))),
        author=first_text(sender, "name", "available_name"),
    )
