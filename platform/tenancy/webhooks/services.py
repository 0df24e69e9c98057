"""Name an address, change it, switch it off, tell it something, and tell it again.

All in the tenant's scope; who may do it is asked at the door. `publish` is for every layer above.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from common.fetch.exchange import FetchError
from common.fetch.public import public_url
from tenancy import audit
from tenancy.scope import current_tenant_id
from tenancy.webhooks import signing
from tenancy.webhooks.doorbell import ring
from tenancy.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from tenancy.webhooks.types import EVENT_TYPES, TEST

MOST_ENDPOINTS = 20
OLD_SECRET_SIGNS = timedelta(hours=24)
State, Reason = WebhookEndpoint.State, WebhookEndpoint.Reason


def publish(event_type: str, data: Mapping[str, Any], *, tenant_id: UUID | None = None) -> None:
    """Tell a tenant's addresses what happened, from within the transaction in which it happens.

    Nothing is sent before that is committed, and nothing is lost after. `tenant_id` only in system
    scope. `data` must be JSON and small: ids, names and figures, never people's words.
    """
    if event_type not in EVENT_TYPES:
        raise ValueError(f"no type of event: {event_type}")
    whose = tenant_id or current_tenant_id()
    active = WebhookEndpoint.objects.filter(tenant_id=whose, state=State.ACTIVE)
    endpoints = [endpoint for endpoint in active if endpoint.wants(event_type)]
    if endpoints:
        _tell(endpoints, event_type, data, whose)


def create_endpoint(
    *, url: str, events: Iterable[str] = (), description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """A new address, and the secret that signs what it is told; it is not shown again."""
    secret = signing.new_secret()
    with transaction.atomic():
        if WebhookEndpoint.objects.count() >= MOST_ENDPOINTS:
            raise ConflictError(
                "too_many_webhooks",
                _("A tenant has at most %(limit)d webhooks.") % {"limit": MOST_ENDPOINTS},
            )
        endpoint = WebhookEndpoint(
            url=checked_url(url), events=_known(events), description=description
        )
        endpoint.sealed_secret = signing.sealed(secret, endpoint)
        endpoint.save()
        audit.record("webhook.created", endpoint)
    return endpoint, secret


def change_endpoint(
    *,
    endpoint: WebhookEndpoint,
    url: str | None = None,
    events: Iterable[str] | None = None,
    description: str | None = None,
) -> WebhookEndpoint:
    """Change what is given, and leave the rest."""
    if url is not None:
        endpoint.url = checked_url(url)
    if events is not None:
        endpoint.events = _known(events)
    if description is not None:
        endpoint.description = description
    with transaction.atomic():
        endpoint.save(update_fields=["url", "events", "description"])
        audit.record("webhook.changed", endpoint)
    return endpoint


def delete_endpoint(*, endpoint: WebhookEndpoint) -> None:
    """The address, and the story of what it was told."""
    with transaction.atomic():
        audit.record("webhook.deleted", endpoint)
        endpoint.delete()


def disable(*, endpoint: WebhookEndpoint, reason: str = Reason.BY_HAND) -> WebhookEndpoint:
    """Tell it nothing more. What waits goes on waiting; twice changes nothing."""
    with transaction.atomic():
        active = WebhookEndpoint.objects.filter(pk=endpoint.pk, state=State.ACTIVE)
        if active.update(state=State.DISABLED, disabled_reason=reason, disabled_at=timezone.now()):
            audit.record("webhook.disabled", endpoint, reason=str(reason))
    endpoint.refresh_from_db()
    return endpoint


def enable(*, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Tell it again, first of all what has waited."""
    with transaction.atomic():
        disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, state=State.DISABLED)
        if disabled.update(
            state=State.ACTIVE, disabled_reason="", disabled_at=None, failing_since=None
        ):
            audit.record("webhook.enabled", endpoint)
            ring()
    endpoint.refresh_from_db()
    return endpoint


def rotate_secret(*, endpoint: WebhookEndpoint) -> str:
    """A new secret, shown once. For a day the one before signs beside it."""
    secret = signing.new_secret()
    with transaction.atomic():
        current = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        endpoint.sealed_previous = current.sealed_secret
        endpoint.previous_until = timezone.now() + OLD_SECRET_SIGNS
        endpoint.sealed_secret = signing.sealed(secret, endpoint)
        endpoint.save(update_fields=["sealed_secret", "sealed_previous", "previous_until"])
        audit.record("webhook.secret_rotated", endpoint)
    return secret


def send_test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """An event without meaning, on the same way as every other."""
    _require_active(endpoint)
    with transaction.atomic():
        data = {"endpoint": str(endpoint.pk)}
        return _tell([endpoint], TEST, data, endpoint.tenant_id)[0]


def replay(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Try now, whatever became of it before, and go on trying as with a new one."""
    _require_active(delivery.endpoint)
    with transaction.atomic():
        audit.record("webhook.replayed", delivery)
        free = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(
            pk__in=WebhookDelivery.objects.under_way().values("pk")
        )
        if not free.update(
            state=WebhookDelivery.State.WAITING,
            tries=0,
            next_attempt_at=timezone.now(),
            lease_until=None,
            delivered_at=None,
        ):
            raise ConflictError("under_way", _("This is being delivered at this moment."))
        ring()
    delivery.refresh_from_db()
    return delivery


def recent_deliveries(*, endpoint: WebhookEndpoint) -> QuerySet[WebhookDelivery]:
    """Newest first, each with its event and its attempts."""
    return (
        WebhookDelivery.objects.filter(endpoint=endpoint)
        .select_related("event")
        .prefetch_related("attempts")
        .order_by("-created_at", "-id")
    )


def checked_url(url: str) -> str:
    """An address that may be called at all. Raises ApplicationError `invalid_address`."""
    try:
        checked = str(public_url(url.strip()))
    except FetchError:
        checked = ""
    if not checked or len(checked) > 2000 or "#" in checked:
        raise ApplicationError(
            "invalid_address",
            _("Give a plain address of the public internet, such as https://example.com/parley."),
            field="url",
        )
    return checked


def _tell(
    endpoints: Iterable[WebhookEndpoint],
    event_type: str,
    data: Mapping[str, Any],
    tenant_id: UUID | None,
) -> list[WebhookDelivery]:
    now = timezone.now()
    event = WebhookEvent.objects.create(
        tenant_id=tenant_id, type=event_type, data=dict(data), created_at=now
    )
    deliveries = WebhookDelivery.objects.bulk_create(
        WebhookDelivery(tenant_id=tenant_id, endpoint=endpoint, event=event, next_attempt_at=now)
        for endpoint in endpoints
    )
    ring()
    return deliveries


def _known(events: Iterable[str]) -> list[str]:
    wanted = sorted(set(events))
    if unknown := [event for event in wanted if event not in EVENT_TYPES]:
        raise ApplicationError(
            "unknown_event",
            _("There is no event “%(name)s”. Known are: %(known)s.")
            % {"name": unknown[0][:80], "known": ", ".join(EVENT_TYPES)},
            field="events",
        )
    return wanted


def _require_active(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_active:
        raise ConflictError("webhook_disabled", _("This webhook is switched off."))
