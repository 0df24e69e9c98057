"""The engine's log: a JSON object a line, with the caller's request id, the model and durations.

No prompt, no answer and no key is ever handed to a logger here.
"""

from __future__ import annotations

import json
import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("engine.request")

WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{8,64}")
#: Asked again and again by whoever watches the engine: told at the level of debugging.
QUIET = ("/health", "/metrics", "/v1/models")

_request_id: ContextVar[str] = ContextVar("engine_request_id", default="")


class JsonLines(logging.Formatter):
    """A line of JSON for each record; `extra={"facts": {...}}` joins it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if request_id := _request_id.get():
            line["request_id"] = request_id
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def start(level: int = logging.INFO) -> None:
    """From here on everything this process logs is JSON on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def note(scope: Scope, **facts: Any) -> None:
    """Add to the line of the request that `scope` is of."""
    scope.setdefault("parley_facts", {}).update(facts)


class RequestLog:
    """One line for each request, when its last byte is sent or its client is gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if WELL_FORMED.fullmatch(given) else ""
        token = _request_id.set(request_id)
        began = time.perf_counter()
        facts: dict[str, Any] = {}
        scope["parley_facts"] = facts
        seen: dict[str, Any] = {"status": 499}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            elif message.get("body"):
                seen.setdefault("first_byte_milliseconds", _since(began))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            level = logging.DEBUG if scope["path"] in QUIET else logging.INFO
            told = {"method": scope["method"], "path": scope["path"][:100], **seen, **facts}
            told["milliseconds"] = _since(began)
            log.log(level, "request", extra={"facts": told})
            _request_id.reset(token)


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
