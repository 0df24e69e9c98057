"""Business hours: open by the clock on the wall, and time that passes only while it is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.chatbot.hours import DAYS, add_business_time, is_open, next_opening, validate
from common.errors import ApplicationError

OFFICE = {
    "zone": "Europe/Stockholm",
    "days": {key: [["09:00", "12:00"], ["13:00", "17:00"]] for key in DAYS[:5]},
}
MINUTE = timedelta(minutes=1)
# Clocks change in each of them near one of the days below; at midnight in Havana, and by half an
# hour at Lord Howe. Shanghai's never do.
ZONES = ["Europe/Stockholm", "America/Havana", "Australia/Lord_Howe", "Asia/Shanghai", "UTC"]
CHANGES = [
    datetime(2026, 3, 7, 12, tzinfo=UTC),
    datetime(2026, 3, 28, 12, tzinfo=UTC),
    datetime(2026, 4, 4, 3, tzinfo=UTC),
    datetime(2026, 10, 3, 3, tzinfo=UTC),
    datetime(2026, 10, 24, 12, tzinfo=UTC),
    datetime(2026, 10, 31, 12, tzinfo=UTC),
]

clocks = st.integers(0, 96).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")


@st.composite
def stretches(draw: st.DrawFn) -> list[list[str]]:
    marks = sorted(draw(st.sets(clocks, max_size=6)))
    return [list(pair) for pair in zip(marks[::2], marks[1::2], strict=False)]


open_weeks = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "days": st.dictionaries(st.sampled_from(DAYS), stretches(), min_size=2),
    }
).map(validate)
starts = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(0, 30 * 3600),
)


def stockholm(*when: int) -> datetime:
    return datetime(*when, tzinfo=ZoneInfo("Europe/Stockholm"))  # type: ignore[arg-type, misc]


@given(open_weeks, starts, st.integers(0, 900))
@settings(deadline=None, max_examples=150)
def test_as_many_open_minutes_pass_as_were_asked_for(
    hours: dict[str, Any], start: datetime, minutes: int
) -> None:
    due = add_business_time(hours, start, minutes)
    # Minute by minute from one whole minute to the next, by the clock on the wall alone.
    passed, at = timedelta(), start
    while at < due:
        then = min(due, at.replace(second=0, microsecond=0) + MINUTE)
        passed += then - at if is_open(hours, at) else timedelta()
        at = then
    assert passed == minutes * MINUTE
    assert not minutes or is_open(hours, due - timedelta(microseconds=1))


@given(open_weeks, starts)
@settings(deadline=None, max_examples=150)
def test_nothing_is_open_before_the_next_opening(hours: dict[str, Any], start: datetime) -> None:
    opening = next_opening(hours, start)
    assert is_open(hours, opening)
    assert opening == start or opening.second == 0
    at = start
    while at < opening:
        assert not is_open(hours, at)
        at += MINUTE


@given(open_weeks, starts, st.integers(0, 500), st.integers(0, 500))
@settings(deadline=None, max_examples=100)
def test_time_adds_up(hours: dict[str, Any], start: datetime, first: int, then: int) -> None:
    between = add_business_time(hours, start, first)
    assert add_business_time(hours, between, then) == add_business_time(hours, start, first + then)


@given(starts, st.integers(0, 100_000))
def test_empty_hours_are_always_open(start: datetime, minutes: int) -> None:
    assert is_open({}, start)
    assert next_opening({}, start) == start
    assert add_business_time({}, start, minutes) == start + minutes * MINUTE


def test_an_evening_runs_on_into_monday_morning() -> None:
    asked = stockholm(2026, 11, 27, 16, 45)
    assert add_business_time(OFFICE, asked, 15) == stockholm(2026, 11, 27, 17)
    assert add_business_time(OFFICE, asked, 30) == stockholm(2026, 11, 30, 9, 15)
    assert next_opening(OFFICE, stockholm(2026, 11, 27, 12)) == stockholm(2026, 11, 27, 13)
    assert not is_open(OFFICE, stockholm(2026, 11, 27, 17))
    assert is_open(OFFICE, stockholm(2026, 11, 27, 16, 59))


def test_an_hour_that_does_not_come_is_not_counted_and_one_that_comes_twice_is_counted_twice() -> (
    None
):
    night = {"zone": "Europe/Stockholm", "days": {"sun": [["01:00", "04:00"]]}}
    before = stockholm(2026, 3, 28, 12)
    assert add_business_time(night, before, 120) == stockholm(2026, 3, 29, 4)
    assert add_business_time(night, stockholm(2026, 10, 24, 12), 240) == stockholm(2026, 10, 25, 4)


def test_the_same_hours_are_kept_in_order_without_closed_days() -> None:
    given = {
        "zone": "Asia/Shanghai",
        "days": {"tue": [["13:00", "24:00"], ["00:00", "12:30"]], "mon": [], "sun": []},
    }
    assert validate(given) == {
        "zone": "Asia/Shanghai",
        "days": {"tue": [["00:00", "12:30"], ["13:00", "24:00"]]},
    }
    assert validate({}) == {}
    assert validate({"zone": "Asia/Shanghai", "days": {"mon": []}}) == {}
    assert validate(OFFICE) == OFFICE


@pytest.mark.parametrize(
    ("hours", "code", "field"),
    [
        (None, "hours_invalid", "hours"),
        ("周一到周五", "hours_invalid", "hours"),
        ([], "hours_invalid", "hours"),
        ({"zone": "UTC"}, "hours_invalid", "hours"),
        ({"zone": 1, "days": {}}, "hours_invalid", "hours"),
        ({"zone": "UTC", "days": {"周一": []}}, "hours_invalid", "hours"),
        ({"zone": "UTC", "days": {}, "more": 1}, "hours_invalid", "hours"),
        ({"zone": "UTC", "days": {"mon": "09:00"}}, "hours_invalid", "hours.days.mon"),
        ({"zone": "UTC", "days": {"mon": [["09:00"]]}}, "hours_invalid", "hours.days.mon"),
        (
            {"zone": "UTC", "days": {"mon": [["00:00", "00:01"]] * 7}},
            "hours_invalid",
            "hours.days.mon",
        ),
        ({"zone": "../../etc/passwd", "days": {}}, "hours_zone_unknown", "hours.zone"),
        ({"zone": "UTC\0", "days": {}}, "hours_zone_unknown", "hours.zone"),
        ({"zone": "北京", "days": {}}, "hours_zone_unknown", "hours.zone"),
        ({"zone": "UTC", "days": {"mon": [["9:00", "17:00"]]}}, "hours_time_invalid", None),
        ({"zone": "UTC", "days": {"mon": [["17:00", "09:00"]]}}, "hours_time_invalid", None),
        ({"zone": "UTC", "days": {"mon": [["09:00", "09:00"]]}}, "hours_time_invalid", None),
        ({"zone": "UTC", "days": {"mon": [["09:00", "24:01"]]}}, "hours_time_invalid", None),
        ({"zone": "UTC", "days": {"mon": [["٠٩:٠٠", "17:00"]]}}, "hours_time_invalid", None),
        ({"zone": "UTC", "days": {"mon": [[9, 17]]}}, "hours_time_invalid", None),
        (
            {"zone": "UTC", "days": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}},
            "hours_overlap",
            "hours.days.mon",
        ),
    ],
)
def test_what_are_no_hours_is_refused_by_name(hours: Any, code: str, field: str | None) -> None:
    with pytest.raises(ApplicationError) as refused:
        validate(hours)
    assert refused.value.code == code
    assert field is None or refused.value.field == field
