"""The keys that programs hold: made, shown once, and taken back."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services
from accounts.access import credential_of, tenant_page
from accounts.models import ApiKey
from accounts.permissions import GENERATE, VIEW, can_manage
from apps.portal import refusals, rights, usage_page
from apps.portal.requests import TenantRequest
from apps.portal.settings_forms import KeyForm, KeyLimitsForm
from common.errors import ApplicationError
from tenancy import quotas

PER_PAGE = 50


@require_safe
@tenant_page(can_manage)
def keys(request: TenantRequest) -> HttpResponse:
    """Every key: those that open something first."""
    found = ApiKey.objects.select_related("created_by").order_by(
        F("revoked_at").asc(nulls_first=True), "-created_at", "pk"
    )
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    for key in page:
        key.rights = [rights.name(scope) for scope in key.scopes]
    return render(request, "portal/settings/keys.html", {"page": page, "now": timezone.now()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def create(request: TenantRequest) -> HttpResponse:
    """Ask what for; then show the secret this once."""
    form = KeyForm(
        request.POST if request.method == "POST" else None,
        giver=request.membership,
        initial={"scopes": [VIEW, GENERATE]},
    )
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = services.create_api_key(
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=form.expires_at,
                by=credential_of(request.membership),
            )
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            context = {"key": key, "secret": secret, "base": request.build_absolute_uri("/v1")}
            return render(request, "portal/settings/key_made.html", context)
    status = 400 if form.errors else 200
    return render(request, "portal/settings/key_new.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def key(request: TenantRequest, key_id: UUID) -> HttpResponse:
    """One key: what it may do, what it used, and limits of its own."""
    found = get_object_or_404(ApiKey.objects.select_related("created_by"), pk=key_id)
    own = quotas.limits_of(found.pk)[1]
    form = KeyLimitsForm(
        request.POST if request.method == "POST" else None,
        initial={name: getattr(own, name) for name in quotas.NAMES_OF_KEYS},
    )
    if request.method == "POST" and form.is_valid():
        services.limit_api_key(key=found, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(reverse("portal:key", args=[request.tenant.slug, found.pk]))
    report = quotas.usage_of(request.tenant, key_id=found.pk, days=usage_page.DAYS)
    context = {
        "key": found,
        "rights": [rights.name(scope) for scope in found.scopes],
        "form": form,
        "bars": usage_page.bars(report),
        "is_used": any(report.total(kind) for kind in usage_page.KINDS),
        "days_url": reverse("portal:key-days", args=[request.tenant.slug, found.pk]),
        "now": timezone.now(),
    }
    status = 400 if form.errors else 200
    return render(request, "portal/settings/key.html", context, status=status)


@require_POST
@tenant_page(can_manage)
def revoke(request: TenantRequest, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(ApiKey, pk=key_id)
    services.revoke_api_key(key=key)
    messages.success(request, _("The key “%(name)s” opens nothing any more.") % {"name": key.name})
    return HttpResponseRedirect(reverse("portal:keys", args=[request.tenant.slug]))
