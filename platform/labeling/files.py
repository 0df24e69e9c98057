"""Files on disk: written aside, whole or absent, each in its tenant's folder under its own id.

The one path builder of stored files: both parts of a path are UUIDs that we made ourselves.
"""

import os
import uuid
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, NotFoundError
from labeling.faults import excerpt
from labeling.models import StoredFile
from tenancy.audit import record
from tenancy.quotas import storage
from tenancy.scope import required_scope, tenant_scope

CHUNK = 1 << 20


def file_path(file: StoredFile) -> Path:
    """Where the bytes of this file lie."""
    if not isinstance(file.pk, uuid.UUID) or not isinstance(file.tenant_id, uuid.UUID):
        raise TypeError("a stored file is named by its tenant's UUID and its own")
    return Path(settings.PARLEY_HOME) / "files" / str(file.tenant_id) / str(file.pk)


def store_file(
    *,
    stream: IO[bytes],
    filename: str,
    purpose: str,
    most_bytes: int,
    content_type: str = "",
    expires_at: datetime | None = None,
) -> StoredFile:
    """Keep what the stream holds, read piece by piece. `filename` is only ever shown, never a path.

    Raises ApplicationError `file_empty`, `file_too_large` beyond `most_bytes`, or
    `storage_quota_exceeded`; then nothing stays.
    """
    file = StoredFile(
        filename=_shown_name(filename),
        purpose=purpose,
        content_type=excerpt(content_type, 100),
        expires_at=expires_at,
    )
    required_scope()
    storage.require_room()
    path = file_path(file)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}")
    try:
        file.size, file.sha256 = _write(stream, aside, most_bytes)
        aside.replace(path)
        _keep_entry(path.parent)
        with transaction.atomic():
            storage.require_room(file.size)
            file.save()
            storage.keep(storage.Kind.FILES, file.size)
            record("file.stored", file, bytes=file.size, purpose=purpose)
    except BaseException:
        # Bytes without a row would be nobody's.
        path.unlink(missing_ok=True)
        raise
    finally:
        aside.unlink(missing_ok=True)
    return file


def open_file(file: StoredFile) -> BinaryIO:
    """The bytes, to be read and closed. Raises NotFoundError where they are gone."""
    try:
        if file.state != StoredFile.State.STORED:
            raise FileNotFoundError
        return file_path(file).open("rb")
    except FileNotFoundError:
        raise NotFoundError(_("This file has been deleted.")) from None


def delete_file(file: StoredFile) -> None:
    """Give the disk back. The row stays, so that what was made from the file can still name it."""
    with transaction.atomic():
        deleted = StoredFile.objects.filter(pk=file.pk, state=StoredFile.State.STORED).update(
            state=StoredFile.State.DELETED, deleted_at=timezone.now()
        )
        if deleted:
            with tenant_scope(file.tenant_id):  # beat deletes across tenants
                storage.keep(storage.Kind.FILES, -file.size)
            record("file.deleted", file, bytes=file.size)
        # Should the process end in between, the bytes stay without harm: no door opens them.
        transaction.on_commit(lambda: file_path(file).unlink(missing_ok=True))
    file.refresh_from_db()


def delete_expired_files() -> int:
    """Delete what was to be kept until now, of whoever is in scope."""
    expired = list(StoredFile.objects.expired().order_by("expires_at")[:1_000])
    for file in expired:
        delete_file(file)
    return len(expired)


def _write(stream: IO[bytes], path: Path, most_bytes: int) -> tuple[int, str]:
    """Copy to the disk and make sure that it is there. Returns the size and the digest."""
    digest, size, room = sha256(), 0, storage.room_left()
    with path.open("xb") as kept:
        os.fchmod(kept.fileno(), 0o600)
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > most_bytes:
                raise ApplicationError(
                    "file_too_large",
                    _("The file is larger than %(limit)s bytes.") % {"limit": most_bytes},
                    field="file",
                    status_hint=413,
                )
            if size > room:
                storage.require_room(size)
                room = storage.room_left()  # somebody deleted meanwhile
            digest.update(chunk)
            kept.write(chunk)
        if not size:
            raise ApplicationError("file_empty", _("The file is empty."), field="file")
        kept.flush()
        os.fsync(kept.fileno())
    return size, digest.hexdigest()


def _keep_entry(folder: Path) -> None:
    """A renamed file is only there for good once its folder is written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shown_name(filename: str) -> str:
    """The last part of whatever path a browser or a client sent."""
    return excerpt(PurePosixPath(filename.replace("\\", "/")).name, 255) or "file"
