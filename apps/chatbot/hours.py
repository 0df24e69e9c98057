"""When people are there: hours of the week in one zone, and time that passes only while it is open.

`hours` is {"zone": "Europe/Stockholm", "days": {"mon": [["09:00", "17:00"]], ...}} as validate()
returns it; empty means always open. An instant is open where the clock on the wall says so, on the
days when that clock is put forward or back as well.
"""

from __future__ import annotations

import functools
import itertools
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_A_DAY = 6
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

Hours = Mapping[str, Any]
Stretch = tuple[datetime, datetime]


def is_open(hours: Hours, at: datetime) -> bool:
    """Whether somebody is there at this instant."""
    if not hours:
        return True
    local = at.astimezone(ZoneInfo(hours["zone"]))
    minute = local.hour * 60 + local.minute
    return any(begin <= minute < end for begin, end in _of_day(hours, local.date()))


def next_opening(hours: Hours, at: datetime) -> datetime:
    """The first instant from `at` on that is open; `at` itself where it is."""
    if not hours:
        return at
    begin, _end = next(_stretches(hours, at))
    return begin


def closed_until(hours: Hours, at: datetime) -> datetime | None:
    """When somebody is there again; None where somebody is."""
    opens = next_opening(hours, at)
    return opens if opens > at else None


def add_business_time(hours: Hours, start: datetime, minutes: int) -> datetime:
    """The instant at which so many open minutes have passed since `start`."""
    left = timedelta(minutes=minutes)
    if not hours or not left:
        return start + left
    for begin, end in _stretches(hours, start):
        if left <= end - begin:
            return begin + left
        left -= end - begin
    raise AssertionError("hours that validate() returned open every week")


def validate(hours: object) -> dict[str, Any]:
    """The same hours in order, without closed days; {} where no day is open at all.

    Raises ApplicationError: hours_invalid, hours_zone_unknown, hours_time_invalid, hours_overlap.
    """
    if hours == {}:
        return {}
    if not isinstance(hours, dict) or set(hours) != {"zone", "days"}:
        raise _invalid()
    zone, days = hours["zone"], hours["days"]
    if not isinstance(zone, str) or not isinstance(days, dict) or set(days) - set(DAYS):
        raise _invalid()
    if zone not in _zones():
        raise ApplicationError(
            "hours_zone_unknown", _("This time zone is not known."), field="hours.zone"
        )
    kept = {day: _in_order(day, days[day]) for day in DAYS if days.get(day)}
    return {"zone": zone, "days": kept} if kept else {}


# --- Reading what people give --------------------------------------------------------------------


def _in_order(day: str, given: object) -> list[list[str]]:
    if not isinstance(given, list | tuple) or len(given) > MOST_A_DAY:
        raise _invalid(day)
    for one in given:
        if not isinstance(one, list | tuple) or len(one) != 2:
            raise _invalid(day)
        if not all(isinstance(at, str) and _CLOCK.fullmatch(at) for at in one):
            raise _no_time(day)
        if one[0] >= one[1]:
            raise _no_time(day)
    kept = sorted([begin, end] for begin, end in given)
    if any(after[0] < before[1] for before, after in itertools.pairwise(kept)):
        raise ApplicationError(
            "hours_overlap", _("Two times of one day overlap."), field=f"hours.days.{day}"
        )
    return kept


def _no_time(day: str) -> ApplicationError:
    return ApplicationError(
        "hours_time_invalid",
        _("Write two times such as 09:00 and 17:00, the earlier one first."),
        field=f"hours.days.{day}",
    )


def _invalid(day: str = "") -> ApplicationError:
    return ApplicationError(
        "hours_invalid",
        _("Business hours are a time zone and the times of each day."),
        field=f"hours.days.{day}" if day else "hours",
    )


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


# --- The stretches of time that are open -----------------------------------------------------------


def _stretches(hours: Hours, start: datetime) -> Iterator[Stretch]:
    """Every open stretch from `start` on, in order, in UTC, without end."""
    zone, start = ZoneInfo(hours["zone"]), start.astimezone(UTC)
    day = start.astimezone(zone).date()
    while True:
        for begin, end in _open_on(hours, day, zone):
            if end > start:
                yield max(begin, start), end
        day += _DAY


def _open_on(hours: Hours, day: date, zone: ZoneInfo) -> Iterator[Stretch]:
    midnight = datetime.combine(day, time(), zone)
    begin, end = midnight.astimezone(UTC), (midnight + _DAY).astimezone(UTC)
    if end - begin == _DAY and _offset(begin, zone) == _offset(end, zone):
        for opens, closes in _of_day(hours, day):
            yield begin + opens * _MINUTE, begin + closes * _MINUTE
        return
    # The clock is changed on this day: some of its times do not come, others come twice.
    opened: datetime | None = None
    at = begin
    while at < end:
        if is_open(hours, at) != (opened is not None):
            if opened is not None:
                yield opened, at
            opened = at if opened is None else None
        at += _MINUTE
    if opened is not None:
        yield opened, end


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _of_day(hours: Hours, day: date) -> Iterator[tuple[int, int]]:
    """Its times in minutes since midnight."""
    for begin, end in hours["days"].get(DAYS[day.weekday()], ()):
        yield _minutes(begin), _minutes(end)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
