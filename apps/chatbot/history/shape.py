"""The one shape that every importer makes, before anything is redacted or kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labeling.rows import canonical_json

VISITOR, AGENT, BOT, SYSTEM = "visitor", "agent", "bot", "system"

MOST_PARTS = 5_000
MOST_CHARACTERS = 20_000


@dataclass(slots=True)
class Part:
    """`author` is a name that the source gives; it helps to redact and is not kept."""

    role: str
    text: str
    at: datetime | None = None
    is_private: bool = False
    attachments: int = 0
    author: str = ""


@dataclass(slots=True)
class Conversation:
    """`line` is where it begins in the file. `customer` is how the source knows them: an id or an address."""

    external_id: str
    line: int
    parts: list[Part]
    channel: str = ""
    title: str = ""
    tags: Sequence[str] = ()
    status: str = ""
    rating: str = ""
    opened_at: datetime | None = None
    customer: str = ""
    names: set[str] = field(default_factory=set)

    def digest(self) -> str:
        """SHA-256 of all that the source says: it changes when somebody wrote more."""
        said = [
            [part.role, part.text, part.is_private, part.attachments, _moment(part.at)]
            for part in self.parts
        ]
        told = [self.title, list(self.tags), self.status, self.rating, self.customer, said]
        return hashlib.sha256(canonical_json(told).encode()).hexdigest()


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
