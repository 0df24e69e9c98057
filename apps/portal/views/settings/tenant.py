"""The tenant itself: how it is called, how it speaks, and how one leaves it."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services
from accounts.access import tenant_page
from accounts.permissions import can_manage
from apps.portal import refusals
from apps.portal.requests import TenantRequest
from apps.portal.settings_forms import TenantForm
from common.errors import ApplicationError
from tenancy.models import Membership, Role


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def settings(request: TenantRequest) -> HttpResponse:
    """Everybody sees what is set; who manages sets it."""
    tenant, manages = request.tenant, can_manage(request.membership)
    asked = request.method == "POST"
    if asked and not manages:
        raise PermissionDenied
    now = {
        "name": tenant.name,
        "language": tenant.language,
        "rise_colour": tenant.rise_colour,
    }
    form = TenantForm(request.POST if asked else None, initial=now)
    if asked and form.is_valid():
        try:
            services.change_tenant(tenant=tenant, **form.cleaned_data)
        except ValidationError as error:
            refusals.into(form, error)
            tenant.refresh_from_db()
        else:
            messages.success(request, _("Saved."))
            return HttpResponseRedirect(reverse("portal:settings", args=[tenant.slug]))
    owners = Membership.objects.filter(role=Role.OWNER)
    context = {
        "form": form,
        "manages": manages,
        "is_last_owner": request.membership.role == Role.OWNER and owners.count() < 2,
    }
    status = 400 if form.errors else 200
    return render(request, "portal/settings/tenant.html", context, status=status)


@require_POST
@tenant_page()
def leave(request: TenantRequest) -> HttpResponse:
    try:
        services.leave_tenant(membership=request.membership)
    except ApplicationError as error:
        refusals.say(request, error)
        return HttpResponseRedirect(reverse("portal:settings", args=[request.tenant.slug]))
    messages.success(request, _("You left %(tenant)s.") % {"tenant": request.tenant.name})
    return HttpResponseRedirect(reverse("portal:start"))
