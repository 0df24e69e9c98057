"""Datasets and their frozen versions, to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Count, Max, OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.access import tenant_page
from apps.portal.requests import TenantRequest
from apps.portal.version_rows import shown
from labeling.models import Dataset, DatasetVersion, Example, ImportRun, Split, VersionRow

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
    return render(request, "portal/datasets.html", {"page": page})


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
        "states": [(one.label, by_state.get(one.value, 0)) for one in Example.State],
        "versions": DatasetVersion.objects.filter(dataset=found).order_by("-number")[:PER_PAGE],
        "imports": ImportRun.objects.filter(dataset=found)
        .defer("faults", "ignored")
        .order_by("-created_at")[:20],
    }
    return render(request, "portal/dataset.html", context)


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
        "split": split,
        "splits": [(one.value, one.label, _count(found.counts, one)) for one in Split],
        "total": sum(_count(found.counts, one) for one in Split),
        "page": page,
        "rows": [shown(row) for row in page],
        "newest": DatasetVersion.objects.filter(dataset=found.dataset).aggregate(n=Max("number"))[
            "n"
        ],
        "jobs": found.jobs.select_related("tenant").order_by("-queued_at")[:10],
    }
    return render(request, "portal/version.html", context)


def _count(counts: Mapping[str, Any], split: str) -> int:
    value = counts.get(split, 0)
    return value if isinstance(value, int) else 0
