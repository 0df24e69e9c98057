"""The queues page: what waits and runs, whose it is, who holds it, and whether anybody is at work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from labeling.models.work import Work
from labeling.models.work import kinds as kinds_of_work
from tenancy.models import Tenant
from tenancy.webhooks.models import WebhookDelivery

from .. import sightings
from ..dispatch import KINDS
from ..models import State

MOST_TENANTS = 50


@dataclass(frozen=True)
class Line:
    """One kind of work."""

    name: Any
    waiting: int
    running: int
    failed: int
    oldest: datetime | None


def page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("gpt_core.view_finetuningjob"):
        raise PermissionDenied
    beat = sightings.beat_seen_at()
    context = admin.site.each_context(request) | {
        "title": _("Queues"),
        "lines": lines(),
        "states": states(),
        "tenants": by_tenant(),
        "held": held(),
        "beat_name": sightings.BEAT,
        "beat": beat,
        "beat_is_late": sightings.is_late(beat),
        "workers": [(one, sightings.is_late(one.seen_at)) for one in sightings.workers()],
        "silent": silent_queues(),
        "now": timezone.now(),
    }
    return TemplateResponse(request, "admin/queues.html", context)


def lines() -> list[Line]:
    found = []
    for kind in KINDS:
        figures = kind.objects.order_by().aggregate(
            waiting=Count("pk", filter=Q(state__in=[State.QUEUED, State.VALIDATING_FILES])),
            running=Count("pk", filter=Q(state=State.RUNNING)),
            failed=Count("pk", filter=Q(state=State.FAILED)),
            oldest=Min("queued_at", filter=Q(state=State.QUEUED)),
        )
        found.append(Line(kind._meta.verbose_name_plural, **figures))
    for work in kinds_of_work():
        figures = work.objects.order_by().aggregate(
            waiting=Count("pk", filter=Q(state=Work.State.QUEUED)),
            running=Count("pk", filter=Q(state=Work.State.RUNNING)),
            failed=Count("pk", filter=Q(state=Work.State.FAILED)),
            oldest=Min("created_at", filter=Q(state=Work.State.QUEUED)),
        )
        found.append(Line(work._meta.verbose_name_plural, **figures))
    figures = WebhookDelivery.objects.order_by().aggregate(
        waiting=Count("pk", filter=Q(state=WebhookDelivery.State.WAITING)),
        failed=Count("pk", filter=Q(state=WebhookDelivery.State.FAILED)),
        oldest=Min("created_at", filter=Q(state=WebhookDelivery.State.WAITING)),
    )
    running = WebhookDelivery.objects.under_way().count()
    return [*found, Line(_("webhook deliveries"), running=running, **figures)]


def states() -> list[tuple[Any, list[int]]]:
    """Each state with the number of jobs of each kind, in the order of KINDS."""
    counts = [
        dict(kind.objects.order_by().values_list("state").annotate(n=Count("pk"))) for kind in KINDS
    ]
    return [
        (state.label, [found.get(state.value, 0) for found in counts])
        for state in State
        if any(found.get(state.value) for found in counts)
    ]


def by_tenant() -> list[dict[str, Any]]:
    """Who has work waiting or running, most waiting first."""
    found: dict[Any, dict[str, Any]] = {}
    for kind in KINDS:
        for row in (
            kind.objects.open()
            .order_by()
            .values("tenant_id")
            .annotate(
                waiting=Count("pk", filter=Q(state__in=[State.QUEUED, State.VALIDATING_FILES])),
                running=Count("pk", filter=Q(state=State.RUNNING)),
                paused=Count("pk", filter=Q(state=State.PAUSED)),
                oldest=Min("queued_at", filter=Q(state=State.QUEUED)),
            )
        ):
            sums = found.setdefault(
                row["tenant_id"], {"waiting": 0, "running": 0, "paused": 0, "oldest": None}
            )
            for name in ("waiting", "running", "paused"):
                sums[name] += row[name]
            moments = [one for one in (sums["oldest"], row["oldest"]) if one is not None]
            sums["oldest"] = min(moments, default=None)
    order = sorted(found, key=lambda one: (-found[one]["waiting"], -found[one]["running"], one))
    tenants = Tenant.objects.in_bulk(order[:MOST_TENANTS])
    return [found[one] | {"tenant": tenants[one]} for one in order[:MOST_TENANTS] if one in tenants]


def held() -> list[dict[str, Any]]:
    """What workers hold now, the one that was silent longest first."""
    rows = [
        {
            "row": row,
            "kind": kind._meta.verbose_name,
            "address": f"admin:gpt_core_{kind._meta.model_name}_change",
            "is_over": row.lease_until is not None and row.lease_until < timezone.now(),
        }
        for kind in KINDS
        for row in kind.objects.filter(state=State.RUNNING).select_related("tenant")[:100]
    ]
    return sorted(rows, key=lambda one: one["row"].heartbeat_at or timezone.now())


def silent_queues() -> list[str]:
    """Queues that nobody was heard from lately, and of which nobody holds a job either."""
    heard = {one.queue for one in sightings.workers() if not sightings.is_late(one.seen_at)}
    if any(kind.objects.filter(state=State.RUNNING).exists() for kind in KINDS):
        heard.add("training")
    return [queue for queue in sightings.QUEUES if queue not in heard]
