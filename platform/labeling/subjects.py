"""Whose data a row holds, in the tables of every product: found, handed out, erased.

A table says by `subject_path` how a row leads to the reference of a person ("contact:<id>",
"past:<digest>"); a new table that says so is in every export and every erasure from its first day.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet

from labeling.files import delete_file
from labeling.models import ErasedRows, Example, ImportRun, StoredFile, VersionRow
from tenancy import guards

NO_NAME = "–"


@dataclass(frozen=True)
class Erased:
    """How many rows and files are gone, and of each frozen version the ids of its rows that are."""

    rows: int
    files: int
    versions: Mapping[UUID, frozenset[str]]


def tables_about_people() -> Iterator[tuple[type[Model], str]]:
    """Every table whose rows lead to somebody's reference, with the way there."""
    for model in guards.tenant_models():
        path = getattr(model, "subject_path", None)
        # Others lead to a member of the company, who is no subject here.
        if path and path.split("__")[-1] == "subject":
            yield model, path


def rows_about(subject: str) -> Iterator[QuerySet[Any]]:
    """What each table holds of one person, of the tenant in scope."""
    for model, path in sorted(tables_about_people(), key=lambda one: one[0]._meta.label):
        yield model._base_manager.filter(**{path: subject})


def files_named_in(rows: QuerySet[Any]) -> set[UUID]:
    """The stored files that rows of a table refer to."""
    model: type[Model] = rows.model
    named: set[UUID] = set()
    for field in model._meta.local_concrete_fields:
        if field.related_model is StoredFile:
            named.update(rows.exclude(**{field.name: None}).values_list(field.attname, flat=True))
    return named


@transaction.atomic
def erase_rows_about(subject: str) -> Erased:
    """Take away all that every table holds of one person, of the tenant in scope, with the files that
    these rows name or were read from. Rows of frozen versions go as well, and the versions say so.

    What other processes hold on their disks is gpt_core's to find (`gpt_core.services.erase_person`).
    """
    if not subject:
        raise ValueError("nobody's rows")
    versions = _marked(subject)
    runs = ImportRun.objects.filter(examples__subject=subject)
    files = set(runs.exclude(file=None).values_list("file_id", flat=True))
    _forget_names_and_quotes(list(runs.values_list("pk", flat=True)))
    for rows in rows_about(subject):
        files |= files_named_in(rows)
    count = sum(rows.delete()[0] for rows in rows_about(subject))
    return Erased(count, erase_files(StoredFile.objects.filter(pk__in=files)), versions)


def _forget_names_and_quotes(runs: list[UUID]) -> None:
    """Faults and findings quote the rows that they speak of, and files are named after people."""
    ImportRun.objects.filter(pk__in=runs).update(faults=[], findings={}, filename=NO_NAME)
    Example.objects.filter(import_run__in=runs).update(source_ref=NO_NAME)


def erase_files(files: QuerySet[StoredFile]) -> int:
    """The bytes, and the names too, for people name files after themselves. Returns how many."""
    found = list(files)
    for file in found:
        delete_file(file)
    StoredFile.objects.filter(pk__in=[one.pk for one in found]).update(filename=NO_NAME)
    return len(found)


def _marked(subject: str) -> Mapping[UUID, frozenset[str]]:
    """Note in each frozen version what it is about to lose."""
    ids: defaultdict[UUID, set[str]] = defaultdict(set)
    sizes: Counter[tuple[UUID, str]] = Counter()
    for version, split, payload in VersionRow.objects.filter(subject=subject).values_list(
        "version_id", "split", "payload"
    ):
        ids[version].add(str(payload.get("id")))
        sizes[version, split] += 1
    ErasedRows.objects.bulk_create(
        ErasedRows(version_id=version, split=split, rows=rows)
        for (version, split), rows in sizes.items()
    )
    return {version: frozenset(found) for version, found in ids.items()}
