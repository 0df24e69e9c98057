"""Imports and freezes that wait or run, for the pages that list what is under way."""

from __future__ import annotations

from typing import Any

from labeling.models import FreezeRun, ImportRun

MOST = 20


def under_way() -> list[dict[str, Any]]:
    """The oldest first; `route` and `args` lead to the page of each."""
    imports = (
        ImportRun.objects.open()
        .filter(file__isnull=False)
        .select_related("dataset")
        .defer("faults", "ignored", "findings")
    )
    freezes = FreezeRun.objects.open().select_related("dataset")
    found = [{"work": run, "import": run, "dataset": run.dataset} for run in imports[:MOST]]
    found += [{"work": run, "import": None, "dataset": run.dataset} for run in freezes[:MOST]]
    return sorted(found, key=lambda one: one["work"].created_at)
