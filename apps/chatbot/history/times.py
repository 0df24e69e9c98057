"""Moments as other systems write them: seconds since 1970, ISO 8601, and a spreadsheet's local time."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

_LOCAL = re.compile(
    r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?"
    r"(?:[T ]*(?P<before>上午|下午|凌晨|早上|中午|晚上|AM|PM|am|pm)?[ ]*(?P<hour>\d{1,2})[:：时](?P<minute>\d{1,2})分?"
    r"(?:[:：]?(?P<second>\d{1,2})(?:\.\d+)?秒?)?[ ]*(?P<after>AM|PM|am|pm|上午|下午)?)?$"
)
_AFTERNOON = {"下午", "晚上", "PM", "pm"}
_MILLISECONDS = 10_000_000_000


def moment(value: Any, zone: tzinfo | None = None) -> datetime | None:
    """The moment that a cell or a field names, aware; None where it names none.

    A time without a zone is in `zone`, which is by default the one that is active.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _since_1970(float(value))
    text = str(value).strip()
    if text.isdigit() and len(text) in (10, 13):
        return _since_1970(float(text))
    try:
        found = parse_datetime(text) or _local(text)
    except ValueError:
        return None
    if found is None or found.tzinfo is not None:
        return found
    return found.replace(tzinfo=zone or timezone.get_current_timezone())


def _since_1970(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds / (1000 if seconds > _MILLISECONDS else 1), UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _local(text: str) -> datetime | None:
    match = _LOCAL.fullmatch(text)
    if match is None:
        return None
    hour = int(match["hour"] or 0)
    half = match["before"] or match["after"]
    if (half in _AFTERNOON and hour < 12) or (half == "中午" and hour < 3):
        hour += 12
    elif half is not None and half not in _AFTERNOON and half != "中午" and hour == 12:
        hour = 0
    return datetime(  # noqa: DTZ001 - the caller gives it its zone
        int(match["year"]), int(match["month"]), int(match["day"]),
        hour, int(match["minute"] or 0), int(match["second"] or 0),
    )  # fmt: skip
