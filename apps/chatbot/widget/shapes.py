"""What a visitor is told: events and messages as JSON, without anything that is the desk's alone."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.chatbot.hours import closed_until
from apps.chatbot.models import Answer, Citation, Event, Inbox, Message


def inbox_shape(inbox: Inbox) -> dict[str, Any]:
    back = closed_until(inbox.hours, timezone.now())
    return {
        "name": inbox.name,
        "language": inbox.language,
        "greeting": inbox.greeting,
        "theme": inbox.theme,
        "pre_chat": inbox.pre_chat,
        "bot": inbox.bot_enabled,
        "identity": inbox.identity,
        # When people are there again; None while they are.
        "back": back.isoformat() if back else None,
    }


def event_shape(event: Event) -> dict[str, Any]:
    """An event for the visitor; of a private one only its number, so that theirs have no gap."""
    shape: dict[str, Any] = {
        "seq": event.seq,
        "type": event.type,
        "at": event.created_at.isoformat(),
    }
    if event.private:
        return shape | {"type": "nothing"}
    if event.message is not None:
        shape["message"] = message_shape(event.message)
    return shape | {"data": event.data}


def message_shape(message: Message) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": str(message.pk),
        "role": message.role,
        "text": message.text,
        "client_id": str(message.client_id) if message.client_id else None,
    }
    file = getattr(message, "attachment", None)
    if file is not None:
        shape["file"] = {"id": str(file.pk), "name": file.name, "size": file.size}
    if message.role == Message.Role.AGENT and message.author is not None:
        shape["name"] = message.author.name.partition(" ")[0]
    if message.role == Message.Role.ASSISTANT:
        answer = Answer.objects.filter(message=message).first()
        if answer is not None:
            shape["outcome"] = answer.outcome
            shape["citations"] = citations_of(answer)
    return shape


def citations_of(answer: Answer) -> list[dict[str, Any]]:
    rows = Citation.objects.filter(answer=answer).select_related("passage__version__article")
    return [
        {
            "number": row.number,
            "title": row.passage.version.title,
            "heading": row.passage.heading,
            "text": row.passage.text,
            "sources": row.passage.version.article.sources,
        }
        for row in rows.order_by("number")
    ]


def answer_shape(answer: Answer, offset: int, attempt: int) -> dict[str, Any]:
    """What a reader lacks of an answer that is being written. Where another attempt has begun, the
    reader starts again from nothing."""
    anew = attempt != answer.attempt
    at = 0 if anew else min(offset, len(answer.text))
    return {
        "answer": str(answer.pk),
        "question": str(answer.question_id),
        "state": answer.state,
        "attempt": answer.attempt,
        "reset": anew and attempt > 0,
        "offset": at,
        "text": answer.text[at:],
    }
