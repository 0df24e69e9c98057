"""A first look at a file of past conversations: which columns it has, and its first conversations, redacted."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePath
from typing import BinaryIO

from apps.chatbot.history.reading import PAIRS, HistoryReading
from apps.chatbot.history.shape import Conversation
from apps.chatbot.history.tables import Header
from apps.chatbot.history.words import without_marks
from apps.chatbot.redaction import rules_of_tenant
from labeling.faults import Fault, excerpt
from labeling.looking import SAMPLE_CHARACTERS, SAMPLES, Column
from labeling.readers.encodings import EncodingError, sniff
from labeling.readers.files import TABLE_NAMES
from labeling.readers.lines import TextSource
from labeling.readers.tables import first_records
from labeling.readers.workbook import first_cells
from labeling.redaction import Redactor

HEAD_BYTES = 256 << 10
LARGEST_WORKBOOK = 8 << 20
SHOWN = 4
PARTS_SHOWN = 6
PART_CHARACTERS = 400


@dataclass(frozen=True)
class Said:
    role: str
    is_private: bool
    text: str
    attachments: int


@dataclass
class Look:
    form: str
    encoding: str
    columns: list[Column] = field(default_factory=list)
    conversations: list[tuple[int, list[Said]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def look_at_history(
    stream: BinaryIO, filename: str, source: str, mapping: Mapping[str, str]
) -> Look:
    """The head of a file, as it would be read. Raises ApplicationError `mapping_unknown`."""
    head = _head(stream)
    reading = HistoryReading(head, filename, source, mapping)
    look = Look(reading.form, reading.encoding)
    for found in reading:
        if isinstance(found, Fault):
            look.faults.append(found)
        elif len(look.conversations) < SHOWN:
            look.conversations.append((found.line, _said(found)))
    # Where a text file was cut, its last row is no fault of its maker.
    if reading.form in ("csv", "tsv", "xlsx") and source not in PAIRS:
        look.columns = _columns(stream, filename, reading.form, mapping)
    return look


def _head(stream: BinaryIO) -> BinaryIO:
    """The file where it is small or cannot be cut; else its first lines."""
    start = stream.read(4)
    stream.seek(0)
    size = LARGEST_WORKBOOK if start == b"PK\x03\x04" else HEAD_BYTES
    data = stream.read(size)
    is_whole = not stream.read(1)
    stream.seek(0)
    if not is_whole and start != b"PK\x03\x04":
        data = data[: data.rfind(b"\n") + 1] or data
    return io.BytesIO(data)


def _said(conversation: Conversation) -> list[Said]:
    parts = list(islice(conversation.parts, PARTS_SHOWN))
    marked = [without_marks(part.text) for part in parts]
    names = sorted(conversation.names | {part.author for part in parts} - {""})
    texts = Redactor(rules_of_tenant(), names).redact([text for text, _marks in marked])
    return [
        Said(part.role, part.is_private, text[:PART_CHARACTERS], part.attachments + marks)
        for part, text, (_text, marks) in zip(parts, texts, marked, strict=True)
    ]


def _columns(
    stream: BinaryIO, filename: str, form: str, mapping: Mapping[str, str]
) -> list[Column]:
    header = Header(mapping)
    stream.seek(0)
    if form == "xlsx":
        table = first_cells(stream, size=stream.seek(0, 2), count=SAMPLES + 1)
    else:
        try:
            source = TextSource(stream, sniff(stream))
        except EncodingError:
            return []
        declared = TABLE_NAMES.get(PurePath(filename.lower()).suffix)
        table = first_records(
            source.lines(), declared=declared, recognise=header.recognise, count=SAMPLES
        )
    if not table:
        return []
    names = [cell.strip().strip("\ufeff") for cell in table[0]]
    roles = {at: role for role, at in header.guessed(names).items()}
    return [
        Column(
            excerpt(name, 100),
            [excerpt(row[at], SAMPLE_CHARACTERS) for row in table[1:] if at < len(row) and row[at]],
            roles.get(at, ""),
        )
        for at, name in enumerate(names)
        if name
    ]
