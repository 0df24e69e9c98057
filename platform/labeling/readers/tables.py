"""CSV and TSV files: records that may span lines, columns known by their names in two languages."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from common import strict_json
from labeling.faults import Fault, excerpt
from labeling.formulas import unguarded
from labeling.readers.columns import Columns, Recognise
from labeling.readers.lines import Line
from labeling.readers.raw import RawRow
from labeling.rows import MAX_ROW_BYTES

DELIMITERS = (",", "\t", ";", "|")
MAX_COLUMNS = 256
HEAD_LINES = 20
LABEL_SEPARATORS = ("|", ";", "；", "、")

csv.field_size_limit(MAX_ROW_BYTES)


def read_table(
    lines: Iterable[Line],
    *,
    declared: str | None,
    recognise: Recognise,
    on_columns: Callable[[Columns], None],
) -> Iterator[RawRow | Fault]:
    """Rows of a delimited file. `declared` is the delimiter that the file's name promises.

    `recognise` says what a header means. `on_columns` is told what the header means, before the first row.
    """
    lines = _Replay(lines)
    delimiter, header = _header(lines, declared, recognise)
    if header is None:
        return
    columns = recognise(header.cells)
    if isinstance(columns, Fault):
        yield Fault(columns.code, header.line, columns.pointer, columns.figures)
        return
    on_columns(columns)
    for record in _records(lines, delimiter):
        if isinstance(record, Fault):
            yield record
        elif any(cell.strip() for cell in record.cells):
            yield row_of(columns, record.line, record.cells)


def row_of(columns: Columns, line: int, cells: Iterable[str]) -> RawRow | Fault:
    """A record as an object under the names that labeling.readers.shapes knows."""
    cells = list(cells)
    if len(cells) > len(columns.names) and any(
        cell.strip() for cell in cells[len(columns.names) :]
    ):
        figures = {"found": len(cells), "expected": len(columns.names)}
        return Fault("cells_too_many", line, "", figures)
    value: dict[str, object] = {}
    for role, index in columns.roles.items():
        cell = cells[index] if index < len(cells) else ""
        if role in ("messages", "passages"):
            if cell.strip():
                value[role] = _json_cell(cell)
        elif role == "labels":
            value[role] = split_labels(cell)
        elif cell.strip() or role in columns.required:
            value[role] = cell
    names = {role: columns.names[index] for role, index in columns.roles.items()}
    return RawRow(line, value, names=names)


def _json_cell(cell: str) -> object:
    try:
        return strict_json.loads(cell)
    except strict_json.StrictJsonError:
        return cell  # not a list: the shape says so


def split_labels(cell: str) -> list[str]:
    """The labels of a cell: a JSON array, or names with a separator between them."""
    text = cell.strip()
    if text.startswith("["):
        found = _json_cell(text)
        if isinstance(found, list) and all(isinstance(label, str) for label in found):
            return found
    for separator in LABEL_SEPARATORS:
        if separator in text:
            return [label.strip() for label in text.split(separator) if label.strip()]
    return [text] if text else []


def joined_labels(labels: Iterable[str]) -> str:
    """The cell that `split_labels` reads as exactly these labels."""
    labels = list(labels)
    cell = "|".join(labels)
    return cell if split_labels(cell) == labels else json.dumps(labels, ensure_ascii=False)


class _Record:
    """One record with the line it begins on."""

    __slots__ = ("cells", "line")

    def __init__(self, line: int, cells: list[str]) -> None:
        self.line = line
        self.cells = cells


class _Replay:
    """An iterator over lines that takes lines back, in front."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._again: list[Line] = []  # the next one last

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._again.pop() if self._again else next(self._lines)

    def take_back(self, lines: list[Line]) -> None:
        self._again.extend(reversed(lines))


def _header(
    lines: _Replay, declared: str | None, recognise: Recognise
) -> tuple[str, _Record | None]:
    """The delimiter under which most columns are recognised, and the first record read with it."""
    head = list(islice(lines, HEAD_LINES))
    candidates = DELIMITERS if declared is None else (declared, *DELIMITERS)
    best, chosen = (-1, 0), declared or ","
    for delimiter in candidates:
        record = _first_record(_Replay(head), delimiter)
        if record is None:
            continue
        columns = recognise(record.cells)
        # Of delimiters under which nothing is recognised, the one that cuts most is shown.
        rank = (0, len(record.cells)) if isinstance(columns, Fault) else (len(columns.roles), 0)
        if rank > best:
            best, chosen = rank, delimiter
    lines.take_back(head)
    return chosen, _first_record(lines, chosen)


def first_records(
    lines: Iterable[Line], *, declared: str | None, recognise: Recognise, count: int
) -> list[list[str]]:
    """The header and some records below it as they stand in the file, whatever they mean."""
    replay = _Replay(lines)
    delimiter, header = _header(replay, declared, recognise)
    if header is None:
        return []
    records = (record for record in _records(replay, delimiter) if isinstance(record, _Record))
    return [header.cells, *(record.cells for record in islice(records, count))]


def _first_record(lines: _Replay, delimiter: str) -> _Record | None:
    for record in _records(lines, delimiter):
        if isinstance(record, _Record) and any(cell.strip() for cell in record.cells):
            return record
    return None


def _records(lines: _Replay, delimiter: str) -> Iterator[_Record | Fault]:
    """Records with their first line's number.

    A quote that is never closed would swallow the rest of the file. Such a record is given up
    at the next quote that does not fit, after MAX_ROW_BYTES or at the end of the file, and reading
    goes on with its second line.
    """
    for line in lines:
        if line.text is None:
            yield Fault(line.code, line.number, figures={"limit": MAX_ROW_BYTES})
            continue
        taken = [line]
        state = _state_after(line.text, delimiter, OUTSIDE)
        size = len(line.text)
        while state == INSIDE and size <= MAX_ROW_BYTES:
            following = next(lines, None)
            if following is None:
                break
            taken.append(following)
            if following.text is None:
                break
            size += len(following.text)
            state = _state_after(following.text, delimiter, INSIDE)
        if state == OUTSIDE:
            yield _parsed(taken, delimiter)
        elif len(taken) == 1 and state == BROKEN:
            yield Fault("record_malformed", line.number, figures={"text": excerpt(line.text)})
        else:
            lines.take_back(taken[1:])
            yield Fault("quote_not_closed", line.number)


def _parsed(taken: list[Line], delimiter: str) -> _Record | Fault:
    number = taken[0].number
    texts = [line.text or "" for line in taken]
    if any("\x00" in text for text in texts):
        return Fault("json_nul", number)
    try:
        cells = next(csv.reader(texts, delimiter=delimiter), [])
    except csv.Error:
        return Fault("record_malformed", number, figures={"text": excerpt(texts[0])})
    if len(cells) > MAX_COLUMNS:
        return Fault("cells_too_many", number, "", {"found": len(cells), "expected": MAX_COLUMNS})
    return _Record(number, [unguarded(cell) for cell in cells])


OUTSIDE, INSIDE, BROKEN = "outside", "inside", "broken"


def _state_after(text: str, delimiter: str, state: str) -> str:
    """Whether the end of this line stands inside a quoted cell, by the strict rules of RFC 4180.

    BROKEN: a closing quote with more text behind it. That is how a stray quote is found early,
    at the next quoted cell, and not after a megabyte.
    """
    if '"' not in text:
        return state
    bare = text.rstrip("\r\n")
    position = 0
    while True:
        if state == INSIDE:
            position = text.find('"', position)
            if position < 0:
                return INSIDE
            if text.startswith('""', position):
                position += 2
                continue
            state = OUTSIDE
            position += 1
            if position < len(bare) and bare[position] != delimiter:
                return BROKEN
        elif text.startswith('"', position):
            state = INSIDE
            position += 1
            continue
        # In an unquoted cell, or behind a closing quote: on to the next cell.
        position = text.find(delimiter, position)
        if position < 0:
            return OUTSIDE
        position += 1
