"""One file, whatever it is: its form found from what it holds, its rows handed on one by one."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, BinaryIO

from labeling.faults import Fault
from labeling.readers.columns import Columns, Recognise, recognised
from labeling.readers.encodings import HEAD, EncodingError, sniff
from labeling.readers.jsonl import BLANK, read_json_array, read_json_lines
from labeling.readers.lines import TextSource
from labeling.readers.raw import RawRow
from labeling.readers.sections import has_sections, read_json_sections
from labeling.readers.tables import DELIMITERS, read_table
from labeling.readers.workbook import read_workbook
from labeling.rows import MAX_ROW_BYTES

MAX_FILE_BYTES = 4 << 30
MAX_ROWS = 2_000_000
# So far into a file a wrapping object must have come to its rows.
LOOKED_AHEAD = 1 << 20

JSON_NAMES = (".json", ".jsonl", ".ndjson")
TABLE_NAMES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}

# What else people upload by mistake, recognised by its first bytes.
FOREIGN = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel 97 (.xls)"),
    (b"\x1f\x8b", "gzip"),
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"PAR1", "Parquet"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
)


class FileReading:
    """Iterates over the RawRows and Faults of one file.

    `form` is "jsonl", "json", "csv", "tsv" or "xlsx" ("" where the file is refused) and `encoding`
    the one found; both are known before the first row. `ignored_columns` are the columns of a table
    that nobody asked for, known with its first row. `share` is how much has been read, 0 to 1.

    Readers of other things than examples say so: `recognise` tells what a table's header means,
    `sections` under which keys of a wrapping object the rows stand, `limit` how large a row may be.
    """

    def __init__(
        self,
        stream: BinaryIO,
        filename: str,
        mapping: Mapping[str, str] | None,
        *,
        recognise: Recognise | None = None,
        sections: frozenset[str] = frozenset(),
        limit: int = MAX_ROW_BYTES,
    ) -> None:
        self.form = ""
        self.encoding = ""
        self.ignored_columns: tuple[str, ...] = ()
        self.size = _length(stream)
        self._stream = stream
        self._suffix = PurePath(filename.lower()).suffix
        self.mapping = mapping
        self._recognise = recognise or partial(recognised, mapping=mapping)
        self._sections = sections
        self._limit = limit
        self._source: TextSource | None = None
        self._found = self._open()

    @property
    def share(self) -> float:
        if self._source is None or not self.size:
            return 0.0
        return min(1.0, self._source.consumed / self.size)

    def __iter__(self) -> Iterator[RawRow | Fault]:
        for count, found in enumerate(self._found):
            if count >= MAX_ROWS:
                yield Fault("rows_too_many", found.line, figures={"limit": MAX_ROWS})
                return
            yield found

    def _learn(self, columns: Columns) -> None:
        self.ignored_columns = columns.ignored

    def _open(self) -> Iterator[RawRow | Fault]:
        if self.size > MAX_FILE_BYTES:
            return iter([Fault("file_too_large", figures={"limit": MAX_FILE_BYTES})])
        head = self._stream.read(HEAD)
        self._stream.seek(0)
        if head.startswith(b"PK\x03\x04"):
            self.form = "xlsx"
            return read_workbook(
                self._stream, size=self.size, recognise=self._recognise, on_columns=self._learn
            )
        for start, name in FOREIGN:
            if head.startswith(start):
                return iter([Fault("form_foreign", figures={"found": name})])
        try:
            encoding = sniff(self._stream)
        except EncodingError as error:
            return iter([Fault("encoding_unknown", figures={"found": str(error)})])
        self.encoding = encoding.label
        self._source = TextSource(self._stream, encoding)
        return self._text(self._source)

    def _text(self, source: TextSource) -> Iterator[RawRow | Fault]:
        start = _first_sign(source)
        source.consumed = 0
        if not start:
            return iter([Fault("file_empty")])
        if self._suffix not in TABLE_NAMES:
            if start == "[":
                self.form = "json"
                return read_json_array(source.pieces(), limit=self._limit)
            if start == "{" and self._has_sections(source):
                self.form = "json"
                return read_json_sections(source.pieces(), self._sections, limit=self._limit)
            if start == "{" or self._suffix in JSON_NAMES:
                self.form = "jsonl"
                return read_json_lines(source.lines(self._limit))
        declared = TABLE_NAMES.get(self._suffix)
        if declared is None and not self._looks_like_table(source):
            return iter([Fault("form_unknown")])
        self.form = "tsv" if declared == "\t" else "csv"
        return read_table(
            source.lines(), declared=declared, recognise=self._recognise, on_columns=self._learn
        )

    def _has_sections(self, source: TextSource) -> bool:
        if not self._sections:
            return False
        found = has_sections(source.pieces(), self._sections, LOOKED_AHEAD)
        source.consumed = 0
        return found

    def _looks_like_table(self, source: TextSource) -> bool:
        """Whether the first line is a header that we know, under any delimiter."""
        first = next(source.lines(), None)
        text = (first.text or "") if first is not None else ""
        source.consumed = 0
        for delimiter in DELIMITERS:
            cells = [cell.strip().strip('"') for cell in text.split(delimiter)]
            if len(cells) > 1 and not isinstance(self._recognise(cells), Fault):
                return True
        return False


def open_reading(
    stream: BinaryIO, filename: str, mapping: Mapping[str, str] | None = None, **ways: Any
) -> FileReading:
    """Start reading a seekable binary stream. The name only helps where the content is silent."""
    return FileReading(stream, filename, mapping, **ways)


def _first_sign(source: TextSource) -> str:
    """The first character that is not blank; "" where there is none in sight of a megabyte."""
    seen = 0
    for piece in source.pieces():
        text = piece.text.lstrip(BLANK)
        if text:
            return text[0]
        seen += len(piece.text)
        if seen > 1 << 20:
            return ""
    return ""


def _length(stream: BinaryIO) -> int:
    stream.seek(0, 2)
    length = stream.tell()
    stream.seek(0)
    return length
