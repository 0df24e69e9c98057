"""How much of the disk each tenant has: its files, checkpoints, jobs and exports, measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings

from tenancy.models import StoredBytes, Tenant
from tenancy.quotas import storage
from tenancy.scope import tenant_scope

from . import job_folder
from .models import Checkpoint, Export, Supervised

Kind = StoredBytes.Kind
# Folders of PARLEY_HOME with a folder for each tenant, by its id, and what they count as.
AREAS = {"files": Kind.FILES, "attachments": Kind.FILES, "archives": Kind.EXPORTS}


def measure_every_tenant() -> int:
    """Measure the disk and write it down; returns how many tenants. Needs a system scope."""
    tenants = list(Tenant.objects.order_by("pk"))
    for tenant in tenants:
        with tenant_scope(tenant):
            for kind, found in measure(tenant.pk).items():
                storage.measured(kind, found)
    return len(tenants)


def measure(tenant_id: UUID) -> dict[str, int]:
    """Bytes by kind, as they are on the disk. Needs the tenant's scope."""
    home = Path(settings.PARLEY_HOME)
    found: dict[str, int] = dict.fromkeys(Kind.values, 0)
    for area, kind in AREAS.items():
        found[kind] += bytes_below(home / area / str(tenant_id))
    for checkpoint in Checkpoint.objects.present():
        found[Kind.CHECKPOINTS] += bytes_below(Path(checkpoint.folder))
    for export in Export.objects.order_by("pk"):
        found[Kind.EXPORTS] += bytes_below(job_folder.export_folder(export))
    for row in supervised_rows():
        found[Kind.JOBS] += bytes_below(job_folder.folder_of(row))
    return found


def supervised_rows() -> Iterator[Supervised]:
    """Everything with a job folder, of whoever is in scope."""
    for kind in Supervised.__subclasses__():
        yield from kind.objects.only("pk").order_by("pk")


def bytes_below(folder: Path) -> int:
    """The bytes of a folder, what lies in it meanwhile deleted not counted. No link is followed."""
    total = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += Path(path, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
