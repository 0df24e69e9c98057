"""A conversation as it goes on: events from where the reader stopped, then what comes, from the database.

Nothing is remembered between two connections but what the reader says: the number of the last
event it has, and of each answer that it follows the attempt and how much of its text.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from asgiref.sync import sync_to_async

from apps.chatbot.models import Answer, Conversation, Event

from .shapes import answer_shape, event_shape

LOOK_SECONDS = 0.3
PING_SECONDS = 15.0
# A connection is ended now and then, so that a token that was taken back does not read for ever.
LONGEST_SECONDS = 300.0
MOST_AT_ONCE = 200


@dataclass
class Reader:
    """How far somebody has read: `after` is the number of the last event, `offsets` of each answer
    (attempt, characters)."""

    conversation: Conversation
    after: int
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self) -> list[tuple[str, dict[str, Any]]]:
        """What is new since the last look, as (name, data), and move on behind it."""
        found: list[tuple[str, dict[str, Any]]] = []
        events = (
            Event.objects.filter(conversation=self.conversation, seq__gt=self.after)
            .select_related("message__author", "message__attachment")
            .order_by("seq")[:MOST_AT_ONCE]
        )
        for event in events:
            shape = event_shape(event)
            found.append((shape["type"], shape))
            self.after = event.seq
        for answer in Answer.objects.filter(conversation=self.conversation).open():
            attempt, offset = self.offsets.get(str(answer.pk), (0, 0))
            shape = answer_shape(answer, offset, attempt)
            if shape["text"] or attempt != answer.attempt:
                found.append(("answer.delta", shape))
            self.offsets[str(answer.pk)] = (
                answer.attempt,
                shape["offset"] + len(shape["text"]),
            )
        return found


class Looks(Protocol):
    """Whoever knows what is new since it was last asked."""

    def look(self) -> list[tuple[str, dict[str, Any]]]: ...


async def stream(reader: Looks) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, 9.2): `id` is the event's number, where it has one."""
    began = spoken = time.monotonic()
    look = sync_to_async(reader.look)
    yield "retry: 1000\n\n"
    while time.monotonic() - began < LONGEST_SECONDS:
        found = await look()
        for name, data in found:
            yield framed(name, data)
        now = time.monotonic()
        if found:
            spoken = now
        elif now - spoken >= PING_SECONDS:
            yield "event: ping\ndata: {}\n\n"
            spoken = now
        await asyncio.sleep(LOOK_SECONDS)


def framed(name: str, data: dict[str, Any]) -> str:
    number = f"id: {data['seq']}\n" if "seq" in data else ""
    return f"{number}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def wait(reader: Reader, seconds: float) -> list[dict[str, Any]]:
    """The same for who cannot stream: what is new, as soon as anything is, or nothing in time."""
    look = sync_to_async(reader.look)
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found or time.monotonic() >= deadline:
            return [{"event": name, **data} for name, data in found]
        await asyncio.sleep(LOOK_SECONDS)
