"""XLSX: what people fill in is read; what an archive pretends is measured first."""

import datetime as dt
import io
import zipfile
from collections.abc import Callable

import openpyxl
import pytest

from labeling.readers import workbook
from tests.labeling.test_readers import Read

Rewrite = Callable[[str, bytes], bytes]


def saved(*rows: tuple[object, ...], sheets: int = 1) -> bytes:
    """A workbook whose last sheet has these rows; the ones before it are empty."""
    book = openpyxl.Workbook()
    for number in range(sheets - 1):
        book.create_sheet(f"表{number}")
    sheet = book.worksheets[-1]
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rewritten(data: bytes, rewrite: Rewrite) -> bytes:
    """The same archive, each part passed through `rewrite(name, content)`."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, rewrite(name, old.read(name)))
    return out.getvalue()


def replacing(part: str, content: bytes) -> Rewrite:
    return lambda name, old: content if name == part else old


ROWS = (("问题", "答案"), ("退货要几天？", "七天之内。"), ("几点\n关门？", "六点。"))


def codes(read: Read) -> list[str]:
    return [fault.code for fault in read.faults]


def test_rows_are_read_with_their_row_numbers() -> None:
    read = Read(saved(*ROWS), "常见问题.xlsx")
    assert (read.reading.form, read.lines, read.faults) == ("xlsx", [2, 3], [])
    assert read.contents[1]["messages"][0]["content"] == "几点\n关门？"


def test_the_name_does_not_matter() -> None:
    assert len(Read(saved(*ROWS), "常见问题.csv").rows) == 2


def test_empty_sheets_and_rows_in_front_are_passed_over() -> None:
    read = Read(saved((None,), (None,), *ROWS, sheets=3), "x.xlsx")
    assert read.lines[-2:] == [4, 5]


def test_numbers_dates_and_truths_become_text() -> None:
    when = dt.datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - spreadsheets know no zones
    read = Read(saved(("q", "a"), ("价格", 12.0), ("开门", when), ("有货", True)), "x.xlsx")
    answers = [content["messages"][1]["content"] for content in read.contents]
    assert answers == ["12", "2026-11-23T09:30:00", "TRUE"]


def test_a_formula_is_never_calculated() -> None:
    read = Read(saved(("q", "a"), ("一", "=1+1")), "x.xlsx")
    assert read.places == [(2, "/a", "content_empty")]


def test_empty_cells_are_named_by_their_column() -> None:
    assert Read(saved(("问题", "答案"), ("一", None)), "x.xlsx").places == [
        (2, "/答案", "content_empty")
    ]


def test_an_empty_workbook_is_said() -> None:
    assert codes(Read(saved(), "x.xlsx")) == ["file_empty"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_entities_are_refused_before_anything_parses_them(codec: str) -> None:
    laughs = (
        f'<?xml version="1.0" encoding="{codec}"?><!DOCTYPE r [<!ENTITY a0 "哈">'
        + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
        + "]><r>&a9;</r>"
    )
    outside = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'
    for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"):
        for text in (laughs, outside):
            data = rewritten(saved(*ROWS), replacing(part, text.encode(codec)))
            assert codes(Read(data, "x.xlsx")) == ["archive_doctype"]


def test_a_part_packed_too_densely_is_refused() -> None:
    data = rewritten(
        saved(*ROWS), lambda name, old: old + b" " * (8 << 20) if "sheet1" in name else old
    )
    assert len(data) < 50_000
    assert codes(Read(data, "x.xlsx")) == ["archive_ratio"]


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_UNPACKED_BYTES", 10_000)
    assert codes(Read(saved(*ROWS), "x.xlsx")) == ["archive_unpacked"]


def test_too_many_entries_are_refused() -> None:
    out = io.BytesIO(saved(*ROWS))
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(1_001):
            archive.writestr(f"f{number}", b"")
    assert codes(Read(out.getvalue(), "x.xlsx")) == ["archive_entries"]


def test_other_archives_are_not_workbooks() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil.txt", b"x")
    assert codes(Read(out.getvalue(), "x.xlsx")) == ["archive_not_workbook"]


def test_a_torn_workbook_is_said() -> None:
    data = saved(*ROWS)
    for length in (4, 30, len(data) // 2, len(data) - 30):
        assert codes(Read(data[:length], "x.xlsx")) == ["workbook_damaged"]


def test_lies_about_rows_and_columns_end_soon() -> None:
    def lying(old: bytes, new: bytes) -> bytes:
        return rewritten(
            saved(*ROWS), lambda name, part: part.replace(old, new) if "sheet1" in name else part
        )

    wide = Read(lying(b"A1:B3", b"A1:XFD1048576"), "x.xlsx")
    assert wide.lines == [2, 3]
    far = Read(lying(b'<row r="3"', b'<row r="99999999999"'), "x.xlsx")
    assert (far.lines, codes(far)) == ([2], ["rows_too_many"])


def test_references_to_nothing_are_damage() -> None:
    far = b'<row r="2"><c r="A2" t="s"><v>777</v></c>'
    for old, new in ((b'r="A2"', b'r="ZZZZZZZ2"'), (b'<row r="2">', far)):
        data = rewritten(
            saved(*ROWS),
            lambda name, part, old=old, new=new: part.replace(old, new),  # type: ignore[misc]
        )
        assert codes(Read(data, "x.xlsx")) == ["workbook_damaged"]


def test_strings_that_excel_keeps_in_a_part_of_their_own_are_found() -> None:
    """Excel itself writes each text once, in xl/sharedStrings.xml."""
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    strings = f"<sst {namespace}><si><t>共享的问题</t></si><si><r><t>共享</t></r><r><t>答案</t></r></si></sst>"
    row = b'<row r="4"><c r="A4" t="s"><v>0</v></c><c r="B4" t="s"><v>1</v></c></row></sheetData>'

    def shared(name: str, part: bytes) -> bytes:
        if name == "[Content_Types].xml":
            return part.replace(b"</Types>", override)
        return part.replace(b"</sheetData>", row) if "sheet1" in name else part

    out = io.BytesIO(rewritten(saved(*ROWS), shared))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", strings)
    read = Read(out.getvalue(), "x.xlsx")
    assert read.lines == [2, 3, 4]
    assert [m["content"] for m in read.contents[2]["messages"]] == ["共享的问题", "共享答案"]
