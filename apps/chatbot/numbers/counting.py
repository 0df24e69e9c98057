"""The figures of a range of days, each by a query; their number does not grow with the rows."""

from __future__ import annotations

import math
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, F, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from apps.chatbot.models import AnswerReview, Conversation, Handoff, Inbox

from .shares import Share

DAYS = (7, 30, 90)
# Solved for good is what stays solved so long.
DURABLE = timedelta(days=7)
# Of 1 to 5: from here on a visitor is content.
CONTENT = 4
# Of conversations `with_fate`: resolved without people.
AUTO = Q(handled=True, handed=False, solved_at__isnull=False)


@dataclass(frozen=True)
class Range:
    """Whole days, the last of them today, by the clock of the inbox where it keeps business hours."""

    first: date
    days: int
    zone: tzinfo
    inbox: Inbox | None = None

    @classmethod
    def of(cls, *, days: int, inbox: Inbox | None = None) -> Range:
        zone = _zone_of(inbox)
        today = timezone.now().astimezone(zone).date()
        return cls(today - timedelta(days=days - 1), days, zone, inbox)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), self.zone).astimezone(UTC)

    def conversations(self) -> Any:
        rows = Conversation.objects.filter(created_at__gte=self.start)
        return rows.filter(inbox=self.inbox) if self.inbox else rows

    def dates(self) -> list[date]:
        return [self.first + timedelta(days=at) for at in range(self.days)]


@dataclass(frozen=True)
class Wait:
    """Seconds until the first answer: of half of them at most `median`, of nine in ten at most `p90`."""

    of: int
    median: float | None
    p90: float | None


@dataclass(frozen=True)
class Numbers:
    range: Range
    conversations: int
    handled: Share
    auto_resolved: Share
    durable: Share
    handed: Share
    reasons: Mapping[str, int]
    reopened: Share
    first_response: Wait
    people_response: Wait
    content_with_bot: Share
    content_with_people: Share
    csat_bot: float | None
    csat_people: float | None
    wrong: Share
    to_review: int
    # date -> (by the bot alone, with people, neither yet)
    days: dict[date, tuple[int, int, int]]


def numbers_of(range: Range) -> Numbers:
    """All figures of the tenant in scope."""
    rows = range.conversations().spoken_in().with_fate()
    counts = rows.aggregate(**_counts())
    reviews = _reviews(range)
    return Numbers(
        range=range,
        conversations=counts["all"],
        handled=Share(counts["met_bot"], counts["all"]),
        auto_resolved=Share(counts["auto"], counts["over"]),
        durable=Share(counts["durable"], counts["ripe"]),
        handed=Share(counts["met_people"], counts["all"]),
        reasons=_reasons(range),
        reopened=Share(counts["reopened"], counts["solved"]),
        first_response=_wait(
            rows.filter(first_response_at__isnull=False).annotate(
                took=F("first_response_at") - F("created_at")
            )
        ),
        people_response=_wait(Handoff.objects.filter(conversation__in=rows).answered_by_people()),
        content_with_bot=Share(counts["bot_content"], counts["bot_rated"]),
        content_with_people=Share(counts["people_content"], counts["people_rated"]),
        csat_bot=counts["bot_mean"],
        csat_people=counts["people_mean"],
        wrong=Share(reviews["wrong"], reviews["reviewed"]),
        to_review=reviews["waiting"],
        days=days_of(range),
    )


def days_of(range: Range) -> dict[date, tuple[int, int, int]]:
    """date -> (by the bot alone, with people, neither yet), each day of the range."""
    rows = range.conversations().spoken_in().with_fate().order_by()
    by_day = rows.annotate(day=TruncDate("created_at", tzinfo=range.zone)).values("day")
    found = {
        row["day"]: (row["bot"], row["people"], row["all"] - row["bot"] - row["people"])
        for row in by_day.annotate(
            all=Count("pk"),
            bot=Count("pk", filter=Q(handled=True, handed=False)),
            people=Count("pk", filter=Q(handed=True)),
        )
    }
    return {day: found.get(day, (0, 0, 0)) for day in range.dates()}


def _counts() -> dict[str, Any]:
    """Of conversations `with_fate`."""
    ripe = AUTO & Q(solved_at__lt=timezone.now() - DURABLE)
    returned = Q(reopened_at__isnull=False, reopened_at__lte=F("solved_at") + DURABLE)
    bot, people = Q(csat__isnull=False, handed=False), Q(csat__isnull=False, handed=True)
    return {
        "all": Count("pk"),
        "met_bot": Count("pk", filter=Q(handled=True)),
        "over": Count("pk", filter=Q(handed=True) | Q(solved_at__isnull=False)),
        "auto": Count("pk", filter=AUTO),
        "ripe": Count("pk", filter=ripe),
        "durable": Count("pk", filter=ripe & ~returned),
        "met_people": Count("pk", filter=Q(handed=True)),
        "solved": Count("pk", filter=Q(solved_at__isnull=False)),
        "reopened": Count("pk", filter=Q(reopened_at__isnull=False)),
        "bot_rated": Count("pk", filter=bot),
        "bot_content": Count("pk", filter=bot & Q(csat__gte=CONTENT)),
        "bot_mean": Avg("csat", filter=bot),
        "people_rated": Count("pk", filter=people),
        "people_content": Count("pk", filter=people & Q(csat__gte=CONTENT)),
        "people_mean": Avg("csat", filter=people),
    }


def _reasons(range: Range) -> dict[str, int]:
    """How many conversations went to people for each reason, the most frequent first."""
    handoffs = Handoff.objects.filter(conversation__in=range.conversations()).order_by()
    found = handoffs.values_list("reason").annotate(n=Count("conversation", distinct=True))
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _wait(rows: QuerySet[Any]) -> Wait:
    """Of rows that are annotated with what each `took`."""
    took = rows.order_by("took").values_list("took", flat=True)
    count = took.count()
    if not count:
        return Wait(0, None, None)
    # By nearest rank, so that each figure is one that somebody waited.
    median, p90 = (took[math.ceil(share * count) - 1] for share in (0.5, 0.9))
    return Wait(count, median.total_seconds(), p90.total_seconds())


def _reviews(range: Range) -> dict[str, int]:
    rows = AnswerReview.objects.filter(answer__finished_at__gte=range.start)
    if range.inbox:
        rows = rows.filter(answer__conversation__inbox=range.inbox)
    verdict = AnswerReview.Verdict
    return rows.aggregate(
        wrong=Count("pk", filter=Q(verdict=verdict.WRONG)),
        reviewed=Count("pk", filter=~Q(verdict=verdict.WAITING)),
        waiting=Count("pk", filter=Q(verdict=verdict.WAITING)),
    )


def _zone_of(inbox: Inbox | None) -> tzinfo:
    try:
        return ZoneInfo(inbox.hours["zone"]) if inbox else UTC
    except (KeyError, TypeError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return UTC
