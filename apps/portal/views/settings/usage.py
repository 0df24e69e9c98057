"""What the tenant used, day by day and key by key, against what it may use."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.access import tenant_page
from accounts.models import ApiKey
from accounts.permissions import can_manage
from apps.portal import usage_page
from apps.portal.requests import TenantRequest
from tenancy import quotas


@require_safe
@tenant_page()
def usage(request: TenantRequest) -> HttpResponse:
    report = quotas.usage_of(request.tenant, days=usage_page.DAYS)
    totals = usage_page.totals(request.tenant)
    context = {
        "bars": usage_page.bars(report),
        "totals": totals,
        "days": list(reversed(report.days)),
        "is_used": any(total.used for total in totals.values()),
        "keys": usage_page.by_key(totals),
        "manages": can_manage(request.membership),
    }
    return render(request, "portal/settings/usage.html", context)


@require_safe
@tenant_page()
def days(request: TenantRequest) -> HttpResponse:
    """The figures of the charts."""
    return JsonResponse(usage_page.chart(request.tenant, None))


@require_safe
@tenant_page(can_manage)
def key_days(request: TenantRequest, key_id: UUID) -> HttpResponse:
    """The same for one key."""
    key = get_object_or_404(ApiKey, pk=key_id)
    return JsonResponse(usage_page.chart(request.tenant, key.pk))
