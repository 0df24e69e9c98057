"""Export a checkpoint as a file, hand the file out, and take it away again."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import Q
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ApplicationError, ConflictError
from tenancy import audit
from tenancy.quotas import require_room

from .. import dispatch, job_folder
from ..models import Checkpoint, Export, State
from .hyperparameters import invalid

# What each kind is stored as where nobody chose: what most programs load, at half the size of float32.
PRECISIONS = {
    Export.Kind.ADAPTER: (Export.Precision.FLOAT32,),
    Export.Kind.MERGED: (Export.Precision.BFLOAT16, Export.Precision.FLOAT32),
    Export.Kind.GGUF: (
        Export.Precision.FLOAT16,
        Export.Precision.BFLOAT16,
        Export.Precision.FLOAT32,
    ),
}
GGUF_ARCHITECTURES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
CHUNK = 1 << 20


def start_export(
    *, checkpoint: Checkpoint, kind: str, precision: str = "auto", actor: User | None = None
) -> Export:
    """Put an export in the queue; one of the same kind that is under way or ready is returned instead."""
    if kind not in Export.Kind.values:
        raise invalid("kind", _("one of %(known)s") % {"known": ", ".join(Export.Kind.values)})
    allowed = PRECISIONS[Export.Kind(kind)]
    if precision == "auto":
        precision = allowed[0]
    if precision not in allowed:
        raise invalid("precision", _("one of %(known)s") % {"known": ", ".join(["auto", *allowed])})
    _require_possible(checkpoint, kind)
    require_room(status_hint=409)
    with transaction.atomic():
        # The lock keeps two requests at once from starting two.
        Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        same = Export.objects.filter(checkpoint=checkpoint, kind=kind, precision=precision)
        ready = Q(state=State.SUCCEEDED, expires_at__gt=timezone.now())
        under_way = ~Q(state__in=(State.SUCCEEDED, State.FAILED, State.CANCELLED))
        found = same.filter(ready | under_way).order_by("-queued_at").first()
        if found is not None:
            return found
        export = Export.objects.create(
            checkpoint=checkpoint, kind=kind, precision=precision, actor=actor, state=State.QUEUED
        )
        dispatch.record(export, "started")
        audit.record("export.started", export, actor=actor, kind=kind, precision=precision)
        dispatch.ring()
    return export


def kinds_of(checkpoint: Checkpoint) -> list[str]:
    """What this checkpoint can be exported as."""
    kinds = [str(Export.Kind.MERGED)]
    if checkpoint.kind == Checkpoint.Kind.ADAPTER:
        kinds.insert(0, str(Export.Kind.ADAPTER))
    if checkpoint.base_model.architecture in GGUF_ARCHITECTURES:
        kinds.append(str(Export.Kind.GGUF))
    return kinds


def open_export(export: Export, *, actor: User | None = None) -> Path:
    """Where the file lies, for whoever may have it; the taking is kept in the audit log."""
    path = job_folder.export_folder(export) / Path(export.filename).name
    if not export.is_ready:
        raise ConflictError("export_not_ready", _("The export is not ready."))
    if not path.is_file():
        raise ApplicationError(
            "export_gone",
            _("The file of this export is not there any more. Make it again."),
            status_hint=410,
        )
    audit.record("export.downloaded", export, actor=actor, sha256=export.sha256)
    return path


async def pieces_of(path: Path) -> AsyncIterator[bytes]:
    """A large file piece by piece; the web process never holds more than one."""
    file: Any = await sync_to_async(lambda: path.open("rb"))()
    try:
        while piece := await sync_to_async(file.read)(CHUNK):
            yield piece
    finally:
        await sync_to_async(file.close)()


def answer_with(export: Export, *, actor: User | None = None) -> StreamingHttpResponse:
    """The file as an answer over HTTP: the API's and the page's."""
    path = open_export(export, actor=actor)
    return file_answer(path, name=export.filename, size=export.size or 0, digest=export.sha256)


def file_answer(path: Path, *, name: str, size: int, digest: str) -> StreamingHttpResponse:
    """A file to be saved, never to be shown."""
    response = StreamingHttpResponse(pieces_of(path), content_type="application/octet-stream")
    response["Content-Length"] = str(size)
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    response["Cache-Control"] = "private, no-store"
    response["X-Checksum-Sha256"] = digest
    return response


def delete_export(*, export: Export, actor: User | None = None) -> None:
    """The row and its file; one that still runs is to be cancelled first."""
    if not export.is_terminal:
        raise ConflictError("wrong_state", _("Cancel the export first."))
    folders = (job_folder.export_folder(export), job_folder.folder_of(export))
    with transaction.atomic():
        audit.record("export.deleted", export, actor=actor)
        export.delete()
        transaction.on_commit(lambda: _remove(*folders))


def sweep_exports() -> int:
    """Delete what has expired, and folders without a row; how many exports. Needs a system scope."""
    over = list(Export.objects.filter(expires_at__lt=timezone.now())[:500])
    for export in over:
        delete_export(export=export)
    store = job_folder.exports_folder()
    for folder in store.glob("*/*"):
        if _is_orphan(folder):
            _remove(folder)
    return len(over)


def _is_orphan(folder: Path) -> bool:
    try:
        pk = uuid.UUID(folder.name)
    except ValueError:
        # `tmp` is the engine's, which takes away its own.
        return False
    return not Export.objects.filter(pk=pk).exists()


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _require_possible(checkpoint: Checkpoint, kind: str) -> None:
    if checkpoint.deleted_at is not None:
        raise ConflictError("checkpoint_deleted", _("The files of this checkpoint are deleted."))
    if kind in kinds_of(checkpoint):
        return
    said: dict[str, Any] = {
        Export.Kind.ADAPTER: (
            "export_no_adapter",
            _("This checkpoint is a full model and has no adapter."),
        ),
        Export.Kind.GGUF: (
            "export_gguf_architecture",
            _("Models of the family “%(family)s” cannot be exported as GGUF.")
            % {"family": checkpoint.base_model.architecture},
        ),
    }
    code, sentence = said[kind]
    raise ConflictError(code, sentence)
