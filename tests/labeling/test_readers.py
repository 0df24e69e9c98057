"""Each form of file, each shape of row, each encoding: read right, or refused with the line."""

import io
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.fault_text import SENTENCES
from labeling.faults import Fault, pointer_to
from labeling.readers import FileReading, jsonl, lines, open_reading
from labeling.readers.encodings import Encoding
from labeling.readers.lines import TextSource
from labeling.readers.raw import RawRow
from labeling.readers.shapes import canonical
from labeling.rows import MAX_ROW_BYTES, Row
from tests.labeling.conftest import json_lines

CHAT = {
    "messages": [
        {"role": "user", "content": "退货要几天？"},
        {"role": "assistant", "content": "七天之内。"},
    ]
}


class Read:
    """The rows of a file with their lines, and its faults."""

    def __init__(
        self, data: bytes | str, name: str = "x.jsonl", mapping: Mapping[str, str] | None = None
    ) -> None:
        raw = data.encode() if isinstance(data, str) else data
        self.reading: FileReading = open_reading(io.BytesIO(raw), name, mapping)
        self.rows: list[Row] = []
        self.lines: list[int] = []
        self.faults: list[Fault] = []
        for found in self.reading:
            if isinstance(found, Fault):
                self.faults.append(found)
                continue
            shape = canonical(found, mapping)
            self.faults += shape.faults
            if shape.row is not None:
                self.rows.append(shape.row)
                self.lines.append(found.line)

    @property
    def contents(self) -> list[Any]:
        return [row.content for row in self.rows]

    @property
    def places(self) -> list[tuple[int | None, str, str]]:
        return [(fault.line, fault.pointer, fault.code) for fault in self.faults]


def one(value: Any) -> Read:
    return Read(json_lines(value))


# --- Shapes --------------------------------------------------------------------------------------


def test_openai_chat_keeps_its_weights() -> None:
    messages = [
        {"role": "system", "content": "你是客服。"},
        {"role": "user", "content": "在吗"},
        {"role": "assistant", "content": "在", "weight": 0},
        {"role": "user", "content": "几点关门"},
        {"role": "assistant", "content": "六点", "weight": 1},
    ]
    assert one({"messages": messages}).contents == [{"messages": messages}]


def test_openai_content_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "退货"}, {"type": "text", "text": "几天？"}]
    row = {"messages": [{"role": "user", "content": parts}, CHAT["messages"][1]]}

    assert one(row).contents[0]["messages"][0]["content"] == "退货几天？"


def test_prompt_and_completion() -> None:
    row = {"prompt": " 你好", "completion": "您好\n"}
    assert one(row).contents == [row]


def test_prompt_and_completion_as_messages_learn_the_completion_alone() -> None:
    row = {
        "prompt": [*CHAT["messages"], {"role": "user", "content": "谢谢"}],
        "completion": [{"role": "assistant", "content": "不客气"}],
    }
    (content,) = one(row).contents
    assert [message.get("weight") for message in content["messages"]] == [None, 0, None, None]


def test_sharegpt() -> None:
    row = {
        "system": "你是客服。",
        "conversations": [
            {"from": "human", "value": "退货要几天？"},
            {"from": "gpt", "value": "七天之内。"},
        ],
    }
    system = {"role": "system", "content": "你是客服。"}
    assert one(row).contents == [{"messages": [system, *CHAT["messages"]]}]


def test_alpaca_joins_instruction_and_input() -> None:
    row = {
        "instruction": "翻译",
        "input": "hello",
        "output": "你好",
        "history": [["翻译 bye", "再见"]],
    }
    (content,) = one(row).contents
    assert [message["content"] for message in content["messages"]] == [
        "翻译 bye",
        "再见",
        "翻译\n\nhello",
        "你好",
    ]


def test_text_with_labels() -> None:
    read = one({"text": "物流太慢", "label": "负面"})
    assert (read.contents, read.rows[0].labels) == ([{"text": "物流太慢"}], ("负面",))
    assert one({"text": "还行", "labels": ["正面", "物流"]}).rows[0].labels == ("正面", "物流")


def test_question_and_answer_in_two_languages() -> None:
    for row in (
        {"question": "退货要几天？", "answer": "七天之内。"},
        {"q": "退货要几天？", "a": "七天之内。"},
        {"问题": "退货要几天？", "答案": "七天之内。"},
        {"提问": "退货要几天？", "回答": "七天之内。"},
        {"input": "退货要几天？", "output": "七天之内。"},
    ):
        assert one(row).contents == [CHAT]


def test_ids_groups_subjects_and_passages_are_taken_along() -> None:
    row = CHAT | {
        "id": 17,
        "conversation_id": "会话1",
        "subject_id": "contact:9",
        "passages": ["七天无理由退货。", {"text": "见第三条", "source": "手册"}],
    }
    (found,) = one(row).rows
    assert (found.external_id, found.group, found.subject) == ("17", "会话1", "contact:9")
    assert [passage["text"] for passage in found.passages] == ["七天无理由退货。", "见第三条"]


@pytest.mark.parametrize(
    ("row", "pointer", "code"),
    [
        ({"messages": "在吗"}, "/messages", "messages_not_list"),
        ({"messages": []}, "/messages", "messages_empty"),
        ({"messages": ["在吗"]}, "/messages/0", "message_not_object"),
        ({"messages": [{"content": "在"}]}, "/messages/0", "role_missing"),
        ({"messages": [{"role": "tool", "content": "在"}]}, "/messages/0/role", "role_unknown"),
        ({"messages": [{"role": 3, "content": "在"}]}, "/messages/0/role", "role_unknown"),
        ({"messages": [{"role": "user"}]}, "/messages/0", "content_missing"),
        ({"messages": [{"role": "assistant", "content": None}]}, "/messages/0/content",
         "content_missing"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "/messages/0/content",
         "content_not_text"),
        ({"messages": [{"role": "user", "content": " 　\n"}]}, "/messages/0/content",
         "content_empty"),
        ({"messages": [{"role": "user", "content": "在吗"}]}, "/messages", "assistant_missing"),
        ({"messages": [{"role": "assistant", "content": "在", "weight": 0}]}, "/messages",
         "nothing_to_learn"),
        ({"messages": [{"role": "assistant", "content": "在", "weight": 2}]},
         "/messages/0/weight", "weight_invalid"),
        ({"messages": [{"role": "assistant", "content": "在", "weight": True}]},
         "/messages/0/weight", "weight_invalid"),
        ({"messages": [{"role": "user", "content": "在", "weight": 1}]}, "/messages/0/weight",
         "weight_misplaced"),
        ({"conversations": [{"from": "alien", "value": "在"}]}, "/conversations/0/from",
         "role_unknown"),
        ({"prompt": "", "completion": "好"}, "/prompt", "content_empty"),
        ({"prompt": "你", "completion": None}, "/completion", "content_missing"),
        ({"text": "好", "label": ""}, "/label", "label_invalid"),
        ({"text": "好", "labels": []}, "/labels", "labels_missing"),
        ({"text": "好", "labels": [1]}, "/labels", "label_invalid"),
        ({"text": "好", "labels": [f"标签{n}" for n in range(99)]}, "/labels", "labels_too_many"),
        ({"instruction": "一", "output": "二", "history": [["三"]]}, "/history",
         "history_invalid"),
        ({"q": "一", "a": "二", "id": True}, "/id", "id_invalid"),
        ({"q": "一", "a": "二", "id": "长" * 201}, "/id", "id_invalid"),
        ({"q": "一", "a": "二", "id": 10**400}, "/id", "id_invalid"),
        ({"q": "一", "a": "二", "passages": [3]}, "/passages", "passages_invalid"),
        ({"q": "一" * 150_000, "a": "二" * 60_000}, "", "row_too_long"),
        ({"a/b": 1, "c": 2}, "", "shape_unknown"),
        ({"text": ""}, "/text", "content_empty"),
        (3, "", "row_not_object"),
        ("在吗", "", "row_not_object"),
    ],
)  # fmt: skip
def test_a_faulty_row_is_refused_with_its_place(row: Any, pointer: str, code: str) -> None:
    read = one(row)
    assert read.rows == []
    assert (1, pointer, code) in read.places


def test_all_faults_of_a_row_are_found() -> None:
    row = {"messages": [{"role": "x", "content": ""}, {"role": "user", "weight": 1, "content": 3}]}
    assert len(one(row | {"id": []}).faults) == 5


def test_pointers_are_escaped() -> None:
    assert pointer_to("a/b", "~", 3) == "/a~1b/~0/3"


# --- JSON files ----------------------------------------------------------------------------------


def test_blank_lines_count_but_are_no_rows() -> None:
    read = Read("\n  \n" + json_lines(CHAT) + "\n\n" + json_lines(CHAT))
    assert read.lines == [3, 6]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_understood(end: str) -> None:
    text = json_lines(CHAT, CHAT, CHAT).replace("\n", end) + "{坏"
    read = Read(text)
    assert read.lines == [1, 2, 3]
    assert read.places == [(4, "", "json_malformed")]


def test_line_and_paragraph_separators_inside_a_text_end_no_line() -> None:
    row = {"prompt": "一\u2028二\u2029三\u0085四\x0b", "completion": "五"}
    text = json.dumps(row, ensure_ascii=False).replace("\\u000b", "") + "\n"
    assert Read(text).lines == [1]
    assert Read(json_lines(CHAT) + text).lines == [1, 2]


def test_a_truncated_last_line_costs_only_itself() -> None:
    read = Read(json_lines(CHAT) + '{"prompt":"abc","compl')
    assert (read.lines, read.places) == ([1], [(2, "", "json_malformed")])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"prompt":"一","prompt":"二","completion":"三"}', "json_duplicate_key"),
        ('{"prompt":"一","completion":"二","x":NaN}', "json_number"),
        ('{"prompt":"一","completion":"二","x":1e400}', "json_number"),
        ('{"prompt":"\\ud800","completion":"二"}', "json_surrogate"),
        ('{"prompt":"\\u0000","completion":"二"}', "json_nul"),
        ('{"prompt":"\x00","completion":"二"}', "json_nul"),
        ('{"prompt":' + "[" * 100_000, "json_too_deep"),
        ('{"x":' + "[" * 100 + "]" * 100 + "}", "json_too_deep"),
    ],
)
def test_json_that_cannot_be_kept_is_refused(line: str, code: str) -> None:
    read = Read(json_lines(CHAT) + line + "\n" + json_lines(CHAT))
    assert (read.lines, read.places) == ([1, 3], [(2, "", code)])


def test_a_line_of_more_than_a_megabyte_is_skipped() -> None:
    long = json_lines({"prompt": "长" * MAX_ROW_BYTES, "completion": "好"})
    for end in ("\n", "\r\n", "\r"):
        text = (json_lines(CHAT) + long + json_lines(CHAT)).replace("\n", end)
        read = Read(text)
        assert (read.lines, read.places) == ([1, 3], [(2, "", "line_too_long")])


def test_an_array_is_read_whatever_its_layout() -> None:
    value = [CHAT, {"q": "一，[二]", "a": '三"}]'}, {"prompt": "\\", "completion": "\\\\"}]
    for indent, expected in ((None, [1, 1, 1]), (2, [2, 14, 18])):
        read = Read(json.dumps(value, indent=indent, ensure_ascii=False), "x.json")
        assert (read.reading.form, read.lines, read.faults) == ("json", expected, [])


def test_faults_in_an_array_point_into_it() -> None:
    text = "[\n" + json_lines(CHAT).strip() + ",\n" + '{"q": "一", "a": ""},\n{"q" 3}\n]'
    read = Read(text, "x.json")
    assert read.places == [(3, "/1/a", "content_empty"), (4, "/2", "json_malformed")]


def test_an_array_of_one_long_line_needs_no_more_than_its_longest_row() -> None:
    value = [{"prompt": f"第{n}行" + "长" * 500, "completion": "好"} for n in range(3_000)]
    read = Read(json.dumps(value, ensure_ascii=False), "x.json")
    assert (len(read.rows), read.faults) == (3_000, [])


def test_rows_behind_an_array_are_found() -> None:
    read = Read("[]\n" + json_lines(CHAT))
    assert (read.lines, read.faults) == ([2], [])
    read = Read('[{"q":"一","a":"二"}] x\n' + json_lines(CHAT))
    assert (read.lines, read.places) == ([1, 2], [(1, "", "json_after_array")])


def test_an_array_that_never_ends_is_said() -> None:
    read = Read('[{"q":"一","a":"二"},\n{"q":"三",\n"a":"四"')
    assert read.lines == [1]
    assert read.places == [(3, "/1", "json_malformed"), (2, "", "json_array_open")]


def test_one_object_over_many_lines_is_one_fault() -> None:
    read = Read(json.dumps({"questions": [CHAT] * 50}, indent=1), "x.json")
    assert read.places == [(1, "", "json_over_many_lines")]


def test_a_lonely_bracket_on_the_first_line_loses_no_rows() -> None:
    read = Read("{\n" + json_lines(CHAT, CHAT))
    assert (read.lines, read.places) == ([2, 3], [(1, "", "json_malformed")])


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('中"\\[]{},:\n ')),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.sampled_from('甲"\\[')), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: value if isinstance(value, list) else [value]),
    st.sampled_from([None, 0, 1]),
    st.integers(min_value=1, max_value=9),
)
def test_elements_of_an_array_are_cut_right_wherever_a_chunk_ends(
    value: list[Any], indent: int | None, chunk: int
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    source = TextSource(io.BytesIO(text.encode()), Encoding("utf-8"))
    whole = lines.CHUNK
    lines.CHUNK = chunk
    try:
        found = list(jsonl.read_json_array(source.pieces()))
    finally:
        lines.CHUNK = whole

    assert [raw.value for raw in found if not isinstance(raw, Fault)] == value


# --- Encodings -----------------------------------------------------------------------------------

FILES = {
    "rows.jsonl": json_lines(CHAT, {"q": "联通", "a": "中国联通。"}),
    "表.csv": "问题,答案\n退货要几天？,七天之内。\n联通,一\n",
    "表.tsv": "问题\t答案\n退货要几天？\t七天之内。\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("codec", "label"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8 (BOM)"),
        ("utf-16", "utf-16-le (BOM)"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("gb18030", "gb18030"),
    ],
)
def test_the_encoding_is_found(name: str, codec: str, label: str) -> None:
    read = Read(FILES[name].encode(codec), name)
    assert read.reading.encoding == label
    assert read.contents[0] == CHAT
    assert read.faults == []


def test_a_damaged_utf_8_file_stays_utf_8() -> None:
    good = json_lines(CHAT).encode()
    damaged = good.replace("退".encode(), b"\xe9\x80")
    read = Read(good + damaged + good)
    assert read.reading.encoding == "utf-8"
    assert (read.lines, read.places) == ([1, 3], [(2, "", "line_not_readable")])


def test_latin_1_is_not_taken_for_chinese() -> None:
    text = "question,answer\nVad är bygglov?,Ett myndighetsbeslut från byggnadsnämnden.\n"
    read = Read(text.encode("latin-1"), "x.csv")
    assert read.reading.encoding == "utf-8"
    assert read.places == [(2, "", "line_not_readable")]


def test_gb18030_is_found_behind_a_long_stretch_of_ascii() -> None:
    text = json_lines(*[{"q": f"q{n}", "a": "yes"} for n in range(20_000)], CHAT)
    read = Read(text.encode("gb18030"))
    assert (read.reading.encoding, len(read.rows)) == ("gb18030", 20_001)


def test_a_stray_nul_does_not_make_a_file_utf_16() -> None:
    read = Read(json_lines(CHAT) + '{"prompt":"a\x00b","completion":"c"}\n')
    assert (read.reading.encoding, read.lines) == ("utf-8", [1])


def test_half_a_pair_in_utf_16_costs_one_line() -> None:
    text = json_lines(CHAT) + '{"q":"😀\ud83d","a":"好"}\n' + json_lines(CHAT)
    read = Read(text.encode("utf-16-le", "surrogatepass"))
    assert (read.lines, read.places) == ([1, 3], [(2, "", "line_not_readable")])


def test_utf_32_is_refused_by_name() -> None:
    read = Read(json_lines(CHAT).encode("utf-32"))
    assert [fault.code for fault in read.faults] == ["encoding_unknown"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be", "gb18030"])
def test_characters_survive_chunks_that_cut_them(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": "一😀二€𠀀" * (n + 1), "completion": "三\r\n四"} for n in range(40)]
    expected = [{"prompt": row["prompt"], "completion": row["completion"]} for row in rows]
    for chunk in (2, 3, 5, 7):
        monkeypatch.setattr(lines, "CHUNK", chunk)
        mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(codec, b"")
        assert Read(mark + json_lines(*rows).encode(codec)).contents == expected
        array = json.dumps(rows, ensure_ascii=False, indent=1)
        assert Read(mark + array.encode(codec)).contents == expected


# --- Tables --------------------------------------------------------------------------------------


def test_quotes_span_lines_and_lines_are_counted_right() -> None:
    read = Read('问题,答案\n"一\n\n行","二 ""引"" 号"\n三,四\n', "x.csv")
    assert read.lines == [2, 5]
    assert read.contents[0]["messages"][0]["content"] == "一\n\n行"
    assert read.contents[0]["messages"][1]["content"] == '二 "引" 号'


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    rest = "".join(f"问{n},答{n}\n" for n in range(50))
    read = Read('问题,答案\n"一,二\n' + rest, "x.csv")
    assert (len(read.rows), read.places) == (50, [(2, "", "quote_not_closed")])
    read = Read('问题,答案\n"一,二\n' + rest + '"三","四"\n' + rest, "x.csv")
    assert (len(read.rows), read.places) == (101, [(2, "", "quote_not_closed")])


def test_many_unclosed_quotes_take_no_longer() -> None:
    read = Read("问题,答案\n" + '"一,二\n三,四\n' * 2_000, "x.csv")
    assert len(read.rows) >= 2_000
    assert len(read.faults) >= 1_000


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_from_the_header(delimiter: str) -> None:
    read = Read(f"问题{delimiter}答案\n退货要几天？{delimiter}七天之内。\n", "x.csv")
    assert read.contents == [CHAT]


def test_a_table_without_a_name_for_it_is_recognised_by_its_header() -> None:
    assert Read("提问,回答\n退货要几天？,七天之内。\n", "导出.txt").contents == [CHAT]
    assert [fault.code for fault in Read("只是文字\n而已\n", "x.txt").faults] == ["form_unknown"]


def test_a_header_that_says_nothing_is_refused_with_what_it_has() -> None:
    read = Read("甲栏,乙栏\n一,二\n", "x.csv")
    (fault,) = read.faults
    assert (fault.line, fault.code, fault.figures) == (
        1,
        "columns_unknown",
        {"found": "甲栏, 乙栏"},
    )
    mapping = {"question": "甲栏", "answer": "乙栏"}
    assert len(Read("甲栏,乙栏\n一,二\n", "x.csv", mapping).rows) == 1
    missing = Read("甲栏,乙栏\n一,二\n", "x.csv", {"question": "丙栏", "answer": "乙栏"})
    assert missing.places == [(1, "", "column_missing")]


def test_an_empty_cell_is_named_by_its_column() -> None:
    read = Read("问题,答案\n一,\n,二\n,\n三,四\n", "x.csv")
    assert read.places == [(2, "/答案", "content_empty"), (3, "/问题", "content_empty")]
    assert read.lines == [5]


def test_too_many_cells_are_not_dropped_in_silence() -> None:
    read = Read("问题,答案\n一,二,三\n四,五,\n", "x.csv")
    assert read.places == [(2, "", "cells_too_many")]
    assert read.lines == [3]


def test_labels_of_a_cell_are_parted() -> None:
    read = Read('text,labels\n好,"正面;物流"\n坏,"[""负;面""]"\n', "x.csv")
    assert [row.labels for row in read.rows] == [("正面", "物流"), ("负;面",)]


def test_a_header_and_nothing_else_is_an_empty_table() -> None:
    read = Read("问题,答案\n", "x.csv")
    assert (read.rows, read.faults) == ([], [])


def test_twenty_lines_and_more_are_all_read() -> None:
    read = Read("问题,答案\n" + "".join(f"问{n},答{n}\n" for n in range(100)), "x.csv")
    assert read.lines == list(range(2, 102))


# --- Nothing breaks it ---------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.tsv", "a.xlsx", "a", "问.bin"]),
)
def test_any_bytes_are_answered(data: bytes, name: str) -> None:
    Read(data, name)


def test_any_damage_to_a_file_is_answered() -> None:
    chance = random.Random(7)
    whole = ("问题,答案\n" + '"一,\n行",二\n' * 20).encode("gb18030") + json_lines(CHAT).encode()
    for name in ("a.csv", "a.jsonl", "a.json"):
        for _round in range(150):
            data = bytearray(whole)
            for _hit in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.choice(b'\x00\xff"[{\n\r,\\\x80')
            Read(bytes(data), name)


def test_every_code_has_its_sentences() -> None:
    import ast
    from pathlib import Path

    import labeling

    used = set()
    for path in Path(labeling.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            first = node.args[0]
            if name in {"Fault", "_fault", "fault", "WorkbookError"} and isinstance(
                first, ast.Constant
            ):
                used.add(first.value)
    assert len(used) > 30
    assert used <= SENTENCES.keys()


# --- Rows inside a wrapping object ------------------------------------------------------------


WRAPPED = {
    "count": 2,
    "note": 'a "tickets": [ in a text',
    "users": [{"id": 1}],
    "other": {"list": [{"id": 9}]},
    "tickets": [{"id": 1, "parts": [1, {"text": "]}"}]}, {"id": 2, "text": "在吗"}],
    "end_of_stream": True,
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WRAPPED),
        json.dumps(WRAPPED, indent=2, ensure_ascii=False),
        json.dumps({"count": 0, "tickets": []}) + "\n" + json.dumps(WRAPPED),
    ],
)
def test_rows_stand_under_the_keys_of_a_wrapping_object(text: str) -> None:
    reading = open_reading(
        io.BytesIO(text.encode()), "page.json", sections=frozenset({"tickets", "users"})
    )
    rows = [found for found in reading if isinstance(found, RawRow)]
    assert [(row.at, row.value["id"]) for row in rows] == [
        ("/users/0", 1),
        ("/tickets/0", 1),
        ("/tickets/1", 2),
    ]
    whole = text.splitlines()
    assert all(f'"id": {row.value["id"]}' in "".join(whole[row.line - 1 :]) for row in rows)


def test_a_wrapping_object_may_hold_texts_of_any_length() -> None:
    text = json.dumps({"pad": "x" * 700_000, "tickets": [{"id": 1, "text": "é" * 900_000}], "z": 1})
    ways = {"sections": frozenset({"tickets"}), "limit": 16 << 20}
    (row,) = open_reading(io.BytesIO(text.encode()), "page.json", **ways)
    assert isinstance(row, RawRow)
    assert len(row.value["text"]) == 900_000
