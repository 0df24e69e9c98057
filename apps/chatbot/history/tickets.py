"""Zendesk and Freshdesk: tickets with what was written to them."""

from collections.abc import Mapping
from typing import Any

from apps.chatbot.history.people import People
from apps.chatbot.history.shape import AGENT, MOST_PARTS, SYSTEM, VISITOR, Conversation, Part
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

# Zendesk's own machinery writes through these.
_MACHINES = {"rule", "trigger", "automation", "system"}


def zendesk(raw: RawRow, people: People) -> Conversation | Fault | None:
    """A ticket with its comments. A user's object says who is an agent, and is no conversation."""
    ticket = raw.value
    if not isinstance(ticket, dict):
        return raw.fault("row_not_object", (), {"found": type(ticket).__name__})
    if raw.at.startswith("/users/") or ("role" in ticket and "comments" not in ticket):
        people.note(
            id_of(ticket.get("id")), text_of(ticket.get("role")), text_of(ticket.get("name"))
        )
        return None
    found = _begun(raw, ticket, "id", "comments")
    if isinstance(found, Fault):
        return found
    customer = id_of(ticket.get("requester_id"))
    requester = object_of(ticket.get("requester"))
    found.customer = customer or first_text(requester, "email", "id")
    found.names |= {people.name_of(customer), first_text(requester, "name")} - {""}
    found.channel = first_text(object_of(ticket.get("via")), "channel")
    found.rating = first_text(object_of(ticket.get("satisfaction_rating")), "score")
    for at, comment in enumerate(list_of(ticket.get("comments"))):
        if not isinstance(comment, dict):
            return raw.fault("message_not_object", ("comments", at), {"found": text_of(comment)})
        found.parts.append(_comment(comment, customer, people))
    description = text_of(ticket.get("description"))
    if not found.parts and description.strip():
        found.parts.append(Part(VISITOR, plain(description), found.opened_at))
    return _ended(raw, found, "comments")


def _comment(comment: Mapping[str, Any], customer: str, people: People) -> Part:
    author = id_of(comment.get("author_id"))
    told = object_of(comment.get("author"))
    via = object_of(comment.get("via"))
    machine = first_text(object_of(via.get("source")), "rel")
    role = role_called(told.get("role")) or people.role_of(author)
    if text_of(via.get("channel")) in _MACHINES or machine in _MACHINES or author == "-1":
        role = SYSTEM
    elif not role:
        # Whoever asked is the customer; without a list of users everybody else is taken for an agent.
        role = VISITOR if author and author == customer else AGENT
    text = first_text(comment, "plain_body", "body")
    return Part(
        role=role,
        text=plain(text) if text else from_markup(text_of(comment.get("html_body"))),
        at=moment(comment.get("created_at")),
        is_private=comment.get("public") is False,
        attachments=len(list_of(comment.get("attachments"))),
        author=first_text(told, "name") or people.name_of(author),
    )


def freshdesk(raw: RawRow, people: People) -> Conversation | Fault | None:
    """A ticket whose description is the first message, with its `conversations`."""
    ticket = raw.value
    if not isinstance(ticket, dict):
        return raw.fault("row_not_object", (), {"found": type(ticket).__name__})
    ticket = ticket.get("helpdesk_ticket", ticket)
    found = _begun(raw, ticket, "id", "conversations")
    if isinstance(found, Fault):
        return found
    requester = object_of(ticket.get("requester"))
    found.customer = id_of(ticket.get("requester_id")) or first_text(requester, "email", "id")
    found.names |= {first_text(requester, "name")} - {""}
    first = _body(ticket, "description_text", "description")
    if first:
        attached = len(list_of(ticket.get("attachments")))
        found.parts.append(Part(VISITOR, first, found.opened_at, attachments=attached))
    for at, note in enumerate(list_of(ticket.get("conversations", ticket.get("notes")))):
        if not isinstance(note, dict):
            return raw.fault("message_not_object", ("conversations", at), {"found": text_of(note)})
        found.parts.append(
            Part(
                role=VISITOR if note.get("incoming") is True else AGENT,
                text=_body(note, "body_text", "body"),
                at=moment(note.get("created_at")),
                is_private=note.get("private") is True,
                attachments=len(list_of(note.get("attachments"))),
                author=first_text(note, "from_name"),
            )
        )
    return _ended(raw, found, "conversations")


def _body(source: Mapping[str, Any], text_key: str, markup_key: str) -> str:
    text = text_of(source.get(text_key))
    return plain(text) if text.strip() else from_markup(text_of(source.get(markup_key)))


def _begun(raw: RawRow, ticket: Any, id_key: str, parts_key: str) -> Conversation | Fault:
    if not isinstance(ticket, dict):
        return raw.fault("row_not_object", (), {"found": type(ticket).__name__})
    external_id = id_of(ticket.get(id_key))
    if not external_id:
        return raw.fault("conversation_id_missing", (id_key,), {})
    parts = ticket.get(parts_key)
    if parts is not None and not isinstance(parts, list):
        return raw.fault("messages_not_list", (parts_key,), {"found": type(parts).__name__})
    return Conversation(
        external_id=external_id,
        line=raw.line,
        parts=[],
        title=text_of(ticket.get("subject")),
        tags=words_of(ticket.get("tags")),
        status=text_of(ticket.get("status")),
        opened_at=moment(ticket.get("created_at")),
    )


def _ended(raw: RawRow, found: Conversation, parts_key: str) -> Conversation | Fault:
    if not found.parts:
        return raw.fault("messages_missing", (parts_key,), {})
    if len(found.parts) > MOST_PARTS:
        figures = {"found": len(found.parts), "limit": MOST_PARTS}
        return raw.fault("messages_too_many", (parts_key,), figures)
    # Exports are not always in order; what has no time stays where it is.
    if all(part.at is not None for part in found.parts):
        found.parts.sort(key=lambda part: part.at)  # type: ignore[arg-type, return-value]
    return found


ended = _ended
begun = _begun
