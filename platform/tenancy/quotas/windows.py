"""Minutes, days and months of UTC, and the counters of each."""

from datetime import datetime, timedelta
from uuid import UUID

from tenancy.models import NO_KEY, Usage

Kind, Span = Usage.Kind, Usage.Span


def start_of(span: str, at: datetime) -> datetime:
    at = at.replace(second=0, microsecond=0)
    if span == Span.MINUTE:
        return at
    at = at.replace(hour=0, minute=0)
    return at if span == Span.DAY else at.replace(day=1)


def end_of(span: str, at: datetime) -> datetime:
    start = start_of(span, at)
    if span == Span.MINUTE:
        return start + timedelta(minutes=1)
    if span == Span.DAY:
        return start + timedelta(days=1)
    return (start + timedelta(days=32)).replace(day=1)


def until_end(span: str, now: datetime) -> float:
    """Seconds that are left of the window."""
    return (end_of(span, now) - now).total_seconds()


def counters(
    kind: str,
    span: str,
    at: datetime,
    amount: int,
    key_id: UUID | None = None,
    ceiling: int | None = None,
    ceiling_of_key: int | None = None,
) -> list[Usage]:
    """The tenant's counter, and the key's."""
    start = start_of(span, at)
    rows = [Usage(kind=kind, span=span, starts_at=start, used=amount, ceiling=ceiling)]
    if key_id is not None and (ceiling_of_key is not None or span == Span.DAY):
        rows.append(
            Usage(
                key_id=key_id,
                kind=kind,
                span=span,
                starts_at=start,
                used=amount,
                ceiling=ceiling_of_key,
            )
        )
    return rows


def used_in(kind: str, span: str, at: datetime, key_id: UUID = NO_KEY) -> int:
    found = Usage.objects.filter(
        key_id=key_id, kind=kind, span=span, starts_at=start_of(span, at)
    ).values_list("used", flat=True)
    return found.first() or 0
