"""Erase a company: files first, then every row of every table in one transaction.

A kill in between leaves the rows, and with them the order to go on; what is erased already is not
missed. Of the audit log only the lines about the closing itself stay, with ids and nothing else.
Engines forget its adapters at the next look (services.engines), backups by their own age.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from common.errors import ConflictError
from tenancy import audit, guards
from tenancy.guards import KEPT_OF_THE_ERASED
from tenancy.home import keeping_files_still
from tenancy.models import AuditEntry, Membership, Tenant
from tenancy.scope import system_scope, tenant_scope

from .. import job_folder
from ..models import Checkpoint, Export
from ..storage import supervised_rows
from .grace import ERASED

logger = logging.getLogger(__name__)


def erase_due() -> int:
    """Erase every company whose time of grace is over; how many. Needs a system scope."""
    due = Tenant.objects.filter(state=Tenant.State.CLOSING, closes_at__lte=timezone.now())
    erased = 0
    for tenant in list(due):
        try:
            erase(tenant)
        except ConflictError:
            logger.info("an erasure waits until a backup is written")
            break
        erased += 1
    return erased


def erase(tenant: Tenant) -> None:
    """Erase one whose time is over. Raises ConflictError before that, and while a backup is at work."""
    with tenant_scope(tenant):
        current = Tenant.objects.get()
        is_due = current.closes_at is not None and current.closes_at <= timezone.now()
        if current.state != Tenant.State.CLOSING or not is_due:
            raise ConflictError("not_due", "The time of grace is not over.")
    with keeping_files_still():
        with tenant_scope(tenant):
            erase_files(tenant.pk)
        with system_scope("erase a company that was closed"), transaction.atomic():
            people = list(
                Membership.objects.filter(tenant=tenant).values_list("user_id", flat=True)
            )
            erase_rows(tenant.pk)
            erase_people(people)
            AuditEntry.objects.create(
                tenant_id=tenant.pk,
                actor_kind=audit.current_actor().kind,
                actor_id=audit.current_actor().id,
                action=ERASED,
                target_type=Tenant._meta.label_lower,
                target_id=str(tenant.pk),
            )


def erase_files(tenant_id: UUID) -> None:
    """Checkpoints, exports, job folders, and the tenant's folder of every area. In its scope."""
    for checkpoint in Checkpoint.objects.all():
        _remove(Path(checkpoint.folder))
    for export in Export.objects.all():
        _remove(job_folder.export_folder(export))
    for row in supervised_rows():
        _remove(job_folder.folder_of(row))
    for area in Path(settings.PARLEY_HOME).iterdir():
        if area.is_dir() and not area.is_symlink():
            _remove(area / str(tenant_id))


def erase_rows(tenant_id: UUID) -> None:
    """Every row of every table, whatever refers to what: references are asked at the commit.

    Past the models' own deletion, which would load each row to see what hangs on it, and stop at
    what is protected; here all of it goes.
    """
    for model in guards.tenant_models():
        rows = model._base_manager.filter(tenant_id=tenant_id)
        if model is AuditEntry:
            rows = rows.exclude(action__in=KEPT_OF_THE_ERASED)
        rows._raw_delete(using=connection.alias)  # type: ignore[attr-defined]
    Tenant.objects.filter(pk=tenant_id)._raw_delete(using=connection.alias)


def erase_people(ids: list[UUID]) -> int:
    """The accounts of those who belonged to nothing else, are no staff, and whom no other company's
    row names. Everybody else keeps theirs."""
    erased = 0
    for person in User.objects.filter(pk__in=ids, is_staff=False):
        if not _is_named_elsewhere(person):
            person.delete()
            erased += 1
    return erased


def _is_named_elsewhere(person: User) -> bool:
    tenants_own = set(guards.tenant_models())
    return any(
        model._base_manager.filter(**{field.name: person}).exists()
        for model in tenants_own
        for field in model._meta.local_concrete_fields
        if field.is_relation and field.related_model is User
    )


def _remove(place: Path) -> None:
    if place.is_symlink() or place.is_file():
        place.unlink(missing_ok=True)
    elif place.exists():
        shutil.rmtree(place)
