"""What goes out comes back in as it was, and no spreadsheet runs any of it."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.exports import csv_lines, openai_lines, row_lines
from labeling.faults import Fault
from labeling.formulas import guarded, unguarded
from labeling.models import Dataset, Example
from labeling.readers import open_reading
from labeling.readers.shapes import canonical
from labeling.services import (
    create_dataset,
    export_csv,
    export_openai,
    export_rows,
    freeze_version,
    import_examples,
)
from tests.labeling.conftest import Offer, json_lines, questions

TRIGGERS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

words = st.text(
    st.one_of(
        st.sampled_from("=+-@'\"\t\r\n,;|，。\u2028\u0085\ufeff退货＝"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
    ),
    min_size=1,
    max_size=40,
).filter(lambda text: text.strip())
names = st.text(st.sampled_from("甲乙丙丁abc=;|[、-"), min_size=1, max_size=9).filter(
    lambda text: text == text.strip()
)
messages = st.builds(
    lambda turns, system, weight: [
        *([{"role": "system", "content": system}] if system else []),
        *(
            message
            for asked, answered in turns
            for message in (
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answered}
                | ({} if weight is None else {"weight": weight}),
            )
        ),
    ],
    st.lists(st.tuples(words, words), min_size=1, max_size=3),
    st.none() | words,
    st.sampled_from([None, 1]),
)
contents = st.one_of(
    st.builds(lambda found: {"messages": found}, messages),
    st.builds(
        lambda prompt, completion: {"prompt": prompt, "completion": completion}, words, words
    ),
)
rows = st.builds(
    lambda identity, group, content, labels: {
        "id": identity,
        "line": None,
        "group": group,
        **content,
        **({"labels": labels} if labels else {}),
    },
    names,
    st.none() | names,
    contents,
    st.lists(names, unique=True, max_size=3),
)
texts = st.builds(
    lambda text, labels: {"id": "甲", "line": None, "group": None, "text": text, "labels": labels},
    words,
    st.lists(names, unique=True, min_size=1, max_size=3),
)


def read_back(data: bytes, filename: str) -> list[dict[str, Any]]:
    found = []
    for raw in open_reading(io.BytesIO(data), filename):
        assert not isinstance(raw, Fault), raw
        reading = canonical(raw)
        assert reading.row is not None, reading.faults
        found.append(reading.row.as_dict())
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(rows, texts), min_size=1, max_size=4))
def test_a_table_is_read_back_as_it_was(given_rows: list[dict[str, Any]]) -> None:
    assert read_back(b"".join(csv_lines(given_rows)), "出口.csv") == given_rows


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(rows, texts), min_size=1, max_size=4))
def test_canonical_rows_are_read_back_as_they_were(given_rows: list[dict[str, Any]]) -> None:
    assert read_back(b"".join(row_lines(given_rows)), "出口.jsonl") == given_rows


@settings(max_examples=100, deadline=None)
@given(rows)
def test_openai_lines_are_read_back_with_the_same_messages(row: dict[str, Any]) -> None:
    (back,) = read_back(b"".join(openai_lines([row])), "出口.jsonl")

    if "messages" in row:
        assert back["messages"] == row["messages"]
    else:
        assert [message["content"] for message in back["messages"]] == [
            row["prompt"],
            row["completion"],
        ]


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_guarding_a_cell_can_be_undone(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(TRIGGERS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(rows, texts), min_size=1, max_size=4))
def test_no_cell_begins_as_a_formula(given_rows: list[dict[str, Any]]) -> None:
    text = b"".join(csv_lines(given_rows)).decode("utf-8-sig")

    for record in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(TRIGGERS) for cell in record)


def test_a_cell_that_already_has_apostrophes_keeps_them() -> None:
    for cell in ("'=1", "''=1", "'平常", '=HYPERLINK("http://127.0.0.1")', "＝1+1"):
        assert unguarded(guarded(cell)) == cell
    assert guarded("'平常") == "'平常"


def test_importing_an_export_adds_nothing(dataset: Dataset, offer: Offer) -> None:
    offer(questions(40))
    offer("text,label,id\n太慢,负面,一\n=好,正面,二\n", "x.csv")
    for export, filename in ((export_csv, "a.csv"), (export_rows, "a.jsonl")):
        out = io.BytesIO()
        assert export(dataset, out) == 42
        report = offer(out.getvalue(), filename)
        assert (report.created, report.updated, report.fault_count) == (0, 0, 0)


def test_a_dataset_moves_to_another_place_whole(dataset: Dataset, offer: Offer) -> None:
    offer(questions(30))
    out = io.BytesIO()
    export_csv(dataset, out)
    elsewhere = create_dataset(name="复制", slug="copy")
    out.seek(0)
    import_examples(dataset=elsewhere, stream=out, filename="a.csv")

    assert freeze_version(dataset=elsewhere).digest == freeze_version(dataset=dataset).digest


def test_a_version_is_exported_split_by_split(dataset: Dataset, offer: Offer) -> None:
    offer(questions(60))
    version = freeze_version(dataset=dataset)
    out = io.BytesIO()

    assert export_openai(version, out, split="test") == version.counts["test"]
    assert export_openai(version, io.BytesIO()) == 60
    for line in out.getvalue().splitlines():
        assert json.loads(line).keys() == {"messages"}


def test_an_agents_words_leave_as_an_answer_not_to_learn(offer: Offer, dataset: Dataset) -> None:
    offer(
        json_lines(
            {
                "messages": [
                    {"role": "user", "content": "人工"},
                    {"role": "agent", "content": "您好，我是小王"},
                    {"role": "assistant", "content": "已转接", "weight": 1},
                ]
            }
        )
    )
    out = io.BytesIO()
    export_openai(dataset, out)

    assert json.loads(out.getvalue())["messages"][1] == {
        "role": "assistant",
        "content": "您好，我是小王",
        "weight": 0,
    }


def test_only_accepted_rows_leave(dataset: Dataset, offer: Offer) -> None:
    offer(questions(5))
    Example.objects.filter(external_id="问-0").update(state="draft")

    assert export_rows(dataset, io.BytesIO()) == 4


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_each_trigger_survives_the_journey(trigger: str) -> None:
    row = {
        "id": "甲",
        "line": None,
        "group": None,
        "prompt": f"{trigger}一",
        "completion": f"二{trigger}",
    }

    assert read_back(b"".join(csv_lines([row])), "a.csv") == [row]
