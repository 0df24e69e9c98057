"""Bodies that are too large are refused before they are read.

Django reads a whole body to the disk before any view is asked. Below /v1/ a program sends what it
likes, so that the limit stands in front of Django.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from common.api import MAX_BODY_BYTES, openai_document

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

UPLOADS = "/v1/files"
# What a form needs around its file.
FORM_BYTES = 1 << 20


class BodyLimit:
    """Wraps an ASGI application."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.application(scope, receive, send)
            return
        most = MAX_BODY_BYTES
        if scope["path"] == UPLOADS:
            most = settings.FILE_MOST_BYTES + FORM_BYTES
        if _announced(scope) > most:
            await _refuse(send)
            return
        counted = _Counted(receive, send, most)
        await self.application(scope, counted.receive, counted.send)
        if counted.is_over and not counted.answered:
            await _refuse(send)


class _Counted:
    """Hangs up on the application once the body is larger than it said, or than it may be."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._left = receive, send, most
        self.is_over = False
        self.answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.is_over = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        self.answered = True
        await self._send(message)


def _announced(scope: Any) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0


async def _refuse(send: Send) -> None:
    document = openai_document(413, "too_large", _("The request is too large."))
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", uuid.uuid4().hex.encode()),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
