"""Secrets, and the headers that prove where a message comes from (Standard Webhooks 1.0)."""

import base64
import json
import secrets
from datetime import datetime

from standardwebhooks import Webhook

from tenancy.sealing import seal, unseal
from tenancy.webhooks.models import WebhookEndpoint, WebhookEvent


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def sealed(secret: str, endpoint: WebhookEndpoint) -> str:
    return seal(secret.encode(), purpose=_purpose(endpoint))


def message_id(event: WebhookEvent) -> str:
    """The same at every attempt, so that a receiver can see that it has the message already."""
    return f"msg_{event.pk.hex}"


def body_of(event: WebhookEvent) -> str:
    """The same text at every attempt."""
    content = {
        "type": event.type,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": event.data,
    }
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def headers_of(event: WebhookEvent, endpoint: WebhookEndpoint, now: datetime) -> dict[str, str]:
    """Signed with the secret, and for a day after a change of it with the one before as well."""
    kept = [endpoint.sealed_secret]
    if endpoint.sealed_previous and endpoint.previous_until and now < endpoint.previous_until:
        kept.append(endpoint.sealed_previous)
    body = body_of(event)
    signatures = [
        Webhook(unseal(one, purpose=_purpose(endpoint)).decode()).sign(
            message_id(event), now.replace(tzinfo=None), body
        )
        for one in kept
    ]
    return {
        "webhook-id": message_id(event),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": "Parley-Webhooks/1",
    }


def _purpose(endpoint: WebhookEndpoint) -> str:
    return f"webhook:{endpoint.pk}"
