"""Everything of a tenant in one tar file: a line of JSON for each row, files and checkpoints as they are.

    README.txt                  what is where
    tables/<table>.ndjson       every row of every table, by the names of its columns
    tables/people.ndjson        who belongs to it
    files/<id>                  uploaded files; tables/labeling.StoredFile.ndjson has their names
    checkpoints/<name>/...      the weights, as PEFT and vLLM load them
    jobs/<id>/...               logs, curves and reports
    manifest.json               the SHA-256 of each part

Left out are the digests of keys and what is sealed: of no use elsewhere, and nobody's to carry.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.models import User
from labeling.models import StoredFile
from labeling.services import file_path
from labeling.work import MOST_ATTEMPTS, Hold, WorkCancelledError, WorkLostError
from tenancy import audit, guards, rows
from tenancy.models import Membership, Tenant
from tenancy.quotas import storage
from tenancy.scope import tenant_scope

from .. import job_folder
from ..models import Checkpoint, TenantArchive
from ..storage import supervised_rows

logger = logging.getLogger(__name__)

KEPT = timedelta(days=7)
SECRETS = {
    "hash", "token_hash", "key_digest", "request_digest", "sealed", "sealed_secret",
    "sealed_previous",
}  # fmt: skip
State = TenantArchive.State


def start_archive(*, actor: User | None = None) -> TenantArchive:
    """Have everything of the tenant in scope written into one file; one under way is returned."""
    with transaction.atomic():
        Tenant.objects.select_for_update().get()
        open_one = TenantArchive.objects.filter(state__in=[State.QUEUED, State.RUNNING]).first()
        if open_one is not None:
            return open_one
        archive = TenantArchive.objects.create(actor=actor)
        audit.record("tenant.archive_asked", archive)
        transaction.on_commit(ring)
    return archive


def write_waiting() -> int:
    """Write what was asked for, one after another. Needs a system scope."""
    written = 0
    while (archive := TenantArchive.objects.claimable().order_by("created_at").first()) is not None:
        with tenant_scope(archive.tenant_id):
            written += _carry_out(archive)
    return written


def sweep_archives() -> int:
    """Delete the files whose time is over. Needs a system scope."""
    over = list(TenantArchive.objects.filter(expires_at__lte=timezone.now(), size__gt=0))
    for archive in over:
        archive.path.unlink(missing_ok=True)
        TenantArchive.objects.filter(pk=archive.pk).update(size=0)
    return len(over)


def ring() -> None:
    """Say "look" to a worker; beat says it again while an archive waits."""
    try:
        current_app.send_task("gpt_core.tasks.write_archives", queue="long", retry=False)
    except (BrokerError, OSError) as error:
        logger.warning("the broker does not answer, the doorbell rings later: %s", error)


def _carry_out(archive: TenantArchive) -> bool:
    hold = Hold.of(archive)
    if hold is None:
        return False
    if archive.attempt > MOST_ATTEMPTS:
        hold.end(State.FAILED, failure="worker_lost")
        return True
    try:
        size, digest = _write(hold, archive)
        with transaction.atomic():
            hold.end(
                State.DONE, share=1, size=size, digest=digest, expires_at=timezone.now() + KEPT
            )
            storage.keep(storage.Kind.EXPORTS, size)
            audit.record("tenant.archived", archive, bytes=size)
    except WorkCancelledError:
        hold.end(State.CANCELLED)
    except WorkLostError:
        logger.warning("the archive %s was taken over by another worker", archive.pk)
    except Exception:
        logger.exception("the archive %s failed", archive.pk)
        hold.end(State.FAILED, failure="internal")
    return True


def _write(hold: Hold, archive: TenantArchive) -> tuple[int, str]:
    """The file under its name, whole. Returns its size and digest."""
    path = archive.path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in path.parent.glob(".*"):
        left.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{archive.token}")
    found = list(_files())
    total = sum(size for _name, _path, size in found) + 1
    try:
        with aside.open("xb") as out:
            os.fchmod(out.fileno(), 0o600)
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                parts = _tables(tar, hold, path.parent)
                done = 0
                for name, source, size in found:
                    parts[name] = _add_file(tar, name, source)
                    done += size
                    hold.progress(0.5 + done / total / 2)
                _add(tar, "README.txt", (__doc__ or "").encode())
                _add(tar, "manifest.json", json.dumps(parts, indent=1).encode())
            out.flush()
            os.fsync(out.fileno())
        digest = _sha256_of(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path.stat().st_size, digest


def _tables(tar: tarfile.TarFile, hold: Hold, scratch: Path) -> dict[str, str]:
    parts = {"tables/people.ndjson": _add_lines(tar, "tables/people.ndjson", _people(), scratch)}
    models = sorted(guards.tenant_models(), key=lambda one: one._meta.label)
    for number, model in enumerate(models):
        name = f"tables/{model._meta.label}.ndjson"
        records = rows.records_of(model, connection, leave_out=SECRETS)
        parts[name] = _add_lines(tar, name, records, scratch)
        hold.progress(number / len(models) / 2)
    return parts


def _people() -> Iterator[dict[str, Any]]:
    for membership in Membership.objects.select_related("user").order_by("pk"):
        person = membership.user
        yield {"id": str(person.pk), "email": person.email, "name": person.name,
               "role": membership.role}  # fmt: skip


def _files() -> Iterator[tuple[str, Path, int]]:
    """(name in the archive, where it lies, bytes) of every file of the tenant in scope."""
    for stored in StoredFile.objects.filter(state=StoredFile.State.STORED).order_by("pk"):
        yield from _below(file_path(stored), f"files/{stored.pk}")
    for checkpoint in Checkpoint.objects.present().order_by("name"):
        yield from _below(Path(checkpoint.folder), f"checkpoints/{checkpoint.name}")
    for row in supervised_rows():
        yield from _below(job_folder.folder_of(row), f"jobs/{row.pk}")


def _below(place: Path, name: str) -> Iterator[tuple[str, Path, int]]:
    if place.is_symlink():
        return
    if place.is_file():
        yield name, place, place.stat().st_size
    elif place.is_dir():
        for entry in sorted(place.iterdir()):
            yield from _below(entry, f"{name}/{entry.name}")


def _add_lines(
    tar: tarfile.TarFile, name: str, records: Iterator[dict[str, Any]], scratch: Path
) -> str:
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(dir=scratch) as spool:
        for record in records:
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            spool.write(line)
        size = spool.tell()
        spool.seek(0)
        tar.addfile(_member(name, size), spool)
    return digest.hexdigest()


def _add_file(tar: tarfile.TarFile, name: str, source: Path) -> str:
    try:
        digest = _sha256_of(source)
        with source.open("rb") as content:
            tar.addfile(_member(name, os.fstat(content.fileno()).st_size), content)
    except FileNotFoundError:
        return ""  # deleted meanwhile
    return digest


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_member(name, len(content)), io.BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    member.mtime = int(timezone.now().timestamp())
    return member


def _sha256_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
