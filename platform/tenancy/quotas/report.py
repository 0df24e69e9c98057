"""What was used, for pages and programs to show; and the counters that nobody needs any more."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, Sum
from django.utils import timezone

from tenancy.models import NO_KEY, GenerationSlot, Tenant, Usage
from tenancy.quotas.limits import limits_of
from tenancy.quotas.storage import stored_bytes
from tenancy.quotas.windows import Kind, Span, end_of, start_of
from tenancy.scope import tenant_scope

# A limit's name -> what counts against it, and for how long.
_COUNTED = {
    "requests_per_minute": (Kind.REQUESTS, Span.MINUTE),
    "tokens_per_minute": (Kind.TOKENS, Span.MINUTE),
    "tokens_per_month": (Kind.TOKENS, Span.MONTH),
    "training_tokens_per_month": (Kind.TRAINING_TOKENS, Span.MONTH),
}
_BY_DAY = (Kind.REQUESTS, Kind.PROMPT_TOKENS, Kind.COMPLETION_TOKENS, Kind.TRAINING_TOKENS)


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit: how much of it is used, and when it begins anew (None where it does not).

    `limit` is None for a key without a limit of its own, `used` where nobody here knows it.
    """

    name: str
    used: int | None
    limit: int | None
    resets_at: datetime | None

    @property
    def share(self) -> float | None:
        """Used of the limit, 0 to 1."""
        if self.used is None or not self.limit:
            return None
        return min(1.0, self.used / self.limit)


@dataclass(frozen=True, slots=True)
class Day:
    """What was used on one day (UTC)."""

    date: date
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    training_tokens: int = 0


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The meters of now and the days up to today, oldest first, none left out."""

    meters: list[Meter]
    days: list[Day]

    def total(self, kind: str) -> int:
        return sum(getattr(day, kind) for day in self.days)


def usage_of(
    tenant: Tenant | UUID, *, key_id: UUID | None = None, days: int = 30, stored: int | None = None
) -> UsageReport:
    """What a tenant used, or one key of it. `stored` is how many bytes it keeps, where who asks
    knows better than what was measured."""
    with tenant_scope(tenant):
        stored = stored_bytes() if stored is None else stored
        return UsageReport(_meters(key_id, stored), _days(key_id or NO_KEY, days))


def usage_by_key(*, days: int = 30) -> dict[UUID, dict[str, int]]:
    """Of each key of the tenant in scope that did anything: how much of each kind."""
    since = start_of(Span.DAY, timezone.now()) - timedelta(days=days - 1)
    found = (
        Usage.objects.filter(span=Span.DAY, starts_at__gte=since)
        .exclude(key_id=NO_KEY)
        .order_by()
        .values_list("key_id", "kind")
        .annotate(total=Sum("used"))
    )
    keys: dict[UUID, dict[str, int]] = {}
    for key_id, kind, total in found:
        keys.setdefault(key_id, {})[kind] = total
    return keys


def _meters(key_id: UUID | None, stored: int | None) -> list[Meter]:
    now = timezone.now()
    tenant, own = limits_of(key_id)
    limits = tenant if key_id is None else own
    current = Q()
    for span in (Span.MINUTE, Span.MONTH):
        current |= Q(span=span, starts_at=start_of(span, now))
    rows = Usage.objects.filter(current, key_id=key_id or NO_KEY)
    used = {(row.kind, row.span): row.used for row in rows}
    meters = [
        Meter(name, used.get(counted, 0), getattr(limits, name), end_of(counted[1], now))
        for name, counted in _COUNTED.items()
        if key_id is None or name != "training_tokens_per_month"
    ]
    live = GenerationSlot.objects.filter(key_id=key_id or NO_KEY, until__gt=now).count()
    meters.insert(3, Meter("concurrent_generations", live, limits.concurrent_generations, None))
    if key_id is None:
        meters.append(Meter("storage_bytes", stored, limits.storage_bytes, None))
    return meters


def _days(key_id: UUID, days: int) -> list[Day]:
    today = start_of(Span.DAY, timezone.now())
    first = today - timedelta(days=days - 1)
    used: dict[date, dict[str, Any]] = {}
    rows = Usage.objects.filter(
        key_id=key_id, span=Span.DAY, kind__in=_BY_DAY, starts_at__gte=first
    )
    for starts_at, kind, amount in rows.values_list("starts_at", "kind", "used"):
        used.setdefault(starts_at.date(), {})[kind] = amount
    dates = [(first + timedelta(days=number)).date() for number in range(days)]
    return [Day(one, **used.get(one, {})) for one in dates]


def forget_old() -> int:
    """Remove minutes that are over, days beyond a year, slots that ran out. Needs a system scope."""
    now = timezone.now()
    old = Q(span=Span.MINUTE, starts_at__lt=now - timedelta(hours=1)) | Q(
        span=Span.DAY, starts_at__lt=now - timedelta(days=400)
    )
    gone, _by_model = Usage.objects.filter(old).delete()
    GenerationSlot.objects.filter(until__lt=now - timedelta(hours=1)).delete()
    return gone
