"""The limits themselves: the tenant's, a key's own, and the error that says one is reached."""

from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from common.errors import ApplicationError
from tenancy.models import Quota


class QuotaError(ApplicationError):
    """A limit is reached. `wait` is how many seconds until it may be tried again."""

    status_hint = 429

    def __init__(self, code: str, detail: Any, *, limit: int, wait: float) -> None:
        self.wait = max(wait, 0.1)
        super().__init__(code, detail, extra={"limit": limit, "retry_after": int(self.wait) + 1})


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of a tenant; of a key, None where it has none of its own."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_month: int | None
    concurrent_generations: int | None
    training_tokens_per_month: int | None
    storage_bytes: int | None


NAMES = tuple(one.name for one in fields(Limits))
# What a key can have of its own, and the most of it: training and storage are the tenant's.
MOST_OF_KEYS = {
    "requests_per_minute": 2**31 - 1,
    "tokens_per_minute": 2**31 - 1,
    "tokens_per_month": 2**53,
    "concurrent_generations": 10_000,
}
NAMES_OF_KEYS = tuple(MOST_OF_KEYS)


def limits_of(key_id: UUID | None = None) -> tuple[Limits, Limits]:
    """The limits of the tenant in scope, and those that one of its keys has besides."""
    rows = Quota.objects.filter(Q(key_id=None) | Q(key_id=key_id))
    found = {row.key_id: row for row in rows}
    own = found.get(None)
    tenant = {
        name: value if (value := getattr(own, name, None)) is not None else settings.QUOTAS[name]
        for name in NAMES
    }
    key = found.get(key_id) if key_id else None
    return Limits(**tenant), Limits(**{name: getattr(key, name, None) for name in NAMES})


def set_key_limits(key_id: UUID, **limits: int | None) -> Limits:
    """Give a key limits of its own; the tenant's hold besides. None takes one away."""
    Quota.objects.update_or_create(
        key_id=key_id, defaults={name: limits.get(name) for name in NAMES_OF_KEYS}
    )
    return limits_of(key_id)[1]
