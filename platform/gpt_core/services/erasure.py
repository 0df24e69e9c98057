"""A person's data leaves: rows and files of every product, and what the engine wrote of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import IntegerField, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from labeling.models import ErasedRows, Split
from labeling.subjects import erase_rows_about

from .. import job_folder
from ..models import Checkpoint, Evaluation, FineTuningJob, TenantArchive

# What an evaluation leaves in its folder of the rows it was measured on.
QUOTING = ("report.json", "evaluation-rows.jsonl")


@dataclass(frozen=True)
class Erasure:
    """How much is gone, and how many checkpoints learned from it and are marked now."""

    rows: int
    files: int
    checkpoints: int


@transaction.atomic
def erase_person(*, subject: str) -> Erasure:
    """All that is about the person with this reference, of the tenant in scope.

    Weights cannot forget: a checkpoint that learned from their rows says so, by the version that
    it was trained on, until it is replaced by one that is trained anew.
    """
    erased = erase_rows_about(subject)
    _forget_quotes(erased.versions)
    archives = TenantArchive.objects.filter(size__gt=0)
    for archive in archives:
        # Everything of the company in one file: it holds them as well, and can be written anew.
        _remove_later(archive.path)
    files = erased.files + archives.update(size=0)
    marked = with_erased_rows(Checkpoint.objects.filter(dataset_version__in=erased.versions))
    return Erasure(erased.rows, files, marked.filter(erased_rows__gt=0).count())


def with_erased_rows(checkpoints: QuerySet[Checkpoint]) -> QuerySet[Any]:
    """Each with `erased_rows`: how many of the rows that it learned from, or was chosen by, are erased."""
    gone = ErasedRows.objects.filter(version=OuterRef("dataset_version")).exclude(split=Split.TEST)
    total = gone.order_by().values("version").annotate(total=Sum("rows")).values("total")
    return checkpoints.annotate(
        erased_rows=Coalesce(Subquery(total, output_field=IntegerField()), Value(0))
    )


def _forget_quotes(versions: Mapping[UUID, frozenset[str]]) -> None:
    """Reports show some held-out rows with their answers, and folders keep copies until a job is over."""
    of_versions = Evaluation.objects.filter(checkpoint__dataset_version__in=versions)
    for evaluation in of_versions.select_related("checkpoint"):
        ids = versions[evaluation.checkpoint.dataset_version_id]  # type: ignore[index]
        report = evaluation.report
        if isinstance(report, dict) and isinstance(report.get("samples"), list):
            kept = [one for one in report["samples"] if one.get("id") not in ids]
            Evaluation.objects.filter(pk=evaluation.pk).update(report=report | {"samples": kept})
        _remove_later(*(job_folder.folder_of(evaluation) / name for name in QUOTING))
    jobs = FineTuningJob.objects.filter(dataset_version__in=versions)
    for row in (*of_versions, *jobs):
        if row.is_terminal:
            transaction.on_commit(partial(job_folder.tidy, row))


def _remove_later(*paths: Path) -> None:
    for path in paths:
        transaction.on_commit(partial(path.unlink, missing_ok=True))
