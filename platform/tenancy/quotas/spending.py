"""Requests and tokens, counted before they are served, and set right afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy import counting
from tenancy.models import NO_KEY, Usage
from tenancy.quotas.limits import QuotaError, limits_of
from tenancy.quotas.windows import Kind, Span, counters, start_of, until_end

# Of a minute that is used up, nothing more has to be asked of the database.
_used_up: set[tuple[Any, ...]] = set()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the tightest limit: the figures of the `x-ratelimit-` headers."""

    limit: int
    remaining: int
    resets_in: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens that were counted before they are read and written."""

    tokens: int
    key_id: UUID | None
    at: datetime
    allowance: Allowance


def take_request(key_id: UUID | None = None) -> Allowance:
    """Count one request in this minute. Raises QuotaError where there is none left."""
    tenant, key = limits_of(key_id)
    now = timezone.now()
    rows = counters(
        Kind.REQUESTS, Span.MINUTE, now, 1, key_id,
        tenant.requests_per_minute, key.requests_per_minute,
    )  # fmt: skip
    known = [(row.tenant_id, *counting.counter_of(row), row.starts_at, row.ceiling) for row in rows]
    if not _used_up.isdisjoint(known):
        raise _too_many_requests(rows, now)
    used = counting.add(rows + counters(Kind.REQUESTS, Span.DAY, now, 1, key_id))
    refused = [row for row in rows if counting.counter_of(row) not in used]
    if refused:
        _take_back(used, now, 1)
        _remember(known, rows, refused)
        raise _too_many_requests(refused, now)
    return _allowance(rows, used, now)


def reserve_tokens(tokens: int, key_id: UUID | None = None) -> Reservation:
    """Count tokens before they are used: the prompt's, and as many as may be written.

    Raises QuotaError where the minute or the month has not so many left.
    """
    tenant, key = limits_of(key_id)
    now = timezone.now()
    minute = counters(
        Kind.TOKENS, Span.MINUTE, now, tokens, key_id,
        tenant.tokens_per_minute, key.tokens_per_minute,
    )  # fmt: skip
    month = counters(
        Kind.TOKENS, Span.MONTH, now, tokens, key_id,
        tenant.tokens_per_month, key.tokens_per_month,
    )  # fmt: skip
    rows = minute + month
    used = counting.add(rows)
    refused = [row for row in rows if counting.counter_of(row) not in used]
    if refused:
        _take_back(used, now, tokens)
        raise _too_many_tokens(refused[-1], now)
    return Reservation(tokens, key_id, now, _allowance(minute, used, now))


def settle_tokens(reserved: Reservation, *, prompt: int, completion: int) -> None:
    """Count what was used in place of what was reserved.

    Never called where the process was killed: the reserved tokens then stay counted.
    """
    difference = prompt + completion - reserved.tokens
    if difference:
        reserved_in = Q()
        for span in (Span.MINUTE, Span.MONTH):
            reserved_in |= Q(span=span, starts_at=start_of(span, reserved.at))
        keys = [NO_KEY] if reserved.key_id is None else [NO_KEY, reserved.key_id]
        Usage.objects.filter(reserved_in, kind=Kind.TOKENS, key_id__in=keys).update(
            used=Greatest(F("used") + difference, 0)
        )
    days = [
        row
        for kind, tokens in ((Kind.PROMPT_TOKENS, prompt), (Kind.COMPLETION_TOKENS, completion))
        for row in counters(kind, Span.DAY, reserved.at, tokens, reserved.key_id)
        if tokens
    ]
    if days:
        counting.add(days)


def _take_back(used: Iterable[counting.Counter], at: datetime, by: int) -> None:
    """Of a request that was refused by one counter, nothing stays in the others."""
    added = Q()
    for key_id, kind, span in used:
        added |= Q(key_id=key_id, kind=kind, span=span, starts_at=start_of(span, at))
    if added:
        Usage.objects.filter(added).update(used=Greatest(F("used") - by, 0))


def _remember(known: list[tuple[Any, ...]], rows: list[Usage], refused: list[Usage]) -> None:
    if len(_used_up) > 10_000:
        _used_up.clear()
    _used_up.update(mark for mark, row in zip(known, rows, strict=True) if row in refused)


def _allowance(rows: list[Usage], used: dict[counting.Counter, int], now: datetime) -> Allowance:
    left = [
        (row.ceiling - used[counting.counter_of(row)], row.ceiling)
        for row in rows
        if row.ceiling is not None
    ]
    remaining, limit = min(left)
    return Allowance(limit, max(0, remaining), until_end(rows[0].span, now))


def _too_many_requests(rows: list[Usage], now: datetime) -> QuotaError:
    limit = min(row.ceiling for row in rows if row.ceiling is not None)
    return QuotaError(
        "rate_limit_exceeded",
        _("More than %(limit)d requests a minute are not allowed. Try again shortly.")
        % {"limit": limit},
        limit=limit,
        wait=until_end(Span.MINUTE, now),
    )


def _too_many_tokens(row: Usage, now: datetime) -> QuotaError:
    limit, asked = row.ceiling or 0, row.used
    if row.span == Span.MONTH:
        return QuotaError(
            "insufficient_quota",
            _("The month's %(limit)d tokens are used up, or this request needs more than are left.")
            % {"limit": limit},
            limit=limit,
            wait=until_end(Span.MONTH, now),
        )
    return QuotaError(
        "rate_limit_exceeded",
        _(
            "This request needs up to %(asked)d tokens; of the %(limit)d a minute, fewer are left. "
            "Ask for fewer with max_tokens, or try again shortly."
        )
        % {"asked": asked, "limit": limit},
        limit=limit,
        wait=until_end(Span.MINUTE, now),
    )
