"""Contacts: who wrote, what was said with each, and the way out for their data."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_answer, can_manage
from apps.chatbot.models import Contact, Conversation, ConversationExport
from apps.chatbot.services.contacts import erase_contact
from apps.chatbot.services.exports import start_export
from apps.portal.contacts_page import MOST_CONVERSATIONS, PER_PAGE, contacts_like, is_its_name
from apps.portal.requests import TenantRequest


@require_safe
@tenant_page()
def contacts(request: TenantRequest) -> HttpResponse:
    """Everybody who wrote, narrowed by a piece of name, address or id."""
    text = " ".join(request.GET.get("text", "")[:200].split())
    context = {
        "text": text,
        "page": Paginator(contacts_like(text), PER_PAGE).get_page(request.GET.get("page")),
        "has_any": bool(text) or Contact.objects.exists(),
        "can_manage": can_manage(request.membership),
    }
    return render(request, "portal/contacts/contacts.html", context)


@require_safe
@tenant_page()
def contact(request: TenantRequest, contact_id: UUID) -> HttpResponse:
    return _page(request, get_object_or_404(Contact, pk=contact_id))


@require_POST
@tenant_page(can_manage)
def export(request: TenantRequest, contact_id: UUID) -> HttpResponse:
    """Everything of this one in one ZIP, written in the background."""
    found = get_object_or_404(Contact, pk=contact_id)
    notes = "notes" in request.POST and can_answer(request.membership)
    start_export(
        form=ConversationExport.Form.ARCHIVE, contact=found, with_notes=notes, actor=request.user
    )
    place = reverse("portal:contact", args=[request.tenant.slug, found.pk])
    return HttpResponseRedirect(f"{place}#exports")


@require_POST
@tenant_page(can_manage)
def erase(request: TenantRequest, contact_id: UUID) -> HttpResponse:
    """Only with the name typed: nothing brings it back."""
    found = get_object_or_404(Contact, pk=contact_id)
    if not is_its_name(found, request.POST.get("name", "")):
        return _page(request, found, fault=_("This is not the name of the contact."), status=400)
    erasure = erase_contact(contact=found)
    messages.success(request, _("Erased. Nothing of this contact is kept."))
    if erasure.checkpoints:
        messages.warning(
            request,
            ngettext(
                "%(n)d checkpoint learned from them and is marked. Train anew, and promote that.",
                "%(n)d checkpoints learned from them and are marked. Train anew, and promote that.",
                erasure.checkpoints,
            )
            % {"n": erasure.checkpoints},
        )
    return HttpResponseRedirect(reverse("portal:contacts", args=[request.tenant.slug]))


def _page(
    request: TenantRequest, found: Contact, *, fault: str = "", status: int = 200
) -> HttpResponse:
    rows = Conversation.objects.filter(contact=found).select_related("inbox", "assignee")
    exports = ConversationExport.objects.filter(contact=found).select_related("result")
    newest = list(exports.order_by("-created_at")[:5])
    context = {
        "contact": found,
        "conversations": rows.order_by("-updated_at")[:MOST_CONVERSATIONS],
        "count": rows.count(),
        "exports": newest,
        "is_writing": any(one.is_open for one in newest),
        "live": reverse("portal:contact", args=[request.tenant.slug, found.pk]),
        "fault": fault,
        "can_manage": can_manage(request.membership),
        "can_answer": can_answer(request.membership),
    }
    return render(request, "portal/contacts/contact.html", context, status=status)
