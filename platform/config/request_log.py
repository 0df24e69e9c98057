"""One line for each request, and the id that joins it to what it caused elsewhere.

The id is answered as X-Request-Id, travels in the headers of Celery's messages (config.task_log)
and to the engines (common.fetch). The line has the route as it is written, never the address: a
query may hold a token, a path a name.
"""

import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.decorators import sync_and_async_middleware

logger = logging.getLogger("parley.request")

HEADER = "X-Request-Id"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
QUIET = ("health/", "metrics")


@sync_and_async_middleware
def log_requests(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware, the outermost: binds the id, answers it, and writes the line at the very end."""

    async def awaited(request: HttpRequest) -> HttpResponseBase:
        visit = Visit(request)
        return visit.answered(await get_response(request))

    def called(request: HttpRequest) -> HttpResponseBase:
        visit = Visit(request)
        return visit.answered(get_response(request))

    return awaited if iscoroutinefunction(get_response) else called


def request_id_of(request: HttpRequest) -> str:
    """The id that a proxy of ours gave, where the settings trust it; else one made here."""
    given = request.headers.get(HEADER, "")
    if settings.TRUST_REQUEST_ID and WELL_FORMED.fullmatch(given):
        return given
    return uuid.uuid4().hex


class Visit:
    """A request from its arrival to the last byte of its answer."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.started = time.perf_counter()
        self.request_id = request_id_of(request)
        request.request_id = self.request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self.request_id)

    def answered(self, response: HttpResponseBase) -> HttpResponseBase:
        response.headers[HEADER] = self.request_id
        if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
            kept = structlog.contextvars.get_contextvars()
            parts: Any = response.streaming_content
            response.streaming_content = (
                self._async_pieces(parts, response.status_code, kept)
                if response.is_async
                else self._pieces(parts, response.status_code, kept)
            )
        else:
            self.tell(response.status_code)
        structlog.contextvars.clear_contextvars()
        return response

    def _pieces(self, parts: Any, status: int, kept: dict[str, Any]) -> Iterator[bytes]:
        outcome = "cut"
        try:
            pieces = iter(parts)
            while True:
                with structlog.contextvars.bound_contextvars(**kept):
                    try:
                        piece = next(pieces)
                    except StopIteration:
                        break
                yield piece
            outcome = "whole"
        finally:
            with structlog.contextvars.bound_contextvars(**kept):
                if hasattr(parts, "close"):
                    parts.close()
                self.tell(status, stream=outcome)

    async def _async_pieces(
        self, parts: Any, status: int, kept: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        outcome = "cut"
        pieces = aiter(parts)
        try:
            while True:
                with structlog.contextvars.bound_contextvars(**kept):
                    try:
                        piece = await anext(pieces)
                    except StopAsyncIteration:
                        break
                yield piece
            outcome = "whole"
        finally:
            with structlog.contextvars.bound_contextvars(**kept):
                if hasattr(pieces, "aclose"):
                    await pieces.aclose()
                self.tell(status, stream=outcome)

    def tell(self, status: int, **more: Any) -> None:
        """The line. A proxy's health checks and static files are told to whoever debugs."""
        seconds = time.perf_counter() - self.started
        match = self.request.resolver_match
        route = match.route if match is not None else ""
        observe(self.request.method or "", route, status, seconds)
        level = logging.ERROR if status >= 500 else logging.INFO
        if route.startswith(QUIET) or (not route and status in (200, 304)):
            level = logging.DEBUG
        user = getattr(self.request, "_cached_user", None)
        if user is not None and user.is_authenticated:
            more.setdefault("actor", f"person:{user.pk}")
        bound = structlog.contextvars.get_contextvars()
        logger.log(
            level,
            "request",
            extra={
                **more,
                **bound,
                "method": self.request.method,
                "route": route or "-",
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
            },
        )


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Counted for /metrics, by the route as written: addresses would be a series each."""
    from config import metrics

    metrics.REQUESTS.labels(
        method=method if method in metrics.METHODS else "other",
        route=route or "-",
        status=str(status),
    ).observe(seconds)
