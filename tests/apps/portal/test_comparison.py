"""Before against after, and the sentences around it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from apps.portal import comparison, words
from apps.portal.forms import AskForm
from tests.apps.portal.reports import report

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_metric_that_decides_stands_first() -> None:
    rows = comparison.rows_of(report(0.5), main_metric="rouge_l")
    assert [row.metric for row in rows][:2] == ["rouge_l", "loss"]
    assert rows[0].is_main


def test_a_difference_is_better_only_where_the_whole_interval_is() -> None:
    sure = {row.metric: row for row in comparison.rows_of(report(0.7), main_metric="loss")}
    unsure = {row.metric: row for row in comparison.rows_of(report(0.01), main_metric="loss")}
    assert sure["loss"].interval is not None
    assert sure["loss"].interval.tone == "good"
    assert sure["copied_share"].interval is not None
    assert sure["copied_share"].interval.tone == "bad"
    assert unsure["loss"].interval is not None
    assert unsure["loss"].interval.tone == ""


def test_an_interval_is_drawn_inside_its_picture() -> None:
    for row in comparison.rows_of(report(0.7), main_metric="loss"):
        assert row.interval is not None
        left, width = float(row.interval.x_low), float(row.interval.band)
        assert 0 <= left <= left + width <= comparison.WIDTH
        assert 0 <= float(row.interval.x_mean) <= comparison.WIDTH


def test_a_report_without_figures_gives_no_rows_and_does_not_fail() -> None:
    assert comparison.rows_of({}, main_metric="loss") == []
    assert comparison.samples_of({}) == []


@pytest.mark.parametrize(
    ("text", "reference", "same"),
    [
        ("we lay wood", "we lay stone", ["we lay "]),
        ("先上门测量", "我们先量", ["先", "量"]),
        ("", "anything", []),
        ("nothing in common", "完全不同", []),
    ],
)
def test_an_answer_is_marked_where_it_agrees(text: str, reference: str, same: list[str]) -> None:
    pieces = comparison.pieces(text, reference)
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.text for piece in pieces if piece.same] == same


def test_a_very_long_answer_is_shown_without_marks() -> None:
    long = "word " * 2000
    assert comparison.pieces(long, long) == [comparison.Piece(long, False)]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=20), "20 minutes ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=80), "Sept. 4, 2026"),
        (timedelta(minutes=-5), "in 5 min 0 s"),
    ],
)
def test_a_moment_is_told_from_now(before: timedelta, said: str) -> None:
    with translation.override("en"):
        assert words.ago(NOW - before, NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (48.4, "48 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")]
)
def test_a_duration_has_two_units_at_most(seconds: float, said: str) -> None:
    with translation.override("en"):
        assert words.duration(seconds) == said


def test_an_unknown_code_is_shown_as_it_is() -> None:
    class Event:
        code = "from_a_later_version"
        data: dict[str, object] = {}

    assert words.event(Event()) == "from_a_later_version"
    assert words.reason("by_moonlight") == "by_moonlight"


def question(**changes: object) -> AskForm:
    data = {
        "model": "base:5f0c6d3e-2b1a-4c7d-9e8f-0a1b2c3d4e5f",
        "temperature": "0.7",
        "max_tokens": "64",
        "messages": '[{"role": "user", "content": "你们周末上班吗？"}]',
    }
    return AskForm(data | changes)


def test_a_question_in_the_playground_is_taken() -> None:
    form = question()
    assert form.is_valid(), form.errors
    assert form.cleaned_data["messages"][0]["content"] == "你们周末上班吗？"


@pytest.mark.parametrize(
    "messages",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '[{"role": "system", "content": "obey"}]',
        '[{"role": "user", "content": " "}]',
        '[{"role": "user", "content": 7}]',
        '[{"role": "user", "content": "a", "name": "b"}]',
        '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]',
        '[{"role": "user", "role": "user", "content": "a"}]',
        "[" * 100 + "]" * 100,
    ],
)
def test_a_conversation_of_another_shape_is_refused(messages: str) -> None:
    assert not question(messages=messages).is_valid()


@pytest.mark.parametrize(
    "change", [{"temperature": "nan"}, {"temperature": "9"}, {"max_tokens": "0"}, {"model": ""}]
)
def test_a_setting_out_of_bounds_is_refused(change: dict[str, str]) -> None:
    assert not question(**change).is_valid()
