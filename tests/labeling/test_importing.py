"""Rows come in once, whole batches at a time, and what is wrong with the others is said."""

import io
from typing import Any

import pytest

from common.errors import ApplicationError
from labeling import importing
from labeling.models import Dataset, Example, ImportRun, Label
from labeling.services import annotate_example, import_examples
from tests.factories import make_user
from tests.labeling.conftest import Offer, json_lines, questions


def test_a_second_import_of_the_same_file_adds_nothing(offer: Offer) -> None:
    first = offer(questions(30))
    second = offer(questions(30))

    assert (first.created, second.created, second.unchanged) == (30, 0, 30)
    assert Example.objects.count() == 30


def test_rows_without_ids_are_known_by_what_they_say(offer: Offer) -> None:
    row = {"prompt": "退货要几天？", "completion": "七天之内。"}

    assert offer(json_lines(row, row)).duplicates == 1
    assert offer(json_lines(row)).created == 0


def test_a_changed_row_updates_its_example(offer: Offer) -> None:
    offer(json_lines({"id": 1, "question": "几点开门？", "answer": "九点。"}))
    report = offer(json_lines({"id": 1, "question": "几点开门？", "answer": "十点。"}))

    assert (report.created, report.updated) == (0, 1)
    assert Example.objects.get().content["messages"][1]["content"] == "十点。"


def test_an_import_does_not_overwrite_what_people_corrected(offer: Offer) -> None:
    offer(json_lines({"id": 1, "question": "几点开门？", "answer": "九点。"}))
    example = Example.objects.get()
    edited = {
        "messages": [
            {"role": "user", "content": "几点开门？"},
            {"role": "assistant", "content": "早上九点。"},
        ]
    }
    annotate_example(example=example, annotator=make_user(), verdict="accept", content=edited)

    report = offer(json_lines({"id": 1, "question": "几点开门？", "answer": "十点。"}))

    assert (report.updated, report.kept) == (0, 1)
    assert Example.objects.get().content == edited


def test_an_edit_that_is_no_row_is_refused_with_its_faults(offer: Offer) -> None:
    offer(json_lines({"id": 1, "question": "几点开门？", "answer": "九点。"}))

    with pytest.raises(ApplicationError) as refused:
        annotate_example(
            example=Example.objects.get(),
            annotator=make_user(),
            verdict="accept",
            content={"messages": [{"role": "user", "content": "喂"}]},
        )

    assert refused.value.extra["faults"][0]["code"] == "assistant_missing"


def test_bad_rows_never_lose_good_ones(offer: Offer) -> None:
    good = {"prompt": "你好", "completion": "您好"}
    other = {"prompt": "再见", "completion": "慢走"}
    report = offer(json_lines(good) + "{broken\n" + json_lines(other))

    assert (report.rows, report.created, report.refused) == (3, 2, 1)
    assert [(fault.line, fault.code) for fault in report.faults] == [(2, "json_malformed")]


def test_every_fault_is_found_in_one_pass_and_the_first_hundred_are_kept(offer: Offer) -> None:
    report = offer('{"prompt": "", "completion": 3}\n' * 90)

    assert report.fault_count == 180
    assert len(report.faults) == 100
    assert report.by_code == {"content_empty": 90, "content_not_text": 90}
    assert report.run is not None
    assert report.run.fault_count == 180


def test_a_fault_says_line_pointer_code_message_and_fix(offer: Offer) -> None:
    row = {
        "messages": [{"role": "客人", "content": "在吗"}, {"role": "assistant", "content": "在"}]
    }
    report = offer("\n\n" + json_lines(row))

    (fault,) = report.faults
    assert (fault.line, fault.pointer, fault.code) == (3, "/messages/0/role", "role_unknown")
    assert "客人" in fault.message
    assert "assistant" in fault.fix


def test_an_id_used_again_for_other_content_names_the_first_line(offer: Offer) -> None:
    report = offer(
        json_lines(
            {"id": "甲", "question": "一？", "answer": "二。"},
            {"id": "甲", "question": "三？", "answer": "四。"},
        )
    )

    assert report.created == 1
    (fault,) = report.faults
    assert (fault.line, fault.code, fault.figures) == (2, "id_repeated", {"first": 1})


def test_a_dry_run_says_the_same_and_writes_nothing(offer: Offer) -> None:
    data = questions(7) + "nonsense\n" + questions(3)
    dry = offer(data, dry_run=True)

    assert not Example.objects.exists()
    assert not ImportRun.objects.exists()
    assert offer(data).counts == dry.counts
    assert (dry.created, dry.duplicates, dry.refused) == (7, 3, 1)


def test_the_preview_shows_the_first_rows_as_they_were_understood(offer: Offer) -> None:
    report = offer("问题,答案\n多少钱？,十元。\n", "价格.csv", dry_run=True)

    assert report.preview == [
        {
            "id": report.preview[0]["id"],
            "line": 2,
            "group": None,
            "messages": [
                {"role": "user", "content": "多少钱？"},
                {"role": "assistant", "content": "十元。"},
            ],
        }
    ]
    assert len(offer(questions(30), dry_run=True).preview) == 20


def test_keys_and_columns_that_nobody_asked_for_are_said_not_hidden(offer: Offer) -> None:
    row = {"question": "一？", "answer": "二。", "来源": "手册", "category": "物流"}

    assert offer(json_lines(row)).ignored == {"来源": 1, "category": 1}
    table = "q,a,来源,category\n三？,四。,手册,物流\n"
    assert offer(table, "x.csv").ignored == {"来源": 1, "category": 1}


def test_labels_of_rows_join_the_label_set_of_the_dataset(offer: Offer) -> None:
    offer("text,label\n物流太慢,负面\n很好用,正面\n还行,正面\n", "评论.csv")

    assert sorted(Label.objects.values_list("name", flat=True)) == ["正面", "负面"]
    assert Example.objects.filter(kind="text").count() == 3


def test_an_example_says_where_it_came_from_and_whose_data_it_holds(offer: Offer) -> None:
    report = offer("q,a,客户编号\n一？,二。,C-17\n", "历史.csv")

    example = Example.objects.get()
    assert (example.source_kind, example.source_ref, example.line) == ("file", "历史.csv", 2)
    assert example.import_run == report.run
    assert example.subject == "C-17"


def test_a_mapping_names_columns_that_we_do_not_know(
    offer: Offer,
) -> None:
    report = offer("Frage,Antwort\nWas?,Das.\n", "x.csv", mapping={"q": "Frage", "a": "Antwort"})

    assert report.created == 1
    with pytest.raises(ApplicationError, match="mapping_unknown"):
        offer("Frage,Antwort\nWas?,Das.\n", "x.csv", mapping={"colour": "Frage"})


def test_one_column_may_play_two_parts(offer: Offer) -> None:
    offer(
        "id,q,a\n甲,一？,二。\n",
        "x.csv",
        mapping={"external_id": "id", "question": "q", "answer": "a", "group": "id"},
    )

    example = Example.objects.get()
    assert (example.external_id, example.group) == ("甲", "甲")


def test_progress_grows_to_one(offer: Offer) -> None:
    shares: list[float] = []
    offer(questions(1_200), progress=shares.append)

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_run_that_breaks_keeps_whole_batches_and_says_failed(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 10)
    place = importing._Import._place
    batches = []

    def placing(self: Any, rows: Any) -> None:
        batches.append(rows)
        if len(batches) == 3:
            raise RuntimeError("the disk is full")
        place(self, rows)

    monkeypatch.setattr(importing._Import, "_place", placing)
    with pytest.raises(RuntimeError):
        import_examples(
            dataset=dataset, stream=io.BytesIO(questions(30).encode()), filename="x.jsonl"
        )
    run = ImportRun.objects.get()
    assert (run.state, run.failure) == ("failed", "RuntimeError")
    assert Example.objects.count() == run.counts["created"] == 20

    monkeypatch.setattr(importing._Import, "_place", place)
    again = import_examples(
        dataset=dataset, stream=io.BytesIO(questions(30).encode()), filename="x.jsonl"
    )
    assert (again.created, again.unchanged) == (10, 20)


def test_a_stream_that_cannot_go_back_is_read_as_well(dataset: Dataset) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    report = import_examples(
        dataset=dataset, stream=Pipe(questions(12).encode()), filename="x.jsonl"
    )

    assert report.created == 12
