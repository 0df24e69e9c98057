"""Datasets and their frozen versions, to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, OuterRef, Subquery
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate, can_train
from apps.chatbot.models import Article, LessonRun
from apps.portal.forms import DatasetForm
from apps.portal.requests import TenantRequest
from apps.portal.version_rows import shown
from apps.portal.work_under_way import under_way
from common.errors import ApplicationError
from labeling import services
from labeling.comparing import compare_versions
from labeling.models import (
    Dataset,
    DatasetVersion,
    Example,
    FreezeRun,
    ImportRun,
    Split,
    VersionRow,
)

PER_PAGE = 50


@require_safe
@tenant_page()
def datasets(request: TenantRequest) -> HttpResponse:
    """Every dataset with how much it holds."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    found = Dataset.objects.with_counts().annotate(
        newest_number=Subquery(newest.values("number")[:1]),
        newest_frozen_at=Subquery(newest.values("frozen_at")[:1]),
    )
    page = Paginator(found.order_by("name", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "can_annotate": can_annotate(request.membership),
        "under_way": under_way(),
    }
    return render(request, "portal/datasets.html", context)


@require_safe
@tenant_page()
def dataset(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """One dataset: its examples by state, its frozen versions, the files it came from."""
    found = get_object_or_404(Dataset.objects.with_counts(), pk=dataset_id)
    by_state = dict(
        Example.objects.filter(dataset=found).order_by().values_list("state").annotate(Count("pk"))
    )
    context = {
        "dataset": found,
        "accepted": by_state.get(Example.State.ACCEPTED, 0),
        # Where articles are published, and this dataset is not itself made of lessons.
        "can_teach": Article.objects.filter(state=Article.State.PUBLISHED).exists()
        and not LessonRun.objects.filter(dataset=found).exists(),
        "lessons": LessonRun.objects.filter(source=found)
        .select_related("dataset")
        .order_by("-created_at")
        .first(),
        "freeze": FreezeRun.objects.filter(dataset=found).order_by("-created_at").first(),
        "can_annotate": can_annotate(request.membership),
        "can_train": can_train(request.membership),
        "states": [(one.value, one.label, by_state.get(one.value, 0)) for one in Example.State],
        "versions": DatasetVersion.objects.filter(dataset=found).order_by("-number")[:PER_PAGE],
        "imports": ImportRun.objects.filter(dataset=found, is_check=False)
        .defer("faults", "ignored", "findings")
        .order_by("-created_at")[:20],
    }
    return render(request, "portal/dataset.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def new(request: TenantRequest) -> HttpResponse:
    """An empty dataset under a name."""
    form = DatasetForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        made = services.create_dataset_of_any_address(**form.cleaned_data)
        return HttpResponseRedirect(reverse("portal:dataset", args=[request.tenant.slug, made.pk]))
    status = 422 if form.is_bound else 200
    return render(request, "portal/dataset_new.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_annotate)
def settings(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """Its name and purpose; and the way to be rid of it."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    if request.method == "POST":
        form = DatasetForm(request.POST)
        if form.is_valid():
            services.rename_dataset(dataset=found, **form.cleaned_data)
            messages.success(request, _("The dataset was changed."))
            return HttpResponseRedirect(
                reverse("portal:dataset", args=[request.tenant.slug, found.pk])
            )
    else:
        form = DatasetForm(
            initial={
                "name": found.name,
                "description": found.description,
                "language": found.language,
            }
        )
    context = {"form": form, "dataset": found, "can_delete": can_train(request.membership)}
    status = 422 if form.is_bound else 200
    return render(request, "portal/dataset_settings.html", context, status=status)


@require_POST
@tenant_page(can_train)
def delete(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """Gone for good, by whoever types its name."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    back = reverse("portal:dataset-settings", args=[request.tenant.slug, found.pk])
    if request.POST.get("name", "").strip() != found.name:
        messages.error(request, _("The name is not the same, so nothing was deleted."))
        return HttpResponseRedirect(back)
    try:
        services.delete_dataset(dataset=found)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
        return HttpResponseRedirect(back)
    messages.success(request, _("The dataset %(name)s was deleted.") % {"name": found.name})
    return HttpResponseRedirect(reverse("portal:datasets", args=[request.tenant.slug]))


@require_POST
@tenant_page(can_train)
def freeze(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """Freeze the accepted examples; a long one goes on by itself."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    place = reverse("portal:dataset", args=[request.tenant.slug, found.pk])
    try:
        run = services.start_freeze(dataset=found, actor=request.user)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
        return HttpResponseRedirect(place)
    if run.version is not None:
        place = reverse("portal:version", args=[request.tenant.slug, found.pk, run.version.number])
    return HttpResponseRedirect(place)


@require_safe
@tenant_page()
def freeze_live(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """How far a freeze is; once it is over the whole page is worth another look."""
    run = get_object_or_404(FreezeRun, pk=run_id)
    context = {"freeze": run, "can_train": can_train(request.membership)}
    response = render(request, "portal/_freeze.html", context)
    if not run.is_open:
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
@tenant_page(can_train)
def freeze_cancel(request: TenantRequest, run_id: UUID) -> HttpResponse:
    run = get_object_or_404(FreezeRun, pk=run_id)
    services.cancel_work(run)
    messages.success(request, _("The freeze stops. No version is made."))
    return HttpResponseRedirect(
        reverse("portal:dataset", args=[request.tenant.slug, run.dataset_id])
    )


@require_safe
@tenant_page()
def version(request: TenantRequest, dataset_id: UUID, number: int) -> HttpResponse:
    """One frozen version: how many rows in which split, and the rows of one split."""
    found = get_object_or_404(
        DatasetVersion.objects.select_related("dataset"), dataset_id=dataset_id, number=number
    )
    split = request.GET.get("split", Split.TRAIN)
    if split not in Split.values:
        split = Split.TRAIN
    rows = VersionRow.objects.filter(version=found, split=split).order_by("position")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "version": found,
        "may_train": can_train(request.membership),
        "split": split,
        "splits": [(one.value, one.label, _count(found.counts, one)) for one in Split],
        "total": sum(_count(found.counts, one) for one in Split),
        "left_out": _left_out(found.counts),
        "warnings": _warnings(found.counts),
        "page": page,
        "rows": [shown(row) for row in page],
        "newest": DatasetVersion.objects.filter(dataset=found.dataset).aggregate(n=Max("number"))[
            "n"
        ],
        "jobs": found.jobs.select_related("tenant").order_by("-queued_at")[:10],
    }
    return render(request, "portal/version.html", context)


@require_safe
@tenant_page()
def compare(request: TenantRequest, dataset_id: UUID, number: int) -> HttpResponse:
    """What a version has that an earlier one had not, as numbers."""
    newer = get_object_or_404(
        DatasetVersion.objects.select_related("dataset"), dataset_id=dataset_id, number=number
    )
    earlier = DatasetVersion.objects.filter(dataset=dataset_id, number__lt=number)
    given = request.GET.get("with", "")
    wanted = earlier.filter(number=int(given)) if given.isdigit() and len(given) < 9 else earlier
    older = wanted.order_by("-number").first()
    context = {
        "version": newer,
        "older": older,
        "earlier": earlier.order_by("-number")[:PER_PAGE],
        "changes": compare_versions(older, newer) if older else None,
    }
    return render(request, "portal/version_compare.html", context)


def _left_out(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What the freeze did not take, and why, where there was anything."""
    found = counts.get("left_out")
    found = found if isinstance(found, Mapping) else {}
    words = {
        "copies": _("say exactly what another row says"),
        "near_copies_in_test": _("test rows that are nearly a row learned from"),
        "near_copies_in_validation": _("validation rows that are nearly a row learned from"),
    }
    return [(words[name], _count(found, name)) for name in words if _count(found, name)]


def _warnings(counts: Mapping[str, Any]) -> list[str]:
    words = {
        "test_split_small": _(
            "With fewer than 30 test rows the gate will not believe a difference. Accept more "
            "examples and freeze again."
        )
    }
    found = counts.get("warnings")
    return [words.get(code, str(code)) for code in (found if isinstance(found, list) else [])]


def _count(counts: Mapping[str, Any], split: str) -> int:
    value = counts.get(split, 0)
    return value if isinstance(value, int) else 0
