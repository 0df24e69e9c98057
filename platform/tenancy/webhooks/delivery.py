"""One attempt: take what is due, send it, note what came of it, and say when to try again."""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from common.fetch.exchange import FetchError, Incoming, Outgoing
from common.fetch.public import fetch_public
from tenancy.scope import tenant_scope
from tenancy.sealing import SealError
from tenancy.webhooks import notices, services, signing
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

# When to try again after the first, second, ... attempt that failed: what Standard Webhooks
# suggests. Ten attempts in 75 hours.
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
# So that what failed together does not come back together.
JITTER = 0.1
# What failed for as long as one message is tried is switched off with it.
TOO_LONG = sum(PAUSES, timedelta()) * (1 - JITTER)
SECONDS = 15.0
LEASE = timedelta(seconds=60)
EXCERPT_BYTES = 1000
# A receiver that lets everybody wait holds up its own tenant alone.
MOST_AT_ONCE = 3
GONE = 410
ASKS_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: a status, or the code of why there is none."""

    latency_ms: int
    status: int | None = None
    error: str = ""
    excerpt: str = ""
    wait: timedelta = timedelta()

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def deliver_next() -> bool:
    """Take one delivery that is due and try it; False where there is none. Needs a system scope."""
    for pk, token in _candidates():
        if not _claim(pk, token):
            continue
        delivery = WebhookDelivery.objects.select_related("endpoint", "event").get(pk=pk)
        with tenant_scope(delivery.tenant_id):
            _note(delivery, attempt(delivery))
        return True
    return False


def attempt(delivery: WebhookDelivery) -> Outcome:
    """Send it, and hear the answer."""
    began = time.monotonic()
    try:
        request = Outgoing(
            "POST",
            delivery.endpoint.url,
            content=signing.body_of(delivery.event).encode(),
            headers=signing.headers_of(delivery.event, delivery.endpoint, timezone.now()),
            seconds=SECONDS,
        )
        answer = fetch_public(request, most=EXCERPT_BYTES)
    except FetchError as error:
        return Outcome(_milliseconds(began), error=error.code[:40])
    except SealError:
        return Outcome(_milliseconds(began), error="secret_unreadable")
    return Outcome(
        _milliseconds(began),
        status=answer.status,
        excerpt=answer.body.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        wait=_asked_to_wait(answer),
    )


def next_pause(tries: int, wait: timedelta = timedelta()) -> timedelta | None:
    """How long to wait after so many attempts that failed; None when it was the last."""
    if tries > len(PAUSES):
        return None
    pause = PAUSES[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return max(pause, min(wait, PAUSES[-1]))


def _candidates() -> list[tuple[UUID, int]]:
    """What is due, oldest first; of each address one at a time, and of each tenant a few."""
    under_way = WebhookDelivery.objects.under_way().order_by()
    busy = under_way.values("tenant_id").annotate(n=Count("pk")).filter(n__gte=MOST_AT_ONCE)
    due = (
        WebhookDelivery.objects.due()
        .exclude(endpoint_id__in=under_way.values("endpoint_id"))
        .exclude(tenant_id__in=busy.values("tenant_id"))
    )
    return list(due.order_by("next_attempt_at", "pk").values_list("pk", "token")[:20])


def _claim(pk: UUID, token: int) -> bool:
    held = WebhookDelivery.objects.due().filter(pk=pk, token=token).values("pk")
    # One UPDATE decides, so that of two workers one goes on.
    return bool(
        WebhookDelivery.objects.filter(pk__in=held, token=token).update(
            token=F("token") + 1, lease_until=timezone.now() + LEASE
        )
    )


def _note(delivery: WebhookDelivery, outcome: Outcome) -> None:
    """All that an attempt leaves behind, if it is still ours to leave."""
    now = timezone.now()
    tries = delivery.tries + 1
    pause = None if outcome.arrived else next_pause(tries, outcome.wait)
    is_over = outcome.arrived or pause is None
    state = WebhookDelivery.State
    with transaction.atomic():
        held = WebhookDelivery.objects.filter(
            pk=delivery.pk, token=delivery.token, state=state.WAITING
        )
        noted = held.update(
            state=state.DELIVERED
            if outcome.arrived
            else state.FAILED
            if is_over
            else state.WAITING,
            tries=tries,
            lease_until=None,
            next_attempt_at=now + pause if pause else None,
            delivered_at=now if outcome.arrived else None,
        )
        if not noted:
            return
        WebhookAttempt.objects.create(
            delivery=delivery,
            number=delivery.attempts.count() + 1,
            status=outcome.status,
            error=outcome.error,
            latency_ms=outcome.latency_ms,
            excerpt=outcome.excerpt,
        )
        _tell_endpoint(delivery, outcome, gave_up=is_over and not outcome.arrived, now=now)


def _tell_endpoint(
    delivery: WebhookDelivery, outcome: Outcome, *, gave_up: bool, now: datetime
) -> None:
    """Since when it fails, and whether that is for good."""
    row = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    if outcome.arrived:
        row.exclude(failing_since=None).update(failing_since=None)
        return
    row.filter(failing_since=None).update(failing_since=now)
    endpoint = row.get()
    reason = WebhookEndpoint.Reason
    if outcome.status == GONE:
        notices.tell_disabled(services.disable(endpoint=endpoint, reason=reason.GONE))
    elif gave_up and endpoint.failing_since and now - endpoint.failing_since >= TOO_LONG:
        notices.tell_disabled(services.disable(endpoint=endpoint, reason=reason.FAILING))


def _asked_to_wait(answer: Incoming) -> timedelta:
    asked = answer.headers.get("retry-after", "")
    if answer.status in ASKS_TO_WAIT and asked.isascii() and asked.isdigit() and len(asked) < 7:
        return timedelta(seconds=int(asked))
    return timedelta()


def _milliseconds(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
