"""Tokens trained on, by the month."""

from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy import counting
from tenancy.quotas.limits import QuotaError, limits_of
from tenancy.quotas.windows import Kind, Span, counters, end_of, until_end, used_in


def require_training_tokens(estimated: int, *, pending: int = 0) -> None:
    """Refuse a job that the month has no room for. `pending` is what unfinished jobs are to use yet.

    A job that was let in finishes, also where its estimate was too low; the next one is refused.
    """
    now = timezone.now()
    limit = limits_of()[0].training_tokens_per_month or 0
    used = used_in(Kind.TRAINING_TOKENS, Span.MONTH, now)
    if used + pending + estimated > limit:
        left = max(0, limit - used - pending)
        raise QuotaError(
            "insufficient_quota",
            _(
                "This training takes about %(estimated)d tokens, and %(left)d of the month's "
                "%(limit)d are left. The month ends on %(end)s (UTC)."
            )
            % {
                "estimated": estimated,
                "left": left,
                "limit": limit,
                "end": f"{end_of(Span.MONTH, now) - timedelta(seconds=1):%Y-%m-%d}",
            },
            limit=limit,
            wait=until_end(Span.MONTH, now),
        )


def training_tokens_used() -> int:
    """Tokens trained on in this month."""
    return used_in(Kind.TRAINING_TOKENS, Span.MONTH, timezone.now())


def count_training_tokens(tokens: int) -> None:
    """Count tokens that were trained on; never refused, for the work is done."""
    if tokens > 0:
        now = timezone.now()
        counting.add(
            counters(Kind.TRAINING_TOKENS, Span.DAY, now, tokens)
            + counters(Kind.TRAINING_TOKENS, Span.MONTH, now, tokens)
        )
