"""Take a visitor's file, look through it, free it of metadata, hand it out as a download, and forget it with its message."""

from __future__ import annotations

import hashlib
import os
import time
import unicodedata
import uuid
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _

from apps.chatbot import file_types, pictures
from apps.chatbot.doorbell import ring_checkers
from apps.chatbot.models import Attachment, Conversation, Handoff, Message
from apps.chatbot.services.clocks import start_clock
from apps.chatbot.services.conversations import (
    add_message,
    follow,
    give_to_people,
    locked,
    take,
)
from common.errors import ApplicationError, ConflictError, NotFoundError
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

MOST_BYTES = 10 << 20
MOST_FILES = 20
# What has no row for so long belongs to nobody any more.
ORPHAN_SECONDS = 60


def receive_attachment(
    *, conversation: Conversation, client_id: uuid.UUID, name: str, data: bytes
) -> Attachment:
    """A file as a message of its own: its name. The bot cannot read it, so that people have it now.

    The same id is the same file, for ever. Raises ApplicationError: file_empty, file_too_large,
    file_type_refused, too_many_files, message_id_reused.
    """
    if not data:
        raise _refused("file_empty", _("The file is empty."))
    if len(data) > MOST_BYTES:
        raise _refused("file_too_large", _("The file is too large."), 413)
    kind = file_types.kind_of(data)
    if kind is None:
        raise _refused("file_type_refused", _("Only images, PDF and plain text can be sent."), 415)
    digest = hashlib.sha256(data).hexdigest()
    with transaction.atomic():
        held = locked(conversation)
        same = Message.objects.filter(conversation=held, client_id=client_id).first()
        if same is not None:
            kept = Attachment.objects.filter(message=same, digest=digest).first()
            if kept is None:
                raise ConflictError(
                    "message_id_reused", _("This id belongs to another message already.")
                )
            return kept
        if Attachment.objects.filter(message__conversation=held).count() >= MOST_FILES:
            raise _refused("too_many_files", _("No more files fit in this conversation."))
        name = _name(name)
        message = add_message(held, role=Message.Role.USER, text=name, client_id=client_id)
        made = Attachment(message=message, name=name, kind=kind, size=len(data), digest=digest)
        made.tenant_id = held.tenant_id
        _write(made.path, data)
        made.save()
        if held.owner == Conversation.Owner.BOT:
            give_to_people(held, reason=Handoff.Reason.UNSUPPORTED_REQUEST)
        take(held, None)
        start_clock(held)
        held.save()
        ring_checkers()
    follow(conversation, held)
    return made


def check_attachments() -> int:
    """Look through what waits, of every tenant. Returns how many. Needs a system scope."""
    waiting = Attachment.objects.filter(state=Attachment.State.WAITING)
    rows = list(waiting.filter(tenant__state=Tenant.State.ACTIVE).order_by("created_at")[:200])
    for row in rows:
        with tenant_scope(row.tenant_id):
            fault = _looked_through(row)
            state = Attachment.State.REFUSED if fault else Attachment.State.CLEAN
            Attachment.objects.filter(pk=row.pk).update(state=state, fault=fault)
            if fault:
                row.path.unlink(missing_ok=True)
    return len(rows)


def forget_attachments() -> int:
    """Delete what lies there without a row: its message was erased. Returns how many. Needs a system
    scope."""
    gone = 0
    for path in (Path(settings.PARLEY_HOME) / "attachments").glob("*/*"):
        try:
            is_old = path.lstat().st_mtime < time.time() - ORPHAN_SECONDS
        except FileNotFoundError:
            continue
        if is_old and not (_is_id(path.name) and Attachment.objects.filter(pk=path.name).exists()):
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def require_checked(attachment: Attachment) -> None:
    """Raises ConflictError `file_waiting`, NotFoundError."""
    if attachment.state == Attachment.State.WAITING:
        raise ConflictError("file_waiting", _("The file is being checked. Try again in a moment."))
    if attachment.state == Attachment.State.REFUSED:
        raise NotFoundError


def download_of(attachment: Attachment) -> HttpResponse:
    """As a file to keep and never as a page to show. Raises as `require_checked`."""
    require_checked(attachment)
    try:
        data = attachment.path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError from None
    response = HttpResponse(data, content_type=file_types.TYPES[attachment.kind])
    response["Content-Disposition"] = content_disposition_header(True, attachment.name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    response._csp_replace = {"default-src": ["'none'"], "sandbox": []}  # type: ignore[attr-defined]
    return response


def _looked_through(row: Attachment) -> str:
    """Why nobody gets it; "" where it is what it says, and a picture that says nothing else."""
    try:
        data = row.path.read_bytes()
    except FileNotFoundError:
        return "missing"
    found = hashlib.sha256(data).hexdigest()
    if found == row.plain_digest:
        # Whoever looked before came so far, and no further.
        return ""
    if found != row.digest:
        return "changed"
    fault = file_types.fault_of(row.kind, data)
    if fault or row.kind not in pictures.KINDS:
        return fault
    try:
        plain = pictures.without_metadata(row.kind, data)
    except pictures.PictureError as error:
        return error.fault
    # Noted first: what lies there is known at every moment, whenever we end.
    known = {"plain_digest": hashlib.sha256(plain).hexdigest(), "size": len(plain)}
    Attachment.objects.filter(pk=row.pk).update(**known)
    _write(row.path, plain)
    return ""


def _name(given: str) -> str:
    """The last part of it, without what is no letter to a reader: control characters, and those that
    turn the direction of writing and so hide an ending."""
    last = given.replace("\\", "/").rpartition("/")[2]
    kept = "".join(one for one in last if not unicodedata.category(one).startswith("C"))
    return " ".join(kept.split()).strip(". ")[:200] or "file"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    aside.touch(mode=0o600)
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _refused(code: str, detail: object, status: int = 400) -> ApplicationError:
    return ApplicationError(code, detail, field="file", status_hint=status)
