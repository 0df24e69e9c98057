"""Finding anything of a tenant: as JSON for the palette, as a page where no script runs."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.access import tenant_page
from apps.portal import finding
from apps.portal.requests import TenantRequest


@require_safe
@tenant_page()
def find(request: TenantRequest) -> HttpResponse:
    asked = request.GET.get("q", "")
    found = finding.find(request, asked)
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response: HttpResponse = JsonResponse({"groups": [asdict(one) for one in found]})
    else:
        response = render(request, "portal/find.html", {"asked": asked, "groups": found})
    response.headers["Vary"] = "Accept, Cookie"
    return response
