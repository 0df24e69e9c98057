"""The one outgoing HTTP client, and the policies under which it goes out.

`internal` reaches the origins that the settings name as engines and no other: whatever a product
asks for, a request cannot be led to some other machine of the network. No redirects, no proxies
from the environment, a limit on every answer, and a deadline over the whole exchange and not only
between two bytes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings

# One line for every request to the engine would bury the log.
logging.getLogger("httpx").setLevel(logging.WARNING)

MAX_BODY = 16 * 1024 * 1024
MAX_LINE = 1024 * 1024
CONNECT_SECONDS = 3.0


class FetchError(Exception):
    """No whole answer came. `sent` is False where the request certainly did not arrive, so that
    sending it again cannot do anything twice."""

    def __init__(self, code: str, detail: str, *, sent: bool) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.sent = sent


@dataclass(frozen=True)
class Outgoing:
    """A request. `seconds` is for the whole exchange."""

    method: str
    url: str
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0


@dataclass(frozen=True)
class Incoming:
    """A whole answer, of at most MAX_BODY bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def internal_origins() -> frozenset[str]:
    """The origins of the configured engines, as `origin_of` writes them."""
    return frozenset(
        origin_of(engine if isinstance(engine, str) else engine["url"])
        for engine in settings.GPT_ENGINES.values()
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
        _translated(),
        _client().stream(
            request.method,
            request.url,
            json=request.json,
            headers=dict(request.headers),
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
    with _translated():
        async with _async_client().stream(
            request.method,
            request.url,
            json=request.json,
            headers=dict(request.headers),
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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise FetchError("unreachable", str(error), sent=False) from error
    except httpx.TimeoutException as error:
        raise FetchError("timed_out", str(error) or "no answer in time", sent=True) from error
    except httpx.HTTPError as error:
        raise FetchError("broken_off", str(error), sent=True) from error


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
            _clients[process] = httpx.Client(follow_redirects=False, trust_env=False)
        return _clients[process]


def _async_client() -> httpx.AsyncClient:
    """One client an event loop, whose connections belong to it."""
    loop = asyncio.get_running_loop()
    if loop not in _async_clients:
        _async_clients[loop] = httpx.AsyncClient(follow_redirects=False, trust_env=False)
    return _async_clients[loop]
