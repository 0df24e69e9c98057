"""Webhooks: which addresses are told what, and how the telling goes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, Subquery
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_manage
from apps.portal import refusals
from apps.portal.requests import TenantRequest
from apps.portal.webhook_forms import WebhookForm
from common.errors import ApplicationError
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookDelivery, WebhookEndpoint

PER_PAGE = 20


@require_safe
@tenant_page(can_manage)
def webhooks(request: TenantRequest) -> HttpResponse:
    """Every address with how the last telling went."""
    last = WebhookDelivery.objects.filter(endpoint=OuterRef("pk")).order_by("-created_at", "-id")
    found = WebhookEndpoint.objects.annotate(
        last_state=Subquery(last.values("state")[:1]),
        last_at=Subquery(last.values("created_at")[:1]),
    )
    context = {"endpoints": found.order_by("-created_at")[: services.MOST_ENDPOINTS]}
    return render(request, "portal/settings/webhooks.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def create(request: TenantRequest) -> HttpResponse:
    """Ask where and what; then show the secret this once."""
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint, secret = services.create_endpoint(**form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            return _shown_once(request, endpoint, secret)
    status = 400 if form.errors else 200
    return render(request, "portal/settings/webhook_new.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def webhook(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    """One address: what it is told, and every delivery with its attempts."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    now = {
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
    }
    form = WebhookForm(request.POST if request.method == "POST" else None, initial=now)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_endpoint(endpoint=endpoint, **form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
            endpoint.refresh_from_db()
        else:
            messages.success(request, _("Saved."))
            return _to(request, endpoint)
    context = {"endpoint": endpoint, "form": form} | _deliveries(request, endpoint)
    status = 400 if form.errors else 200
    return render(request, "portal/settings/webhook.html", context, status=status)


@require_safe
@tenant_page(can_manage)
def live(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    """The deliveries, while some wait; 204 while nothing has changed."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    context = {"endpoint": endpoint} | _deliveries(request, endpoint)
    if request.GET.get("seen") == context["mark"]:
        return HttpResponse(status=204)
    return render(request, "portal/settings/_deliveries.html", context)


@never_cache
@require_POST
@tenant_page(can_manage)
def rotate(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    secret = services.rotate_secret(endpoint=endpoint)
    return _shown_once(request, endpoint, secret)


@require_POST
@tenant_page(can_manage)
def switch(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    """Off if it is on, on if it is off, as the button said that was pressed."""
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    if request.POST.get("to") == "on":
        services.enable(endpoint=endpoint)
        messages.success(request, _("It is told again, first of all what has waited."))
    else:
        services.disable(endpoint=endpoint)
        messages.success(request, _("It is told nothing more. What happens meanwhile waits."))
    return _to(request, endpoint)


@require_POST
@tenant_page(can_manage)
def send_test(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    try:
        services.send_test(endpoint=endpoint)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("A test is on its way. Its answer will stand below."))
    return _to(request, endpoint)


@require_POST
@tenant_page(can_manage)
def replay(request: TenantRequest, delivery_id: UUID) -> HttpResponse:
    found = WebhookDelivery.objects.select_related("endpoint")
    delivery = get_object_or_404(found, pk=delivery_id)
    try:
        services.replay(delivery=delivery)
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("It is sent again."))
    return _to(request, delivery.endpoint)


@require_POST
@tenant_page(can_manage)
def delete(request: TenantRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    services.delete_endpoint(endpoint=endpoint)
    messages.success(request, _("The webhook is gone."))
    return HttpResponseRedirect(reverse("portal:webhooks", args=[request.tenant.slug]))


# --- What the views share --------------------------------------------------------------------


def _deliveries(request: TenantRequest, endpoint: WebhookEndpoint) -> dict[str, Any]:
    recent = services.recent_deliveries(endpoint=endpoint)
    page = Paginator(recent, PER_PAGE).get_page(request.GET.get("page"))
    waits = any(one.state == WebhookDelivery.State.WAITING for one in page)
    return {"page": page, "mark": _mark(page), "is_live": waits and endpoint.is_active}


def _mark(page: Page[WebhookDelivery]) -> str:
    """What changes with every attempt."""
    first = page[0].pk if page.object_list else ""
    tries = sum(len(one.attempts.all()) for one in page)
    done = sum(one.state != WebhookDelivery.State.WAITING for one in page)
    return f"{first}-{tries}-{done}"


def _shown_once(request: TenantRequest, endpoint: WebhookEndpoint, secret: str) -> HttpResponse:
    context = {"endpoint": endpoint, "secret": secret}
    return render(request, "portal/settings/webhook_secret.html", context)


def _to(request: TenantRequest, endpoint: WebhookEndpoint) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:webhook", args=[request.tenant.slug, endpoint.pk]))
