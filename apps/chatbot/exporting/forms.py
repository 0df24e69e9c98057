"""The forms in which conversations go out. Each is a stream of pieces, for one conversation may be long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from apps.chatbot.models import Answer, Conversation, Feedback, Message
from labeling.exports import table_lines

from .reading import Told

COLUMNS = (
    "conversation", "inbox", "contact", "external_id", "name", "email", "state", "begun", "csat",
    "seq", "at", "role", "author", "text", "outcome", "helpful", "reason",
)  # fmt: skip


def ndjson(rows: Iterable[Told]) -> Iterator[bytes]:
    """A conversation a line, with all that is known of it."""
    for conversation, messages in rows:
        head = _json(_about(conversation))[:-1]
        yield f'{head}, "messages": ['.encode()
        for number, message in enumerate(messages):
            yield (", " if number else "").encode() + _json(_message(message)).encode()
        yield b"]}\n"


def csv(rows: Iterable[Told]) -> Iterator[bytes]:
    """A message a row, for spreadsheets, which run none of it."""
    return table_lines(COLUMNS, _records(rows))


def openai(rows: Iterable[Told]) -> Iterator[bytes]:
    """As OpenAI's fine-tuning reads it: what one side said in a row is one message, agents speak as the
    assistant, and what a visitor found unhelpful has no weight. What teaches nothing is left out."""
    for _conversation, messages in rows:
        waiting: list[dict[str, Any]] = []
        begun = False
        for turn in _turns(messages):
            waiting.append(turn)
            # A line begins with the first answer that teaches, and ends with an answer.
            if turn["role"] == "user" or ("weight" in turn and not begun):
                continue
            yield (", " if begun else '{"messages": [').encode()
            yield ", ".join(_json(one) for one in waiting).encode()
            waiting, begun = [], True
        if begun:
            yield b"]}\n"


FORMS: Mapping[str, tuple[Callable[[Iterable[Told]], Iterator[bytes]], str, str]] = {
    "ndjson": (ndjson, "application/x-ndjson", "ndjson"),
    "csv": (csv, "text/csv; charset=utf-8", "csv"),
    "openai": (openai, "application/jsonl", "jsonl"),
}


# --- The pieces ----------------------------------------------------------------------------------


def _turns(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """Visitor and company in turn, the visitor first."""
    spoken = (one for one in messages if one.role != Message.Role.SYSTEM)
    begun = False
    for is_visitor, burst in groupby(spoken, key=lambda one: one.role == Message.Role.USER):
        begun = begun or is_visitor
        if not begun:
            continue
        said = list(burst)
        text = "\n".join(one.text for one in said)
        if is_visitor:
            yield {"role": "user", "content": text}
            continue
        unhelpful = any(judged is not None and not judged.helpful for judged in map(_judged, said))
        yield {"role": "assistant", "content": text} | ({"weight": 0} if unhelpful else {})


def _records(rows: Iterable[Told]) -> Iterator[list[str]]:
    for conversation, messages in rows:
        contact = conversation.contact
        whole = [
            str(conversation.pk), conversation.inbox.name, str(contact.pk), contact.external_id,
            contact.name, contact.email, conversation.state, conversation.created_at.isoformat(),
            _text(conversation.csat),
        ]  # fmt: skip
        for message in messages:
            answer, judged = _answer(message), _judged(message)
            yield [
                *whole, str(message.seq), message.created_at.isoformat(), message.role,
                _text(message.author), message.text, answer.outcome if answer else "",
                _text(judged.helpful).lower() if judged else "", judged.reason if judged else "",
            ]  # fmt: skip


def _about(conversation: Conversation) -> dict[str, Any]:
    contact = conversation.contact
    return {
        "id": str(conversation.pk),
        "inbox": {"id": str(conversation.inbox_id), "name": conversation.inbox.name},
        "contact": {
            "id": str(contact.pk),
            "external_id": contact.external_id,
            "name": contact.name,
            "email": contact.email,
            "language": contact.language,
            "attributes": contact.attributes,
        },
        "state": conversation.state,
        "owner": conversation.owner,
        "assignee": _text(conversation.assignee),
        "language": conversation.language,
        "page": conversation.page,
        "begun": _when(conversation.created_at),
        "first_response_at": _when(conversation.first_response_at),
        "resolved_at": _when(conversation.resolved_at),
        "csat": conversation.csat,
        "csat_comment": conversation.csat_comment,
        "handoffs": [
            {"reason": one.reason, "summary": one.summary, "at": _when(one.created_at)}
            for one in conversation.handoffs.all()
        ],
    }


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": str(message.pk),
        "seq": message.seq,
        "at": _when(message.created_at),
        "role": message.role,
        "text": message.text,
    }
    if message.private:
        told["private"] = True
    if message.author is not None:
        told["author"] = str(message.author)
    if (answer := _answer(message)) is not None:
        told["answer"] = {
            "outcome": answer.outcome,
            "confidence": answer.confidence,
            "model": answer.model,
            "checkpoint": str(answer.checkpoint_id) if answer.checkpoint_id else None,
            "citations": [
                {
                    "article": str(one.passage.version.article_id),
                    "version": one.passage.version.number,
                    "title": one.passage.version.title,
                }
                for one in answer.citations.all()
            ],
        }
    if (judged := _judged(message)) is not None:
        told["feedback"] = {
            "helpful": judged.helpful,
            "reason": judged.reason,
            "comment": judged.comment,
        }
    return told


def _answer(message: Message) -> Answer | None:
    return getattr(message, "answered_by", None)


def _judged(message: Message) -> Feedback | None:
    return getattr(message, "feedback", None)


def _when(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
