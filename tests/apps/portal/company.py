"""People, keys, webhooks and a month of use around the story: what the settings of a tenant show."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, User
from tenancy import audit
from tenancy.models import NO_KEY, AuditEntry, Invitation, Membership, Tenant, Usage
from tenancy.quotas.windows import Span, start_of
from tenancy.scope import tenant_scope
from tenancy.webhooks import services as webhooks
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tests.factories import make_member

# What the webhook was told, and what it answered: status, else the code of why there is none, and text.
TOLD: tuple[tuple[str, list[tuple[int | None, str, str]]], ...] = (
    ("deployment.promoted", [(200, "", "ok")]),
    ("job.succeeded", [(None, "timed_out", ""), (503, "", "稍后再试"), (200, "", "")]),
    ("job.failed", [(500, "", '{"error": "no such channel"}')] * 2),
)


@dataclass(frozen=True)
class Company:
    member: Membership
    key: ApiKey
    webhook: WebhookEndpoint


def furnish(tenant: Tenant, owner: User) -> Company:
    wang = make_member(tenant, "annotator", email="wang.fang@example.com", name="王芳")
    make_member(tenant, "admin", email="j.dvorak@example.com", name="Jiří Dvořák")
    make_member(tenant, "agent", email="a-rather-long-address-of-support@subsidiary.example.com")
    with tenant_scope(tenant), audit.acting(audit.Actor("person", str(owner.pk))):
        member = Membership.objects.select_related("user").get(user=wang)
        for email, role in (("li.na@example.com", "annotator"), ("sam@example.com", "viewer")):
            services.invite(email=email, role=role, by=None)
        Invitation.objects.update(invited_by=owner)
        Invitation.objects.filter(email="sam@example.com").update(
            expires_at=timezone.now() - timedelta(days=1)
        )
        services.change_role(membership=member, role="annotator", by=None)
        key = _keys()
        _use(key)
        endpoint = _webhooks()
        _spread_over_days()
    return Company(member, key, endpoint)


def _keys() -> ApiKey:
    website, _secret = services.create_api_key(name="官网 website", scopes=["generate"], by=None)
    services.create_api_key(
        name="CI",
        scopes=["view", "annotate", "train"],
        by=None,
        expires_at=timezone.now() + timedelta(days=64),
    )
    old, _secret = services.create_api_key(name="Trial script", scopes=["view"], by=None)
    services.revoke_api_key(key=old)
    ApiKey.objects.filter(pk=website.pk).update(last_used_at=timezone.now() - timedelta(minutes=3))
    services.limit_api_key(key=website, requests_per_minute=120, tokens_per_month=2_000_000)
    website.refresh_from_db()
    return website


def _use(key: ApiKey) -> None:
    """Two months of days that look like working weeks, and a month that is nearly used up."""
    chance = random.Random(7)
    today = start_of(Span.DAY, timezone.now())
    rows = []
    for back in range(60):
        day = today - timedelta(days=back)
        busy = 0.25 if day.weekday() >= 5 else 1.0
        requests = round(busy * (420 - 3 * back + chance.gauss(0, 40)))
        for key_id, share in ((NO_KEY, 1.0), (key.pk, 0.8)):
            asked = max(0, round(requests * share))
            rows += _day(key_id, day, asked, chance)
    rows.append(_month(NO_KEY, "tokens", 4_312_900))
    rows.append(_month(key.pk, "tokens", 1_733_000))
    rows.append(_month(NO_KEY, "training_tokens", 355_296))
    Usage.objects.bulk_create(rows)


def _day(key_id: UUID, day: datetime, asked: int, chance: random.Random) -> list[Usage]:
    kinds = {
        "requests": asked,
        "prompt_tokens": asked * 310 + chance.randrange(900),
        "completion_tokens": asked * 74 + chance.randrange(300),
    }
    if key_id == NO_KEY and day.day % 9 == 0:
        kinds["training_tokens"] = 118_432
    return [
        Usage(key_id=key_id, kind=kind, span=Span.DAY, starts_at=day, used=used)
        for kind, used in kinds.items()
    ]


def _month(key_id: UUID, kind: str, used: int) -> Usage:
    starts_at = start_of(Span.MONTH, timezone.now())
    return Usage(key_id=key_id, kind=kind, span=Span.MONTH, starts_at=starts_at, used=used)


def _webhooks() -> WebhookEndpoint:
    endpoint, _secret = webhooks.create_endpoint(
        url="https://hooks.example.com/parley/jobs", description="部署机器人 deploy bot"
    )
    failing, _secret = webhooks.create_endpoint(
        url="https://staging.example.com/a/rather/long/path/that/leads/to/the/receiver?of=events",
        events=["job.failed"],
    )
    WebhookEndpoint.objects.filter(pk=failing.pk).update(
        failing_since=timezone.now() - timedelta(hours=5)
    )
    now = timezone.now()
    for back, (event, told) in enumerate(TOLD):
        webhooks.publish(event, {"id": "1"})
        delivery = WebhookDelivery.objects.filter(endpoint=endpoint).latest("created_at")
        at = now - timedelta(hours=3 * back + 1)
        for number, (status, error, excerpt) in enumerate(told, 1):
            WebhookAttempt.objects.create(
                delivery=delivery,
                number=number,
                status=status,
                error=error,
                excerpt=excerpt,
                latency_ms=41 * number,
                created_at=at + timedelta(minutes=5 * number),
            )
        arrived = told[-1][0] == 200
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            state="delivered" if arrived else "failed", created_at=at, tries=len(told)
        )
    return endpoint


def _spread_over_days() -> None:
    """The trail is written in a moment; a page is truer with days between. It cannot be changed, so
    that only new lines carry older times."""
    at = timezone.now() - timedelta(days=40)
    for number, action in enumerate(("tenant.opened", "tenant.changed")):
        entry = AuditEntry(
            actor_kind="system", action=action, created_at=at + timedelta(days=number), data={}
        )
        entry.save(force_insert=True)
