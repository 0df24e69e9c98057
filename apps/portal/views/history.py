"""The history of a company's customer service on its way in: a file taken, looked at, read and mined."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate, can_manage, can_override
from apps.chatbot import redaction, services
from apps.chatbot.models import HistoryRun, PastConversation, RedactionRules
from apps.portal.file_page import mapping_of
from apps.portal.history_form import HistoryForm, RulesForm
from apps.portal.history_page import HistoryPage, column_roles, most_asked
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling.services import cancel_work, create_dataset_of_any_address, delete_dataset

PER_PAGE = 50


@require_safe
@tenant_page()
def history(request: TenantRequest) -> HttpResponse:
    """Every file that was brought in, and what customers asked most."""
    runs = HistoryRun.objects.select_related("dataset").order_by("-created_at", "-pk")
    page = Paginator(runs, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "conversations": PastConversation.objects.count(),
        "most_asked": most_asked(),
        "can_annotate": can_annotate(request.membership),
        "can_manage": can_manage(request.membership),
    }
    return render(request, "portal/history.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def new(request: TenantRequest) -> HttpResponse:
    """Step one: which file, from which system, into which dataset."""
    form = HistoryForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        initial={"dataset": request.GET.get("dataset", "")},
    )
    wants_json = request.headers.get("Accept") == "application/json"
    if form.is_valid():
        try:
            run = _receive(request, form)
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.detail))
        else:
            place = reverse("portal:history-run", args=[request.tenant.slug, run.pk])
            return JsonResponse({"next": place}) if wants_json else HttpResponseRedirect(place)
    if form.is_bound and wants_json:
        faults = [str(fault) for found in form.errors.values() for fault in found]
        return JsonResponse({"fault": " ".join(faults)}, status=422)
    status = 422 if form.is_bound else 200
    return render(request, "portal/history_new.html", {"form": form}, status=status)


def _receive(request: TenantRequest, form: HistoryForm) -> HistoryRun:
    file = form.cleaned_data["file"]
    chosen = form.cleaned_data["dataset"]
    name = form.cleaned_data["name"] or PurePath(file.name).stem[:200] or _("Imported")
    dataset = chosen or create_dataset_of_any_address(name=name)
    try:
        return services.receive_history(
            dataset=dataset,
            source=form.cleaned_data["source"],
            stream=file.file,
            filename=file.name,
            reviewers=form.cleaned_data["reviewers"],
            actor=request.user,
        )
    except ApplicationError:
        if chosen is None:
            delete_dataset(dataset=dataset)
        raise


@require_safe
@tenant_page()
def run(request: TenantRequest, history_id: UUID) -> HttpResponse:
    """Wherever the file is on its way; the same address until it is in and after."""
    page = HistoryPage(_run(history_id), request.membership)
    return render(request, "portal/history_run.html", {"page": page, "run": page.run})


@require_safe
@tenant_page()
def live(request: TenantRequest, history_id: UUID) -> HttpResponse:
    """The part of the page that changes by itself."""
    return _body(request, _run(history_id))


@require_POST
@tenant_page(can_annotate)
def source(request: TenantRequest, history_id: UUID) -> HttpResponse:
    """It comes from another system, or its columns mean something else: checked anew."""
    found = _run(history_id)
    columns, roles = request.POST.getlist("column"), request.POST.getlist("role")
    chosen = dict(zip(columns, roles, strict=False))
    fault = ""
    try:
        is_chosen = chosen and "guess" not in request.POST
        mapping = mapping_of(chosen.items(), column_roles()) if is_chosen else {}
        asked = request.POST.get("source", found.source)
        if asked != found.source:
            mapping = {}
        found = services.check_history_anew(run=found, source=asked, mapping=mapping)
    except ApplicationError as error:
        fault = str(error.detail)
    if request.headers.get("HX-Request") == "true":
        return _body(request, found, fault=fault, chosen=chosen if fault else {})
    if fault:
        messages.error(request, fault)
    return _to_run(request, found)


@require_POST
@tenant_page(can_annotate)
def start(request: TenantRequest, history_id: UUID) -> HttpResponse:
    """Read it in."""
    found = _run(history_id)
    try:
        services.start_history(run=found)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _to_run(request, found)


@require_POST
@tenant_page(can_annotate)
def cancel(request: TenantRequest, history_id: UUID) -> HttpResponse:
    found = _run(history_id)
    cancel_work(found)
    messages.success(request, _("The import stops. What is in already stays."))
    return _to_run(request, found)


@require_safe
@tenant_page(can_annotate)
def lines(request: TenantRequest, history_id: UUID) -> HttpResponse:
    """The file as it was uploaded, around one of its lines: for whoever uploaded it, and who manages."""
    page = HistoryPage(_run(history_id), request.membership)
    if not page.may_see_lines:
        raise PermissionDenied
    context = page.lines(request.GET.get("around", "1"))
    return render(request, "portal/history_lines.html", context)


@require_safe
@tenant_page()
def conversation(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """One conversation of the past, as it is kept: redacted."""
    return _conversation(request, conversation_id, None)


@require_POST
@tenant_page(can_override)
def reveal(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """What was said, for an owner, this once. It stands on the audit log."""
    found = get_object_or_404(PastConversation, pk=conversation_id)
    try:
        revealed = redaction.reveal(conversation=found)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
        place = reverse("portal:history-conversation", args=[request.tenant.slug, found.pk])
        return HttpResponseRedirect(place)
    return _conversation(request, conversation_id, revealed)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def rules(request: TenantRequest) -> HttpResponse:
    """What is redacted besides, and what of the company's own is not."""
    current = RedactionRules.objects.first()
    form = RulesForm(
        request.POST if request.method == "POST" else None,
        initial={
            "orders": "\n".join(current.orders) if current else "",
            "kept": "\n".join(current.kept) if current else "",
        },
    )
    if form.is_valid():
        try:
            redaction.change_rules(
                orders=form.cleaned_data["orders"].splitlines(),
                kept=form.cleaned_data["kept"].splitlines(),
            )
        except ApplicationError as error:
            form.add_error("orders", str(error.detail))
        else:
            messages.success(request, _("Kept. The next import goes by it."))
            return HttpResponseRedirect(reverse("portal:history", args=[request.tenant.slug]))
    status = 422 if form.is_bound else 200
    return render(request, "portal/history_rules.html", {"form": form}, status=status)


def _run(history_id: UUID) -> HistoryRun:
    return get_object_or_404(HistoryRun.objects.select_related("dataset", "file"), pk=history_id)


def _body(
    request: TenantRequest,
    run: HistoryRun,
    fault: str = "",
    chosen: Mapping[str, str] | None = None,
) -> HttpResponse:
    page = HistoryPage(run, request.membership)
    if chosen:
        page.show_as_chosen(chosen)
    return render(
        request, "portal/history/_body.html", {"page": page, "run": page.run, "fault": fault}
    )


def _to_run(request: TenantRequest, run: HistoryRun) -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:history-run", args=[request.tenant.slug, run.pk]))


def _conversation(
    request: TenantRequest, conversation_id: UUID, revealed: list[str] | None
) -> HttpResponse:
    found = get_object_or_404(PastConversation.objects.select_related("run"), pk=conversation_id)
    parts = list(found.parts.order_by("position"))
    context = {
        "conversation": found,
        "said": [
            (part, revealed[at] if revealed is not None else part.text)
            for at, part in enumerate(parts)
        ],
        "is_revealed": revealed is not None,
        "can_reveal": can_override(request.membership) and hasattr(found, "originals"),
        "pairs": list(found.pairs.select_related("example").order_by("position")),
    }
    response = render(request, "portal/history_conversation.html", context)
    if revealed is not None:
        response.headers["Cache-Control"] = "no-store"
    return response
