"""The one outgoing HTTP client, and the policies under which it goes out.

`internal` reaches the origins that the settings name as engines and no other: whatever a product
asks for, a request cannot be led to some other machine of the network. No redirects, no proxies
from the environment, a limit on every answer, and a deadline over the whole exchange and not only
between two bytes.

`public` (common.fetch.public) reaches what a stranger names, and nothing but the public internet.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakKeyDictionary

import httpx
import structlog
from django.conf import settings

from common.fetch.exchange import MAX_BODY, FetchError, Incoming, Outgoing, translated

__all__ = [
    "MAX_BODY", "FetchError", "Incoming", "Lines", "Outgoing", "afetch", "astreamed", "awhole",
    "fetch", "internal_origins", "origin_of", "streamed", "whole",
]  # fmt: skip

# One line for every request to the engine would bury the log.
logging.getLogger("httpx").setLevel(logging.WARNING)

MAX_LINE = 1024 * 1024
CONNECT_SECONDS = 3.0


def internal_origins() -> frozenset[str]:
    """The origins of the configured engines, as `origin_of` writes them."""
    return frozenset(
        origin_of(engine if isinstance(engine, str) else engine["url"])
        for engine in (*settings.GPT_ENGINES.values(), *settings.GPT_EMBEDDER.values())
    )


def origin_of(url: str) -> str:
    """scheme://host:port; raises ValueError for what is no plain http(s) address."""
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ValueError(f"no http(s) address: {url!r}")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    return f"{parsed.scheme}://{parsed.host}:{port}"


def fetch(request: Outgoing) -> Incoming:
    """Send a request under the `internal` policy and read its whole answer. Raises FetchError."""
    with streamed(request) as (status, headers, chunks):
        return Incoming(status, headers, whole(chunks))


async def afetch(request: Outgoing) -> Incoming:
    """`fetch` for asynchronous code."""
    async with astreamed(request) as (status, headers, chunks):
        return Incoming(status, headers, await awhole(chunks))


@contextmanager
def streamed(
    request: Outgoing,
) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
    """(status, headers, chunks as they come); leaving the block hangs up. Raises FetchError."""
    _check_policy(request.url)
    deadline = time.monotonic() + request.seconds
    with (
        translated(),
        _client().stream(
            request.method,
            request.url,
            json=request.json,
            content=request.content,
            headers=_headers(request),
            timeout=_timeout(request),
        ) as response,
    ):
        yield response.status_code, response.headers, _until(response.iter_bytes(), deadline)


@asynccontextmanager
async def astreamed(
    request: Outgoing,
) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
    """`streamed` for asynchronous code."""
    _check_policy(request.url)
    deadline = time.monotonic() + request.seconds
    with translated():
        async with _async_client().stream(
            request.method,
            request.url,
            json=request.json,
            content=request.content,
            headers=_headers(request),
            timeout=_timeout(request),
        ) as response:
            chunks = response.aiter_bytes()
            yield response.status_code, response.headers, _auntil(chunks, deadline)


def whole(chunks: Iterator[bytes]) -> bytes:
    """The chunks put together, if they are at most MAX_BODY bytes."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _check_size(body)
    return bytes(body)


async def awhole(chunks: AsyncIterator[bytes]) -> bytes:
    """`whole` for asynchronous code."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        _check_size(body)
    return bytes(body)


class Lines:
    """Chunks of bytes -> lines of text; a line longer than MAX_LINE is refused."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise FetchError("answer_too_large", "a line without end", sent=True)
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in whole]


def _headers(request: Outgoing) -> dict[str, str]:
    """With the id of the request or task that asks, so that the engine's log names it too."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return dict(request.headers) | ({"X-Request-Id": request_id} if request_id else {})


def _check_policy(url: str) -> None:
    try:
        allowed = origin_of(url) in internal_origins()
    except (ValueError, httpx.InvalidURL):
        allowed = False
    if not allowed:
        raise FetchError("origin_not_allowed", "not the address of an engine", sent=False)


def _check_size(body: bytearray) -> None:
    if len(body) > MAX_BODY:
        raise FetchError("answer_too_large", f"more than {MAX_BODY} bytes", sent=True)


def _until(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    for chunk in chunks:
        _check_time(deadline)
        yield chunk


async def _auntil(chunks: AsyncIterator[bytes], deadline: float) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        _check_time(deadline)
        yield chunk


def _check_time(deadline: float) -> None:
    # A server that sends a byte now and then never meets a timeout between bytes.
    if time.monotonic() > deadline:
        raise FetchError("timed_out", "the answer took too long", sent=True)


def _timeout(request: Outgoing) -> httpx.Timeout:
    return httpx.Timeout(request.seconds, connect=min(CONNECT_SECONDS, request.seconds))


# Given up before the engines do: theirs and vLLM's server closes what is idle for 5 s, and what is sent at
# that moment is lost. How many may be open at once is settled by quotas, where each company has its own.
KEEP_IDLE_SECONDS = 2.0
_LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEEP_IDLE_SECONDS
)
_clients: dict[int, httpx.Client] = {}
_clients_lock = threading.Lock()
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
    WeakKeyDictionary()
)


def _client() -> httpx.Client:
    """One client a process: its connections must not be shared with a forked child."""
    process = os.getpid()
    with _clients_lock:
        if process not in _clients:
            _clients.clear()
            _clients[process] = httpx.Client(
                follow_redirects=False, trust_env=False, limits=_LIMITS
            )
        return _clients[process]


def _async_client() -> httpx.AsyncClient:
    """One client an event loop, whose connections belong to it."""
    loop = asyncio.get_running_loop()
    if loop not in _async_clients:
        _async_clients[loop] = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, limits=_LIMITS
        )
    return _async_clients[loop]
