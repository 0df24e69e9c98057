"""A first look at a file: what it is, which columns it has and what they seem to mean, its first rows;
and later the lines of it that a fault speaks of, as they were uploaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import PurePath
from typing import Any, BinaryIO

from labeling.faults import Fault, excerpt
from labeling.importing import understood
from labeling.readers import open_reading
from labeling.readers.columns import NOTHING_ELSE, recognised, roles_of
from labeling.readers.encodings import EncodingError, sniff
from labeling.readers.files import TABLE_NAMES
from labeling.readers.lines import TextSource
from labeling.readers.shapes import canonical
from labeling.readers.tables import first_records
from labeling.readers.workbook import first_cells
from labeling.rows import canonical_json

ROWS_LOOKED_AT = 200
ROWS_SHOWN = 8
SAMPLES = 3
SAMPLE_CHARACTERS = 80
LINE_CHARACTERS = 2_000
AROUND = 4


@dataclass
class Column:
    """A column or key by its name, some of what stands in it, and the role it plays ("" for none)."""

    name: str
    samples: list[str]
    role: str = ""


@dataclass
class Look:
    form: str
    encoding: str
    columns: list[Column]
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class FileLine:
    """One line of the file. `text` is None where it cannot be read as text."""

    number: int
    text: str | None
    is_cut: bool = False


def look_at(stream: BinaryIO, filename: str, mapping: Mapping[str, str] | None) -> Look:
    """The head of the file under this mapping of columns, or under what their names say.

    Raises ApplicationError `mapping_unknown` for a mapping that means nothing.
    """
    chosen = understood(mapping)
    reading = open_reading(stream, filename, chosen)
    look = Look(reading.form, reading.encoding, [])
    for found in islice(reading, ROWS_LOOKED_AT):
        if isinstance(found, Fault):
            look.faults.append(found)
            continue
        read = canonical(found, chosen)
        look.faults += read.faults
        if read.row is not None and len(look.rows) < ROWS_SHOWN:
            look.rows.append(read.row.as_dict() | {"line": found.line})
    look.columns = _columns(stream, filename, reading.form, reading.size, chosen)
    return look


def _columns(
    stream: BinaryIO, filename: str, form: str, size: int, mapping: Mapping[str, str] | None
) -> list[Column]:
    stream.seek(0)
    if form == "xlsx":
        table = first_cells(stream, size=size, count=SAMPLES + 1)
    elif form in ("json", "jsonl"):
        return _keys(stream, filename, mapping)
    else:
        table = _table(stream, filename, mapping)
    if not table:
        return []
    names = tuple(cell.strip().strip("\ufeff") for cell in table[0])
    roles = _roles(names, mapping)
    return [
        Column(
            excerpt(name, 100),
            [excerpt(row[at], SAMPLE_CHARACTERS) for row in table[1:] if at < len(row) and row[at]],
            roles.get(at, ""),
        )
        for at, name in enumerate(names)
        if name
    ]


def _table(stream: BinaryIO, filename: str, mapping: Mapping[str, str] | None) -> list[list[str]]:
    try:
        source = TextSource(stream, sniff(stream))
    except EncodingError:
        return []
    declared = TABLE_NAMES.get(PurePath(filename.lower()).suffix)
    recognise = partial(recognised, mapping=mapping)
    return first_records(source.lines(), declared=declared, recognise=recognise, count=SAMPLES)


def _roles(names: tuple[str, ...], mapping: Mapping[str, str] | None) -> dict[int, str]:
    """The role of each column by its place."""
    columns = recognised(names, mapping)
    if not isinstance(columns, Fault):
        return {at: role for role, at in columns.roles.items()}
    # Nothing fits yet: show what was chosen or what the names hint at.
    if mapping:
        return {
            names.index(column): role
            for role, column in mapping.items()
            if role != NOTHING_ELSE and column in names
        }
    return {at: role for role, at in roles_of(names).items()}


def _keys(stream: BinaryIO, filename: str, mapping: Mapping[str, str] | None) -> list[Column]:
    """The keys of the first objects, in the order in which they appear."""
    samples: dict[str, list[str]] = {}
    for found in islice(open_reading(stream, filename, None), 20):
        if isinstance(found, Fault) or not isinstance(found.value, dict):
            continue
        for key, value in list(found.value.items())[:64]:
            kept = samples.setdefault(key, [])
            if len(kept) < SAMPLES and value not in (None, ""):
                text = value if isinstance(value, str) else canonical_json(value)
                kept.append(excerpt(text, SAMPLE_CHARACTERS))
    roles = _roles(tuple(samples), mapping)
    return [
        Column(excerpt(name, 100), kept, roles.get(at, ""))
        for at, (name, kept) in enumerate(samples.items())
    ]


def lines_around(stream: BinaryIO, form: str, line: int) -> list[FileLine]:
    """The lines of the file near this one, numbered as faults number them."""
    first, last = max(1, line - AROUND), line + AROUND
    if form == "xlsx":
        cells = first_cells(stream, size=stream.seek(0, 2), count=last, every=True)
        numbered = [(at, "\t".join(row)) for at, row in enumerate(cells, start=1)]
        return [_shown(at, text) for at, text in numbered[first - 1 : last]]
    try:
        source = TextSource(stream, sniff(stream))
    except EncodingError:
        return []
    wanted = islice(source.lines(), first - 1, last)
    return [_shown(one.number, one.text) for one in wanted]


def _shown(number: int, text: str | None) -> FileLine:
    if text is None:
        return FileLine(number, None)
    plain = text.rstrip("\r\n")
    return FileLine(number, plain[:LINE_CHARACTERS], len(plain) > LINE_CHARACTERS)
