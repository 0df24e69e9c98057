"""Hand the rows out again: OpenAI's JSON Lines, our own, and CSV that no spreadsheet will run."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from labeling.formulas import guarded
from labeling.models import Dataset, DatasetVersion, Example, Split, VersionRow
from labeling.readers.tables import joined_labels
from labeling.rows import CHAT, COMPLETION, TEXT, canonical_json, payload_kind

Payload = Mapping[str, Any]
Source = Dataset | DatasetVersion

COLUMNS = (
    "id", "group", "system", "question", "answer", "prompt", "completion", "text", "labels",
    "messages", "passages",
)  # fmt: skip

# Excel takes a CSV file for the system's own code page unless it begins with this.
BYTE_ORDER_MARK = "\ufeff"


def export_openai(source: Source, out: IO[bytes], *, split: str | None = None) -> int:
    """Write chat rows as OpenAI's fine-tuning reads them; returns how many.

    Other rows become conversations. A person's answers become the assistant's with weight 0.
    """
    return _write(out, openai_lines(payloads(source, split)))


def export_rows(source: Source, out: IO[bytes], *, split: str | None = None) -> int:
    """Write canonical rows, ids and groups with them: importing them again changes nothing."""
    return _write(out, row_lines(payloads(source, split)))


def export_csv(source: Source, out: IO[bytes], *, split: str | None = None) -> int:
    """Write a table that our importer reads back to equal rows, and that no spreadsheet runs.

    Returns how many rows, the header not counted.
    """
    return _write(out, csv_lines(payloads(source, split))) - 1


def openai_lines(rows: Iterable[Payload]) -> Iterator[bytes]:
    for row in rows:
        line = json.dumps({"messages": _openai_messages(row)}, ensure_ascii=False)
        yield line.encode() + b"\n"


def row_lines(rows: Iterable[Payload]) -> Iterator[bytes]:
    for row in rows:
        kept = {key: value for key, value in row.items() if key != "line" and value is not None}
        yield canonical_json(kept).encode() + b"\n"


def csv_lines(rows: Iterable[Payload]) -> Iterator[bytes]:
    """A table: its header first, then a record for each row."""
    records = ([cells.get(column, "") for column in COLUMNS] for cells in map(_cells, rows))
    return table_lines(COLUMNS, records)


def table_lines(columns: Sequence[str], records: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """CSV as spreadsheets open it: marked as UTF-8, and no cell is a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    yield (BYTE_ORDER_MARK + buffer.getvalue()).encode()
    for record in records:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([guarded(cell) for cell in record])
        yield buffer.getvalue().encode()


FORMS: Mapping[str, tuple[Callable[..., Iterator[bytes]], str, str]] = {
    "openai": (openai_lines, "application/jsonl", "jsonl"),
    "rows": (row_lines, "application/jsonl", "jsonl"),
    "csv": (csv_lines, "text/csv; charset=utf-8", "csv"),
}


def _write(out: IO[bytes], lines: Iterator[bytes]) -> int:
    count = 0
    for line in lines:
        out.write(line)
        count += 1
    return count


def payloads(source: Source, split: str | None = None) -> Iterator[Payload]:
    """The rows of a version, or the accepted examples of a dataset as they are now."""
    if isinstance(source, DatasetVersion):
        for name in [split] if split else Split.values:
            rows = VersionRow.objects.filter(version=source).of_split(name)
            for row in rows.in_order():
                yield row.payload
        return
    for page in Example.objects.filter(dataset=source).accepted().in_pages():
        for example in page:
            yield example.payload()


def _openai_messages(row: Payload) -> list[dict[str, Any]]:
    kind = payload_kind(row)
    if kind == COMPLETION:
        return _pair(row["prompt"], row["completion"])
    if kind == TEXT:
        return _pair(row["text"], ", ".join(row.get("labels", [])))
    return [
        message | {"role": "assistant", "weight": 0} if message["role"] == "agent" else message
        for message in row["messages"]
    ]


def _pair(asked: str, answered: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _cells(row: Payload) -> dict[str, str]:
    """The columns of one row: plain questions and answers where the row is no more than that."""
    cells = {"id": row["id"] or "", "group": row.get("group") or ""}
    if row.get("labels"):
        cells["labels"] = joined_labels(row["labels"])
    if row.get("passages"):
        cells["passages"] = json.dumps(row["passages"], ensure_ascii=False)
    if payload_kind(row) != CHAT:
        return cells | {key: row[key] for key in ("prompt", "completion", "text") if key in row}
    messages = row["messages"]
    roles = tuple(message["role"] for message in messages)
    plain = roles in {("user", "assistant"), ("system", "user", "assistant")}
    if not plain or any("weight" in message for message in messages):
        return cells | {"messages": json.dumps(messages, ensure_ascii=False)}
    names = {"system": "system", "user": "question", "assistant": "answer"}
    return cells | {names[message["role"]]: message["content"] for message in messages}
