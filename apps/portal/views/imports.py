"""The import wizard: a file is taken, looked at, checked as a whole, and read in."""

from __future__ import annotations

from pathlib import PurePath
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.portal.file_page import mapping_of
from apps.portal.forms import ImportForm
from apps.portal.import_page import ImportPage, role_choices
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling import services
from labeling.models import ImportPreset, ImportRun
from labeling.readers.columns import NOTHING_ELSE


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def new(request: TenantRequest) -> HttpResponse:
    """Step one: which file, and into which dataset."""
    form = ImportForm(
        request.POST if request.method == "POST" else None,
        request.FILES if request.method == "POST" else None,
        initial={"dataset": request.GET.get("dataset", "")},
    )
    if form.is_valid():
        try:
            run = _receive(request, form)
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error.detail))
        else:
            place = reverse("portal:import-run", args=[request.tenant.slug, run.pk])
            if _asks_for_json(request):
                return JsonResponse({"next": place})
            return HttpResponseRedirect(place)
    if form.is_bound and _asks_for_json(request):
        faults = [str(fault) for faults in form.errors.values() for fault in faults]
        return JsonResponse({"fault": " ".join(faults)}, status=422)
    status = 422 if form.is_bound else 200
    return render(request, "portal/import_new.html", {"form": form}, status=status)


def _asks_for_json(request: TenantRequest) -> bool:
    """The page's script, which shows how much of the file is sent."""
    return request.headers.get("Accept") == "application/json"


def _receive(request: TenantRequest, form: ImportForm) -> ImportRun:
    """Keep the file; a dataset that is new with it is called as the person said, or as the file."""
    file = form.cleaned_data["file"]
    chosen = form.cleaned_data["dataset"]
    name = form.cleaned_data["name"] or PurePath(file.name).stem[:200] or _("Imported")
    dataset = chosen or services.create_dataset_of_any_address(name=name)
    try:
        return services.receive_file(
            dataset=dataset, stream=file.file, filename=file.name, actor=request.user
        )
    except ApplicationError:
        if chosen is None:
            services.delete_dataset(dataset=dataset)
        raise


@require_safe
@tenant_page()
def run(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """Wherever the file is on its way; the same address until it is in and after."""
    page = _page(request, run_id)
    return render(request, "portal/import_run.html", {"page": page, "run": page.run})


@require_safe
@tenant_page()
def live(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """The part of the page that changes by itself."""
    return _body(request, _page(request, run_id))


@require_POST
@tenant_page(can_annotate)
def columns(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """What the columns mean: as chosen one by one, as a preset has it, or as their names say."""
    found = _run(run_id)
    sent = request.POST
    chosen = dict(zip(sent.getlist("column"), sent.getlist("role"), strict=False))
    fault = ""
    try:
        if "guess" in sent:
            mapping: dict[str, str] = {}
        elif sent.get("preset") and "role" not in sent:
            mapping = _preset(sent["preset"]).mapping
        else:
            mapping = mapping_of(chosen.items(), role_choices())
        found = services.map_columns(run=found, mapping=mapping)
    except ApplicationError as error:
        fault = str(error.detail)
    if request.headers.get("HX-Request") == "true":
        page = _page(request, run_id)
        if fault:
            page.show_as_chosen(chosen)
        return _body(request, page, fault=fault)
    if fault:
        messages.error(request, fault)
    return _to_run(request, found)


@require_POST
@tenant_page(can_annotate)
def preset(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """Keep the mapping of this file under a name, for the next one like it."""
    found = _run(run_id)
    name = request.POST.get("name", "").strip()[:100]
    page = ImportPage(found, request.membership)
    mapping = {c.role: c.name for c in (page.look.columns if page.look else []) if c.role}
    if not name or not mapping:
        messages.error(request, _("Give the mapping a name, and at least one column a meaning."))
    else:
        ImportPreset.objects.update_or_create(
            name=name, defaults={"mapping": mapping | {NOTHING_ELSE: ""}}
        )
        messages.success(request, _("The mapping is kept as “%(name)s”.") % {"name": name})
    return _to_run(request, found)


@require_POST
@tenant_page(can_annotate)
def forget_preset(request: TenantRequest, preset_id: UUID) -> HttpResponse:
    found = get_object_or_404(ImportPreset, pk=preset_id)
    found.delete()
    messages.success(request, _("The mapping “%(name)s” is forgotten.") % {"name": found.name})
    return HttpResponseRedirect(reverse("portal:datasets", args=[request.tenant.slug]))


@require_POST
@tenant_page(can_annotate)
def start(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """Step three: read it in."""
    found = _run(run_id)
    try:
        state = "draft" if request.POST.get("draft") else "accepted"
        services.start_import(run=found, state=state)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _to_run(request, found)


@require_POST
@tenant_page(can_annotate)
def cancel(request: TenantRequest, run_id: UUID) -> HttpResponse:
    found = _run(run_id)
    services.cancel_work(found)
    messages.success(request, _("The import stops. What is in already stays."))
    return _to_run(request, found)


@require_safe
@tenant_page()
def lines(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """The file as it was uploaded, around one of its lines."""
    context = _page(request, run_id).lines(request.GET.get("around", "1"))
    return render(request, "portal/import_lines.html", context)


def _page(request: TenantRequest, run_id: UUID) -> ImportPage:
    return ImportPage(_run(run_id), request.membership)


def _run(run_id: UUID) -> ImportRun:
    return get_object_or_404(ImportRun.objects.select_related("dataset", "file"), pk=run_id)


def _preset(given: str) -> ImportPreset:
    try:
        return get_object_or_404(ImportPreset, pk=UUID(given))
    except ValueError:
        raise ApplicationError("preset_unknown", _("There is no such mapping.")) from None


def _body(request: TenantRequest, page: ImportPage, *, fault: str = "") -> HttpResponse:
    context = {"page": page, "run": page.run, "fault": fault}
    return render(request, "portal/imports/_body.html", context)


def _to_run(request: TenantRequest, found: ImportRun) -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:import-run", args=[request.tenant.slug, found.pk]))
