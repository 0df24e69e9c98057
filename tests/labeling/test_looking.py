"""The first look at a file: its columns whatever they are called, a mapping that is whole, its lines."""

import io

import openpyxl
import pytest

from labeling.looking import lines_around, look_at
from labeling.readers.columns import NOTHING_ELSE

TABLE = "客户说,我们说,Anmerkung,标签\n在吗,在的,x,闲聊\n几点开门,九点,,时间\n".encode("gb18030")


def test_columns_are_shown_even_where_none_is_known() -> None:
    look = look_at(io.BytesIO(TABLE), "faq.csv", None)
    assert (look.form, look.encoding) == ("csv", "gb18030")
    assert [(c.name, c.role) for c in look.columns] == [
        ("客户说", ""),
        ("我们说", ""),
        ("Anmerkung", ""),
        ("标签", "labels"),
    ]
    assert look.columns[0].samples == ["在吗", "几点开门"]
    assert look.rows == []
    assert [fault.code for fault in look.faults] == ["columns_unknown"]


def test_a_whole_mapping_leaves_out_what_it_does_not_name() -> None:
    mapping = {"question": "客户说", "answer": "我们说"}
    guessed = look_at(io.BytesIO(TABLE), "faq.csv", mapping)
    assert guessed.rows[0]["labels"] == ["闲聊"]
    whole = look_at(io.BytesIO(TABLE), "faq.csv", mapping | {NOTHING_ELSE: ""})
    assert "labels" not in whole.rows[0]
    assert [c.role for c in whole.columns] == ["question", "answer", "", ""]
    assert whole.faults == []


def test_keys_of_json_rows_are_columns_as_well() -> None:
    data = '{"ask": "在吗", "say": "在的", "meta": {"n": 1}}\n{"ask": "b", "say": "c"}'.encode()
    look = look_at(io.BytesIO(data), "a.jsonl", None)
    assert [c.name for c in look.columns] == ["ask", "say", "meta"]
    assert look.columns[2].samples == ['{"n":1}']
    mapped = look_at(
        io.BytesIO(data), "a.jsonl", {"question": "ask", "answer": "say", NOTHING_ELSE: ""}
    )
    assert [row["messages"][0]["content"] for row in mapped.rows] == ["在吗", "b"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_an_unknown_header_is_cut_where_it_cuts_most(delimiter: str) -> None:
    data = delimiter.join(("Frage, bitte", "Antwort", "Thema")) + "\n" + delimiter.join("abc")
    look = look_at(io.BytesIO(data.encode()), "faq.csv", None)
    assert [c.name for c in look.columns] == ["Frage, bitte", "Antwort", "Thema"]


def test_a_workbook_shows_its_columns_and_its_lines() -> None:
    book = openpyxl.Workbook()
    for row in (["Frage", "Antwort"], [None, None], ["在吗", "在的"]):
        book.active.append(row)
    kept = io.BytesIO()
    book.save(kept)
    look = look_at(kept, "faq.xlsx", None)
    assert [(c.name, c.samples) for c in look.columns] == [
        ("Frage", ["在吗"]),
        ("Antwort", ["在的"]),
    ]
    shown = {line.number: line.text for line in lines_around(kept, "xlsx", 3)}
    assert shown[3] == "在吗\t在的"


def test_lines_are_numbered_as_faults_number_them() -> None:
    text = "".join(f"第{n}行\r\n" for n in range(1, 31)).encode("gb18030")
    shown = lines_around(io.BytesIO(text), "csv", 10)
    assert [line.number for line in shown] == list(range(6, 15))
    assert shown[4].text == "第10行"
    assert lines_around(io.BytesIO(text), "csv", 500) == []


def test_a_line_that_is_no_text_says_so_and_a_long_one_is_cut() -> None:
    data = b"\xff\xfe\xfa ok\n" + b"x" * 5_000 + b"\n"
    first, second = lines_around(io.BytesIO(b"abc\n" * 9 + data), "jsonl", 10)[-2:]
    assert first.text is None
    assert second.is_cut


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG....", b"PK\x03\x04broken", b"\xff\xfe\x00\x00abcd"]
)
def test_what_is_no_table_is_looked_at_without_harm(data: bytes) -> None:
    look = look_at(io.BytesIO(data), "a.csv", None)
    assert look.rows == []
    assert look.faults
