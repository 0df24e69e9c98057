"""What is too large is refused before anybody reads it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from config.body_limit import FORM_BYTES, BodyLimit


def ask(
    path: str, pieces: list[bytes], headers: list[tuple[bytes, bytes]] | None = None
) -> tuple[list[dict[str, Any]], int]:
    """What is answered, and how many bytes the application behind it read."""
    sent: list[dict[str, Any]] = []
    read = 0
    queue = [
        {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
        for at, piece in enumerate(pieces)
    ]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # as Django does
            read += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return queue.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": headers or []}
    asyncio.run(BodyLimit(application)(scope, receive, send))
    return sent, read


@pytest.fixture(autouse=True)
def _limit(settings: Any) -> None:
    settings.FILE_MOST_BYTES = 1_000


def test_what_is_announced_too_large_is_not_read() -> None:
    size = str(FORM_BYTES + 1_001).encode()
    sent, read = ask("/v1/files", [b"x"], [(b"content-length", size)])
    assert (sent[0]["status"], read) == (413, 0)
    assert json.loads(sent[1]["body"])["error"]["code"] == "too_large"


def test_what_is_not_announced_is_cut_off() -> None:
    sent, read = ask("/v1/chat/completions", [b"x" * (4 << 20)] * 8)
    assert (sent[0]["status"], read) == (413, 4 << 20)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions", "/elsewhere"])
def test_what_is_small_passes(path: str) -> None:
    sent, read = ask(path, [b"x" * 500, b"y"], [(b"content-length", b"501")])
    assert (sent[0]["status"], read) == (200, 501)


def test_other_doors_have_limits_of_their_own() -> None:
    sent, _read = ask("/api/v1/datasets/", [b"x" * (9 << 20)])
    assert sent[0]["status"] == 200
