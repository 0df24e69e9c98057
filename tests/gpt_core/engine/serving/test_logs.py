"""The engine's log: who asked (by the caller's id), which model, how long; never what was said."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gpt_core.engine.serving.logs import JsonLines

QUESTION = "退货需要多久？ Nobody else reads this."


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(JsonLines().format(record))

    handler, logger = Kept(), logging.getLogger("engine.request")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in written]
    logger.removeHandler(handler)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_leaves_one_line_with_the_callers_id(
    stream: bool, client: TestClient, model: str, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 4,
        "stream": stream,
    }
    headers = {"X-Request-Id": "edge-0123456789"}
    assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
    (line,) = lines()
    assert line["request_id"] == "edge-0123456789"
    assert (line["model"], line["stream"], line["status"]) == (model, stream, 200)
    assert line["completion_tokens"] <= 4
    assert 0 < line["first_byte_milliseconds"] <= line["milliseconds"]
    assert QUESTION not in json.dumps(line, ensure_ascii=False)


def test_a_refusal_is_told_with_its_code(
    client: TestClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    client.post("/v1/chat/completions", json={"model": "nobody", "prompt": QUESTION})
    (line,) = lines()
    assert line["status"] >= 400
    assert line["refused"]
    assert QUESTION not in json.dumps(line, ensure_ascii=False)


@pytest.mark.parametrize("given", ["short", "a b c d e f", "x" * 65])
def test_an_id_that_is_not_well_formed_is_left_out(
    given: str, client: TestClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    client.post("/tokenize", json={"prompt": "hi"}, headers={"X-Request-Id": given})
    assert "request_id" not in lines()[0]


def test_watching_the_engine_does_not_fill_its_log(
    client: TestClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for path in ("/health", "/metrics", "/v1/models"):
        client.get(path)
    assert lines() == []
