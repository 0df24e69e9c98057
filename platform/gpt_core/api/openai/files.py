"""/v1/files: upload, list, look at, fetch, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANNOTATE, VIEW
from labeling.models import StoredFile
from labeling.services import delete_file, open_file, store_file

from . import errors, ids
from .base import OpenAIViewSet, listed, page_after, timestamp, whole_number

PIECE = 256 * 1024
MOST_LISTED = 10_000
SHOWN = (StoredFile.Purpose.FINE_TUNE, StoredFile.Purpose.RESULTS)
_EXPIRY = ("expires_after[anchor]", "expires_after[seconds]")


class FileViewSet(OpenAIViewSet):
    model = StoredFile
    parser_classes = [MultiPartParser]
    needs = {
        "list": VIEW,
        "create": ANNOTATE,
        "retrieve": VIEW,
        "content": VIEW,
        "destroy": ANNOTATE,
    }
    # Hundreds of megabytes are copied meanwhile; sent twice, they are two files.
    in_steps = frozenset({"create"})

    asks_by_query = frozenset({"list"})

    def get_queryset(self) -> QuerySet[Any]:
        return StoredFile.objects.present().filter(purpose__in=SHOWN)

    def create(self, request: Request) -> Response:
        given: Any = request.data
        for name in given:
            if name not in ("file", "purpose", *_EXPIRY):
                raise errors.unknown(name)
        upload, purpose = given.get("file"), given.get("purpose")
        if not isinstance(upload, UploadedFile):
            raise errors.missing("file") if upload is None else errors.wrong("file", _("a file"))
        if purpose is None:
            raise errors.missing("purpose")
        if purpose != StoredFile.Purpose.FINE_TUNE:
            raise errors.wrong("purpose", _("“fine-tune”, the one purpose that is supported"))
        file = store_file(
            stream=upload,  # type: ignore[arg-type]
            filename=upload.name or "",
            purpose=purpose,
            most_bytes=settings.FILE_MOST_BYTES,
            content_type=upload.content_type or "",
            expires_at=_expiry(given),
        )
        return Response(as_object(file))

    def list(self, request: Request) -> Response:
        asked = self.parameters("after", "limit", "order", "purpose")
        limit = whole_number("limit", asked.get("limit", MOST_LISTED), 1, MOST_LISTED)
        order = asked.get("order", "desc")
        if order not in ("asc", "desc"):
            raise errors.wrong("order", _("asc or desc"))
        rows = self.get_queryset()
        if "purpose" in asked:
            rows = rows.filter(purpose=asked["purpose"])
        last = (
            ids.named(StoredFile.objects.all(), ids.FILE, asked["after"], "after")
            if ("after" in asked)
            else None
        )
        found, more = page_after(rows, last, limit=limit, ascending=order == "asc")
        return listed([as_object(file) for file in found], has_more=more)

    def retrieve(self, request: Request, file_id: str) -> Response:
        return Response(as_object(self._file(file_id)))

    def destroy(self, request: Request, file_id: str) -> Response:
        delete_file(self._file(file_id))
        return Response({"id": file_id, "object": "file", "deleted": True})

    def content(self, request: Request, file_id: str) -> StreamingHttpResponse:
        """The bytes as they came. Always a download: nothing of it is for a browser to show."""
        file = self._file(file_id)
        return StreamingHttpResponse(
            _pieces(open_file(file)),
            content_type="application/octet-stream",
            headers={
                "Content-Length": str(file.size),
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename)}",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _file(self, file_id: str) -> StoredFile:
        return ids.named(self.get_queryset(), ids.FILE, file_id, "file_id")


def as_object(file: StoredFile) -> dict[str, Any]:
    """OpenAI's file object."""
    return {
        "id": ids.written(ids.FILE, file.pk),
        "object": "file",
        "bytes": file.size,
        "created_at": timestamp(file.created_at),
        "expires_at": timestamp(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _expiry(given: Any) -> datetime | None:
    anchor, seconds = (given.get(name) for name in _EXPIRY)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise errors.wrong("expires_after.anchor", _("created_at"))
    if seconds is None:
        raise errors.missing("expires_after.seconds")
    lasts = whole_number("expires_after.seconds", seconds, 3_600, 2_592_000)
    return timezone.now() + timedelta(seconds=lasts)


async def _pieces(stream: BinaryIO) -> AsyncIterator[bytes]:
    """Piece by piece: a server of asynchronous code would read a plain iterator whole."""
    read = sync_to_async(stream.read, thread_sensitive=False)
    try:
        while piece := await read(PIECE):
            yield piece
    finally:
        stream.close()
