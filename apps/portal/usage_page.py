"""What was used against what may be used, in words and figures for the page and its charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey
from tenancy import quotas
from tenancy.models import Tenant

if TYPE_CHECKING:
    from uuid import UUID

    from django_stubs_ext import StrPromise

DAYS = 30
KINDS = ("requests", "prompt_tokens", "completion_tokens", "training_tokens")
# From here on a limit is worth a thought before it is reached.
NEAR = 0.8

METERS: Mapping[str, StrPromise] = {
    "requests_per_minute": _("Requests in this minute"),
    "tokens_per_minute": _("Tokens in this minute"),
    "tokens_per_month": _("Tokens of answers this month"),
    "concurrent_generations": _("Answers being written now"),
    "training_tokens_per_month": _("Tokens of training this month"),
    "storage_bytes": _("Stored"),
}


@dataclass(frozen=True)
class Bar:
    """One limit as a bar. `used` and `limit` are as people write them."""

    name: str
    used: str
    limit: str
    share: float
    tone: str
    resets_at: datetime | None


@dataclass(frozen=True)
class Total:
    """The sum of the last thirty days beside that of the thirty before."""

    used: int
    before: int

    @property
    def change(self) -> float | None:
        """0.12 for 12 % more; None where there is nothing to compare with."""
        return (self.used - self.before) / self.before if self.before else None


@dataclass(frozen=True)
class KeyUse:
    """What one key used; None stands for people on the pages, who hold no key."""

    key: ApiKey | None
    requests: int
    answer_tokens: int


def bars(report: quotas.UsageReport) -> list[Bar]:
    """The limits that hold. What has none is not counted: a key has none but those it was given."""
    known = (one for one in report.meters if one.used is not None and one.limit is not None)
    return [_bar(meter) for meter in known]


def totals(tenant: Tenant) -> dict[str, Total]:
    days = quotas.usage_of(tenant, days=2 * DAYS).days
    now, before = days[DAYS:], days[:DAYS]
    return {
        kind: Total(_sum(now, kind), _sum(before, kind))
        for kind in ("requests", "answer_tokens", "training_tokens")
    }


def by_key(whole: Mapping[str, Total]) -> list[KeyUse]:
    """The busiest key first, and last what was asked without one."""
    used = quotas.usage_by_key(days=DAYS)
    keys = {key.pk: key for key in ApiKey.objects.filter(pk__in=used)}
    rows = [
        KeyUse(keys[pk], kinds.get("requests", 0), _answer_tokens(kinds))
        for pk, kinds in used.items()
        if pk in keys
    ]
    rows.sort(key=lambda row: (-row.requests, str(row.key)))
    rest = KeyUse(
        None,
        max(0, whole["requests"].used - sum(row.requests for row in rows)),
        max(0, whole["answer_tokens"].used - sum(row.answer_tokens for row in rows)),
    )
    return [*rows, rest] if rest.requests or rest.answer_tokens else rows


def chart(tenant: Tenant, key_id: UUID | None) -> dict[str, Any]:
    """The days as columns: {"days": ["2026-11-01", ...], "requests": [...], ...}."""
    days = quotas.usage_of(tenant, key_id=key_id, days=DAYS).days
    figures: dict[str, Any] = {kind: [getattr(day, kind) for day in days] for kind in KINDS}
    return {"days": [day.date.isoformat() for day in days]} | figures


def _bar(meter: quotas.Meter) -> Bar:
    assert meter.used is not None, "only what is known is drawn"
    assert meter.limit is not None, "only what is limited is drawn"
    write = _bytes if meter.name == "storage_bytes" else _count
    # Nothing at all is allowed: that is used up.
    share = 1.0 if meter.share is None else meter.share
    return Bar(
        name=str(METERS[meter.name]),
        used=write(meter.used),
        limit=write(meter.limit),
        share=share,
        tone="bad" if share >= 1 else "warn" if share >= NEAR else "",
        resets_at=meter.resets_at,
    )


def _count(value: int) -> str:
    return str(number_format(value, force_grouping=True))


def _bytes(value: int) -> str:
    return str(filesizeformat(value))


def _sum(days: list[quotas.Day], kind: str) -> int:
    if kind == "answer_tokens":
        return _sum(days, "prompt_tokens") + _sum(days, "completion_tokens")
    return sum(getattr(day, kind) for day in days)


def _answer_tokens(kinds: Mapping[str, int]) -> int:
    return kinds.get("prompt_tokens", 0) + kinds.get("completion_tokens", 0)
