"""XLSX workbooks: an archive that is measured before it is trusted, then read row by row.

openpyxl reads the archive lazily but believes it. So every part is first unpacked into nothing, to
count what it really holds, and searched for document type declarations: without those, XML has no
entities, neither external ones nor ones that multiply. Formulas are never calculated; the value
that the spreadsheet stored is taken.
"""

import datetime as dt
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from labeling.faults import Fault
from labeling.readers.columns import Columns, Recognise
from labeling.readers.raw import RawRow
from labeling.readers.tables import MAX_COLUMNS, row_of

MAX_ARCHIVE_BYTES = 64 << 20
MAX_UNPACKED_BYTES = 96 << 20
MAX_ENTRIES = 1_000
MAX_RATIO = 100
RATIO_GRACE = 1 << 20  # small parts compress well without meaning harm
MAX_SHEET_ROWS = 1_048_576

_DECLARATIONS = tuple(
    word.encode(encoding)
    for word in ("<!DOCTYPE", "<!ENTITY")
    for encoding in ("ascii", "utf-16-le", "utf-16-be")
)
_OVERLAP = max(map(len, _DECLARATIONS)) - 1


class WorkbookError(Exception):
    """The archive is refused. `args[0]` is the code of the fault, `figures` its figures."""

    def __init__(self, code: str, **figures: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.figures = figures


def read_workbook(
    stream: BinaryIO,
    *,
    size: int,
    recognise: Recognise,
    on_columns: Callable[[Columns], None],
) -> Iterator[RawRow | Fault]:
    """Rows of the first worksheet that has any. `size` is the length of the file in bytes."""
    try:
        _measure(stream, size)
        yield from _rows(stream, recognise, on_columns)
    except WorkbookError as error:
        yield Fault(error.code, figures=error.figures)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        # A library that trusts its input fails in any way it likes; here it is the input's fault.
        yield Fault("workbook_damaged", figures={"reason": type(error).__name__})


def first_cells(stream: BinaryIO, *, size: int, count: int, every: bool = False) -> list[list[str]]:
    """The first rows of the first worksheet that has any; [] where the file is refused.

    Rows without a cell are left out, but for `every`: then their numbers are those of the sheet.
    """
    try:
        _measure(stream, size)
        import openpyxl

        stream.seek(0)
        workbook = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            for sheet in workbook.worksheets:
                sheet.reset_dimensions()
                rows = islice(sheet.iter_rows(values_only=True), max(200, count))
                wanted = (row for row in rows if every or any(v is not None for v in row))
                found = [
                    [_cell_text(v) for v in row[:MAX_COLUMNS]] for row in islice(wanted, count)
                ]
                if any(cell for row in found for cell in row):
                    return found
        finally:
            workbook.close()
    except (MemoryError, RecursionError):
        raise
    except Exception:
        # The reading says what is wrong with it.
        return []
    return []


def _measure(stream: BinaryIO, size: int) -> None:
    """Refuse archives that are too large, too dense, encrypted, or declare document types."""
    if size > MAX_ARCHIVE_BYTES:
        raise WorkbookError("file_too_large", limit=MAX_ARCHIVE_BYTES)
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise WorkbookError("archive_entries", found=len(entries), limit=MAX_ENTRIES)
            if not any(entry.filename == "[Content_Types].xml" for entry in entries):
                raise WorkbookError("archive_not_workbook")
            total = 0
            for entry in entries:
                if entry.flag_bits & 0x1:
                    raise WorkbookError("archive_encrypted")
                total += _unpacked(archive, entry, MAX_UNPACKED_BYTES - total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError):
        raise WorkbookError("workbook_damaged", reason="zip") from None


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: int) -> int:
    """How many bytes a part really holds, whatever its header says."""
    held = 0
    tail = b""
    with archive.open(entry) as part:
        while chunk := part.read(1 << 16):
            held += len(chunk)
            if held > allowance:
                raise WorkbookError("archive_unpacked", limit=MAX_UNPACKED_BYTES)
            if held > RATIO_GRACE and held > MAX_RATIO * max(entry.compress_size, 1):
                raise WorkbookError("archive_ratio", limit=MAX_RATIO)
            window = tail + chunk
            if any(word in window for word in _DECLARATIONS):
                raise WorkbookError("archive_doctype")
            tail = window[-_OVERLAP:]
    return held


def _rows(
    stream: BinaryIO, recognise: Recognise, on_columns: Callable[[Columns], None]
) -> Iterator[RawRow | Fault]:
    import openpyxl  # 25 MB, which most processes never need

    stream.seek(0)
    workbook = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in workbook.worksheets:
            # The sheet's own word on its size may be wrong or a trap; count the cells instead.
            sheet.reset_dimensions()
            found = False
            for result in _sheet_rows(sheet, recognise, on_columns):
                found = True
                yield result
            if found:
                return
        yield Fault("file_empty")
    finally:
        workbook.close()


def _sheet_rows(
    sheet: Any, recognise: Recognise, on_columns: Callable[[Columns], None]
) -> Iterator[RawRow | Fault]:
    columns = None
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MAX_SHEET_ROWS:
            yield Fault("rows_too_many", number, figures={"limit": MAX_SHEET_ROWS})
            return
        if not any(value is not None for value in values):
            continue
        cells = [_cell_text(value) for value in values]
        if columns is None:
            if len(cells) > MAX_COLUMNS:
                figures = {"found": len(cells), "expected": MAX_COLUMNS}
                yield Fault("cells_too_many", number, figures=figures)
                return
            known = recognise(cells)
            if isinstance(known, Fault):
                yield Fault(known.code, number, known.pointer, known.figures)
                return
            columns = known
            on_columns(columns)
        elif any(cell.strip() for cell in cells):
            yield _checked(row_of(columns, number, cells))


def _checked(found: RawRow | Fault) -> RawRow | Fault:
    """XML can carry what no database stores: refuse it as a JSON file's text would be."""
    if isinstance(found, RawRow):
        for role, value in found.value.items():
            if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
                return found.fault("json_surrogate", (role,), {})
    return found


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value)
