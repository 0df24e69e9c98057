"""The examples of a dataset: found, read, corrected, judged one by one or many at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.portal.example_detail import ExampleDetail
from apps.portal.example_form import ExampleForm
from apps.portal.examples_page import ExamplesPage, example_row
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling import services
from labeling.finding import Filters
from labeling.models import Annotation, BulkChange, Dataset, Example


@require_safe
@tenant_page()
def examples(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """The list with its filters, and the one that is open beside it."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    page = ExamplesPage(found, request.GET, request.membership)
    context: dict[str, Any] = {"page": page, "dataset": found, "list": page}
    if request.headers.get("HX-Target") == "example-list":
        return render(request, "portal/examples/_list.html", context)
    opened = _opened(found, page.open_id)
    if opened is not None:
        context["detail"] = ExampleDetail(opened, request.membership)
    return render(request, "portal/examples.html", context)


@require_safe
@tenant_page()
def example(request: TenantRequest, example_id: UUID) -> HttpResponse:
    """The panel of one example: to read, or with ?edit=1 to write over."""
    found = _example(example_id)
    if not _is_partial(request):
        return HttpResponseRedirect(_place(request, found))
    context = {"list": _list(request, found), "dataset": found.dataset}
    if request.GET.get("edit") and can_annotate(request.membership):
        context["form"] = ExampleForm(found)
        return render(request, "portal/examples/_edit.html", context)
    context["detail"] = ExampleDetail(found, request.membership)
    return render(request, "portal/examples/_detail.html", context)


@require_POST
@tenant_page(can_annotate)
def edit(request: TenantRequest, example_id: UUID) -> HttpResponse:
    """Keep what was written, or show what is wrong with it where it stands."""
    found = _example(example_id)
    form = ExampleForm(found, request.POST)
    context = {"list": _list(request, found), "dataset": found.dataset, "form": form}
    if "add" in request.POST:
        form.add_turn()
        return render(request, "portal/examples/_edit.html", context)
    try:
        services.annotate_example(
            example=found,
            annotator=request.user,
            verdict=Annotation.Verdict.EDIT,
            content=form.content,
            labels=form.labels,
        )
    except ApplicationError as error:
        form.place(error)
        return render(request, "portal/examples/_edit.html", context, status=422)
    return _changed(request, found)


@require_POST
@tenant_page(can_annotate)
def judge(request: TenantRequest, example_id: UUID) -> HttpResponse:
    """Accept or reject one."""
    found = _example(example_id)
    verdict = request.POST.get("verdict")
    if verdict not in (Annotation.Verdict.ACCEPT, Annotation.Verdict.REJECT):
        return HttpResponse(status=400)
    services.annotate_example(example=found, annotator=request.user, verdict=verdict)
    return _changed(request, found)


@require_POST
@tenant_page(can_annotate)
def change_many(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """Accept, reject or label every example that the filters mean."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    filters = Filters.read(request.POST)
    try:
        services.change_examples(
            dataset=found,
            filters=filters,
            action=request.POST.get("action", ""),
            label=request.POST.get("new_label", ""),
            actor=request.user,
        )
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _to_list(request, found, urlencode(filters.chosen()))


@require_POST
@tenant_page(can_annotate)
def undo_many(request: TenantRequest, change_id: UUID) -> HttpResponse:
    change = get_object_or_404(BulkChange, pk=change_id)
    try:
        services.undo_change(change=change, actor=request.user)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _to_list(request, change.dataset, urlencode(Filters.read(change.filters).chosen()))


@require_safe
@tenant_page()
def change_live(request: TenantRequest, change_id: UUID) -> HttpResponse:
    """How far a change of many examples is."""
    change = get_object_or_404(BulkChange, pk=change_id)
    response = render(
        request,
        "portal/examples/_change.html",
        {"change": change, "can_annotate": can_annotate(request.membership)},
    )
    if not change.is_open:
        response.headers["HX-Refresh"] = "true"
    return response


def _changed(request: TenantRequest, found: Example) -> HttpResponse:
    """The panel again, and with it the row of the list."""
    if not _is_partial(request):
        messages.success(request, _("The example was changed."))
        return HttpResponseRedirect(_place(request, found))
    context = {
        "detail": ExampleDetail(found, request.membership),
        "list": _list(request, found),
        "dataset": found.dataset,
        "row": example_row(found),
        "swap": True,
    }
    return render(request, "portal/examples/_changed.html", context)


def _example(example_id: UUID) -> Example:
    rows = Example.objects.select_related("dataset", "import_run")
    return get_object_or_404(rows, pk=example_id)


def _opened(dataset: Dataset, given: str) -> Example | None:
    try:
        wanted = UUID(given)
    except ValueError:
        return None
    rows = Example.objects.select_related("dataset", "import_run")
    return rows.filter(pk=wanted, dataset=dataset).first()


def _list(request: TenantRequest, found: Example) -> ExamplesPage:
    """The list that the panel stands beside, for its addresses alone."""
    return ExamplesPage(found.dataset, request.GET, request.membership)


def _is_partial(request: TenantRequest) -> bool:
    headers = request.headers
    return headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in headers


def _place(request: TenantRequest, found: Example) -> str:
    address = reverse("portal:examples", args=[request.tenant.slug, found.dataset_id])
    chosen = Filters.read(request.GET).chosen() | {"open": str(found.pk)}
    return f"{address}?{urlencode(chosen)}"


def _to_list(request: TenantRequest, dataset: Dataset, query: str) -> HttpResponse:
    address = reverse("portal:examples", args=[request.tenant.slug, dataset.pk])
    return HttpResponseRedirect(f"{address}?{query}" if query else address)
