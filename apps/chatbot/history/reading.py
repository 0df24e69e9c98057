"""One file of a known source, whatever its form: conversations handed on one by one, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from apps.chatbot.history.chats import chatwoot, intercom
from apps.chatbot.history.pairs import pair
from apps.chatbot.history.people import People
from apps.chatbot.history.shape import Conversation
from apps.chatbot.history.spool import Message, Spool
from apps.chatbot.history.tables import Header, messages
from apps.chatbot.history.tickets import freshdesk, zendesk
from apps.chatbot.models import HistorySource
from labeling import importing
from labeling.faults import Fault
from labeling.readers import FileReading, open_reading
from labeling.readers.raw import RawRow

MAX_CONVERSATION_BYTES = 16 << 20

Found = Conversation | Fault
Objects = Callable[[RawRow, People], Conversation | Message | Fault | None]


@dataclass(frozen=True)
class Form:
    """How a source's JSON is read: what one object is, and under which keys of a wrapping object they
    stand. `people` is the section that says who is an agent."""

    one: Objects
    sections: frozenset[str]
    people: frozenset[str] = frozenset()


FORMS: Mapping[str, Form] = {
    HistorySource.ZENDESK: Form(
        zendesk, frozenset({"tickets", "users", "results"}), frozenset({"users"})
    ),
    HistorySource.FRESHDESK: Form(freshdesk, frozenset({"tickets", "results"})),
    HistorySource.INTERCOM: Form(intercom, frozenset({"conversations", "data"})),
    HistorySource.CHATWOOT: Form(chatwoot, frozenset({"payload", "conversations", "data"})),
}
PAIRS = frozenset({HistorySource.OPENAI, HistorySource.SHAREGPT, HistorySource.QUESTIONS})


class HistoryReading:
    """Iterates over the Conversations and Faults of one file. `form`, `encoding` and `share` (how much
    has been read, 0 to 1) as those of labeling.readers.FileReading.

    Raises ApplicationError `mapping_unknown` for a mapping that means nothing.
    """

    def __init__(
        self, stream: BinaryIO, filename: str, source: str, mapping: Mapping[str, str] | None = None
    ) -> None:
        self._stream = stream
        self._filename = filename
        self.source = source
        self.mapping = dict(mapping or {}) or None
        if source in PAIRS:
            self.mapping = importing.understood(self.mapping)
        self._header = Header({} if source in PAIRS else self.mapping or {})
        self._form = FORMS.get(source)
        self._reading = self._open(self._form.sections if self._form else frozenset())

    @property
    def form(self) -> str:
        return self._reading.form

    @property
    def encoding(self) -> str:
        return self._reading.encoding

    @property
    def size(self) -> int:
        return self._reading.size

    @property
    def share(self) -> float:
        return self._reading.share

    def __iter__(self) -> Iterator[Found]:
        if self.source in PAIRS:
            yield from self._pairs()
        elif self._form is None or self.form in ("csv", "tsv", "xlsx"):
            yield from _spooled(messages(self._reading, self._header))
        else:
            yield from _spooled(self._objects(self._form))

    def _pairs(self) -> Iterator[Found]:
        for raw in self._reading:
            found = raw if isinstance(raw, Fault) else pair(raw, self.mapping)
            if isinstance(found, list):
                yield from found
            else:
                yield found

    def _objects(self, form: Form) -> Iterator[Conversation | Message | Fault]:
        people = People()
        if form.people and self.form == "json":
            self._meet(people, form)
        for raw in self._reading:
            found = raw if isinstance(raw, Fault) else form.one(raw, people)
            if found is not None:
                yield found

    def _meet(self, people: People, form: Form) -> None:
        """Who is who stands behind the tickets as often as before them: it is read first."""
        for raw in self._open(form.people):
            if isinstance(raw, RawRow):
                form.one(raw, people)
        self._reading = self._open(form.sections)

    def _open(self, sections: frozenset[str]) -> FileReading:
        self._stream.seek(0)
        recognise = None if self.source in PAIRS else self._header.recognise
        return open_reading(
            self._stream,
            self._filename,
            self.mapping if self.source in PAIRS else None,
            recognise=recognise,
            sections=sections,
            limit=MAX_CONVERSATION_BYTES,
        )


def understood(source: str, mapping: Mapping[str, str] | None) -> None:
    """Raises ApplicationError `mapping_unknown` for a mapping that means nothing to this source."""
    if source in PAIRS:
        importing.understood(mapping)
    else:
        Header(mapping or {})


def _spooled(found: Iterable[Conversation | Message | Fault | str]) -> Iterator[Found]:
    """Whole conversations and faults at once; single messages when all of them are there."""
    with Spool() as spool:
        for one in found:
            if isinstance(one, Message):
                spool.add(one)
            elif isinstance(one, str):
                spool.give_up(one)
            else:
                yield one
        yield from spool.conversations()
