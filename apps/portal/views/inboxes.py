"""Inboxes: where the widget may stand, by which rules it answers, and who vouches for visitors."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_manage
from apps.chatbot.models import IdentityKey, Inbox
from apps.chatbot.services.inboxes import MOST_INBOXES, change_inbox, create_inbox, switch_bot
from apps.chatbot.widget.identity import MOST_LIVE_KEYS, add_key, retire_key
from apps.chatbot.widget.snippet import here, snippet_for
from apps.portal import refusals
from apps.portal.inbox_forms import InboxForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError


@require_safe
@tenant_page()
def inboxes(request: TenantRequest) -> HttpResponse:
    """Every inbox with what waits in it."""
    waits = Q(conversations__state="open", conversations__waiting_since__isnull=False)
    found = Inbox.objects.select_related("deployment").annotate(
        waiting=Count("conversations", filter=waits)
    )
    context = {
        "inboxes": found.order_by("name", "pk")[:MOST_INBOXES],
        "can_manage": can_manage(request.membership),
    }
    return render(request, "portal/inboxes/inboxes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def new(request: TenantRequest) -> HttpResponse:
    inbox = Inbox()
    form = InboxForm.of(inbox, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = create_inbox(**form.rules(inbox))
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            messages.success(request, _("The inbox is made. Its snippet stands below."))
            return _to(request, made)
    status = 400 if form.errors else 200
    return render(request, "portal/inboxes/new.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def inbox(request: TenantRequest, inbox_id: UUID) -> HttpResponse:
    """One inbox: its rules, the snippet to paste, and the keys that vouch for visitors."""
    found = get_object_or_404(Inbox, pk=inbox_id)
    may = can_manage(request.membership)
    if request.method == "POST" and not may:
        raise PermissionDenied
    form = InboxForm.of(found, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            change_inbox(inbox=found, **form.rules(found))
        except ApplicationError as error:
            refusals.into(form, error)
            found.refresh_from_db()
        else:
            messages.success(request, _("Saved. It holds from the next request on."))
            return _to(request, found)
    context = {"inbox": found, "form": form, "may_manage": may} | _door(request, found)
    status = 400 if form.errors else 200
    return render(request, "portal/inboxes/inbox.html", context, status=status)


@require_POST
@tenant_page(can_manage)
def switch(request: TenantRequest, inbox_id: UUID) -> HttpResponse:
    """Off or on, as the button said that was pressed."""
    found = get_object_or_404(Inbox, pk=inbox_id)
    on = request.POST.get("to") == "on"
    switch_bot(inbox=found, on=on)
    if on:
        messages.success(request, _("The bot answers again, from the next message on."))
    else:
        messages.success(request, _("The bot is silent. Every message waits for people."))
    return _to(request, found)


@never_cache
@require_POST
@tenant_page(can_manage)
def new_key(request: TenantRequest, inbox_id: UUID) -> HttpResponse:
    """One key more, shown this once."""
    found = get_object_or_404(Inbox, pk=inbox_id)
    try:
        key = add_key(inbox=found)
    except ApplicationError as error:
        refusals.say(request, error)
        return _to(request, found)
    return render(request, "portal/inboxes/key_made.html", {"inbox": found, "key": key})


@require_POST
@tenant_page(can_manage)
def retire(request: TenantRequest, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(IdentityKey.objects.select_related("inbox"), pk=key_id)
    retire_key(key=key)
    messages.success(request, _("The key is retired. What it signed is believed no more."))
    return _to(request, key.inbox)


# --- What the views share --------------------------------------------------------------------


def _door(request: TenantRequest, found: Inbox) -> dict[str, Any]:
    """How visitors come in: the snippet, a page of ours to try it on, and the keys."""
    keys = list(IdentityKey.objects.filter(inbox=found).order_by("retired_at", "-created_at"))
    live = [key for key in keys if key.retired_at is None]
    return {
        "snippet": snippet_for(found, request=request),
        "here": here(request),
        "can_try": here(request) in found.allowed_origins,
        "keys": live + [key for key in keys if key.retired_at is not None][:10],
        "can_add_key": len(live) < MOST_LIVE_KEYS,
    }


def _to(request: TenantRequest, found: Inbox) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("portal:inbox", args=[request.tenant.slug, found.pk]))
