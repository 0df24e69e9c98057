"""A request, its answer, and the error where there is none: the same under every policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

MAX_BODY = 16 * 1024 * 1024


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
    """A request, with a body as JSON or as bytes. `seconds` is for the whole exchange."""

    method: str
    url: str
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0


@dataclass(frozen=True)
class Incoming:
    """A whole answer, of at most MAX_BODY bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def translated() -> Iterator[None]:
    """The errors of httpx as ours, each saying whether the request may have arrived."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise FetchError("unreachable", str(error), sent=False) from error
    except httpx.TimeoutException as error:
        raise FetchError("timed_out", str(error) or "no answer in time", sent=True) from error
    except httpx.HTTPError as error:
        raise FetchError("broken_off", str(error), sent=True) from error
