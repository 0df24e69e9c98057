"""Where one arrives: the choice of a tenant, and a tenant's home."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.access import closing_memberships_of, memberships_of, tenant_page
from accounts.models import User
from apps.portal import home_page
from apps.portal.requests import TenantRequest
from apps.portal.views.opening import may_open


@require_safe
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Straight on where there is one tenant, a choice where there are several."""
    user = cast(User, request.user)
    places = memberships_of(user)
    if len(places) == 1:
        return HttpResponseRedirect(reverse("portal:home", args=[places[0].tenant.slug]))
    context = {
        "places": places,
        "closing": closing_memberships_of(user),
        "may_open": may_open(user),
    }
    return render(request, "portal/start.html", context)


@require_safe
@tenant_page()
def home(request: TenantRequest) -> HttpResponse:
    """What serves now, what runs, what waits for somebody, what changed."""
    return render(request, "portal/home.html", {"home": home_page.HomePage(request.membership)})
