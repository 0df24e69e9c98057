"""Messages that lie scattered in a file, put together by conversation: on the disk, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.chatbot.history.shape import MOST_PARTS, Conversation, Part
from common import strict_json
from labeling.faults import Fault
from labeling.rows import canonical_json


@dataclass(slots=True)
class Message:
    """One row of the file. `about` are facts of its conversation: channel, status, tags, customer, ..."""

    conversation: str
    line: int
    part: Part
    about: dict[str, Any] = field(default_factory=dict)


class Spool:
    """Takes messages in any order and gives back conversations in the order in which they began.

    A conversation with a row that could not be read is given up as a whole: half of it would teach
    something else than was said.
    """

    def __enter__(self) -> Spool:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192;"
            "CREATE TABLE conversation (id INTEGER PRIMARY KEY, name TEXT UNIQUE, broken INTEGER);"
            "CREATE TABLE message (conversation INTEGER, line INTEGER, at REAL, body TEXT);"
            "BEGIN;"
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._table.close()

    def add(self, message: Message) -> None:
        part = message.part
        at = part.at.timestamp() if part.at is not None else None
        body = canonical_json(
            [
                part.role, part.text, _written(part.at), part.is_private, part.attachments,
                part.author, message.about,
            ]
        )  # fmt: skip
        self._table.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?)",
            (self._number(message.conversation), message.line, at, body),
        )

    def give_up(self, conversation: str) -> None:
        self._table.execute(
            "UPDATE conversation SET broken = 1 WHERE id = ?", (self._number(conversation),)
        )

    def conversations(self) -> Iterator[Conversation | Fault]:
        self._table.execute("CREATE INDEX by_conversation ON message (conversation, line)")
        names = self._table.execute(
            "SELECT id, name FROM conversation WHERE broken = 0 ORDER BY id"
        )
        for number, name in names:
            # As many as are allowed, and one more, which tells that there are too many.
            rows = self._table.execute(
                "SELECT line, at, body FROM message WHERE conversation = ? ORDER BY line LIMIT ?",
                (number, MOST_PARTS + 1),
            ).fetchall()
            if len(rows) > MOST_PARTS:
                figures = {"found": len(rows), "limit": MOST_PARTS}
                yield Fault("messages_too_many", rows[0][0], "", figures)
            elif rows:
                yield _together(name, rows)

    def _number(self, name: str) -> int:
        self._table.execute(
            "INSERT OR IGNORE INTO conversation (name, broken) VALUES (?, 0)", (name,)
        )
        found = self._table.execute(
            "SELECT id FROM conversation WHERE name = ?", (name,)
        ).fetchone()
        return int(found[0])


def _together(name: str, rows: list[tuple[int, float | None, str]]) -> Conversation:
    first_line = rows[0][0]
    if all(at is not None for _line, at, _body in rows):
        rows.sort(key=lambda row: (row[1], row[0]))
    found = Conversation(external_id=name, line=first_line, parts=[])
    for _line, _at, body in rows:
        role, text, at, is_private, attachments, author, about = strict_json.loads(body)
        moment = datetime.fromisoformat(at) if at else None
        found.parts.append(Part(role, text, moment, is_private, attachments, author))
        for fact, value in about.items():
            if fact == "names":
                found.names |= set(value)
            elif value and not getattr(found, fact):
                setattr(found, fact, value)
    found.opened_at = found.opened_at or found.parts[0].at
    return found


def _written(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
