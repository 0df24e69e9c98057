"""What a tenant and its keys may use, counted before the work is done.

    quotas.take_request(key_id=key.pk)
    with quotas.generating(key_id=key.pk):
        reserved = quotas.reserve_tokens(900, key_id=key.pk)
        ...
        quotas.settle_tokens(reserved, prompt=310, completion=42)

Everything acts for the tenant in scope. Minutes, days and months are those of UTC, for every tenant.
Call these outside a transaction: a counter is locked until the transaction that changed it ends.
"""

from tenancy.quotas.limits import (
    MOST_OF_KEYS,
    NAMES,
    NAMES_OF_KEYS,
    Limits,
    QuotaError,
    limits_of,
    set_key_limits,
)
from tenancy.quotas.report import Day, Meter, UsageReport, forget_old, usage_by_key, usage_of
from tenancy.quotas.slots import generating, longest_answer
from tenancy.quotas.spending import (
    Allowance,
    Reservation,
    reserve_tokens,
    settle_tokens,
    take_request,
)
from tenancy.quotas.storage import require_room, room_left, stored_bytes
from tenancy.quotas.training import (
    count_training_tokens,
    require_training_tokens,
    training_tokens_used,
)

__all__ = [
    "MOST_OF_KEYS",
    "NAMES",
    "NAMES_OF_KEYS",
    "Allowance",
    "Day",
    "Limits",
    "Meter",
    "QuotaError",
    "Reservation",
    "UsageReport",
    "count_training_tokens",
    "forget_old",
    "generating",
    "limits_of",
    "longest_answer",
    "require_room",
    "require_training_tokens",
    "reserve_tokens",
    "room_left",
    "set_key_limits",
    "settle_tokens",
    "stored_bytes",
    "take_request",
    "training_tokens_used",
    "usage_by_key",
    "usage_of",
]
