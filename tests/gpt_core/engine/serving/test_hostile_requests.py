"""Whatever is sent, the caller gets a 4xx, nothing reaches the batch, and the engine goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from starlette.testclient import TestClient

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "退货?"}]
WRONG: dict[str, list[Any]] = {
    "model": [None, 3, "", "nobody", "../base", "x" * 5000, ["a"]],
    "messages": [
        None,
        [],
        {},
        "hello",
        [3],
        [{}],
        [{"role": "user"}],
        [{"role": "tool", "content": "x"}],
        [{"role": ["user"], "content": "x"}],
        [{"role": "user", "content": 3}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
        [{"role": "user", "content": "x", "more": 1}],
        [{"role": "user", "content": "long " * 2000}],
        [{"role": "user", "content": "x"}] * 3000,
    ],
    "temperature": [-1, "hot", [], {}, 1e9, True, 10**400],
    "top_p": [0, -0.1, 1.1, "1", [1]],
    "top_k": [-2, 1.5, "5", 10**30],
    "min_p": [-1, 2, "x"],
    "repetition_penalty": [0, -1, 1000, "x"],
    "frequency_penalty": [3, -3, "x"],
    "presence_penalty": [3, -3, {}],
    "seed": ["x", 1.5, 2**70, True],
    "stop": [3, [""], ["a"] * 100, [None], {"a": 1}, ["x" * 5000]],
    "n": [0, -1, 9, 10**9, 1.5, "2", True],
    "max_tokens": [0, -5, 10**10, 257, 1.5, "9", True],
    "max_completion_tokens": [0, 257],
    "logprobs": [3, "yes"],
    "top_logprobs": [3, 21, -1],
    "stream": ["yes", 1],
    "stream_options": [{"include_usage": True}, 3],
    "ignore_eos": [1],
    "response_format": [3, {}, {"type": "xml"}, {"type": "json_schema"}, {"type": ["text"]}],
    "structured_outputs": [
        3,
        {},
        {"choice": []},
        {"choice": [3]},
        {"choice": [""]},
        {"choice": ["a"] * 5000},
        {"regex": "("},
        {"regex": ""},
        {"regex": 3},
        {"json": 3},
        {"json": {"type": "nonsense"}},
        {"choice": ["a"], "regex": "b"},
        {"grammar": "x"},
    ],
    "tools": [[]],
    "surprise": [1],
}


def refused(answer: Any) -> None:
    """Fails unless the answer is a 4xx in OpenAI's shape."""
    assert 400 <= answer.status_code < 500, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def alive(client: TestClient, model: str) -> None:
    """Fails unless the engine still answers."""
    body = {"model": model, "messages": MESSAGES, "max_tokens": 2}
    assert client.post(CHAT, json=body).status_code == 200


def test_every_wrong_parameter_is_refused_by_name(client: TestClient, model: str) -> None:
    good = {"model": model, "messages": MESSAGES, "max_tokens": 2}
    steps = client.get("/metrics").text.count("gpt_engine_steps_total 0.0")
    assert steps == 1
    for name, values in WRONG.items():
        for value in values:
            body = {key: own for key, own in good.items() if key != "max_tokens"} | {name: value}
            content = json.dumps(body).encode()
            answer = client.post(CHAT, content=content)
            refused(answer)
            error = answer.json()["error"]
            named = error["param"] or ""
            assert named.startswith(name) or error["code"] in (
                "invalid_json",
                "context_length_exceeded",
            )
    assert "gpt_engine_steps_total 0.0" in client.get("/metrics").text
    alive(client, model)


def test_a_field_of_a_message_that_nobody_reads_is_named(client: TestClient, model: str) -> None:
    message = {"role": "user", "content": "你好", "name": "Li"}
    answer = client.post(CHAT, json={"model": model, "messages": [*MESSAGES, message]})
    refused(answer)
    assert answer.json()["error"]["param"] == f"messages[{len(MESSAGES)}].name"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"temperature": Infinity}',
        b'{"a":1,"a":2}',
        b"[" * 100_000,
        b'{"model": "x", "messages": ' + b'{"a":' * 5000 + b"}",
        b"{" + b" " * 9_000_000 + b"}",
    ],
)
@pytest.mark.parametrize(
    "path", [CHAT, "/v1/completions", "/v1/score", "/v1/load_lora_adapter", "/tokenize"]
)
def test_a_broken_body_is_refused(client: TestClient, path: str, body: bytes) -> None:
    refused(client.post(path, content=body))


_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=some.dictionaries(some.sampled_from(sorted(WRONG)), _JSON, max_size=6))
def test_no_mixture_of_parameters_breaks_the_engine(
    client: TestClient, model: str, document: dict[str, Any]
) -> None:
    body = {"model": model, "messages": MESSAGES, "max_tokens": 2} | document
    answer = client.post(CHAT, content=json.dumps(body).encode())
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"completions": ["a"]},
        {"prompt": "x"},
        {"prompt": "x", "completions": []},
        {"prompt": "x", "completions": [""]},
        {"prompt": "x", "completions": [3]},
        {"messages": MESSAGES, "completions": [" \n"]},
        {"prompt": "x", "completions": ["a"] * 1000},
        {"prompt": "x", "completions": ["long " * 2000]},
        {"prompt": "x" * 5000, "completions": ["a"]},
        {"prompt": "x", "messages": MESSAGES, "completions": ["a"]},
        {"prompt": [1, 2, 99999], "completions": ["a"]},
        {"prompt": [True], "completions": ["a"]},
        {"prompt": "x", "completions": ["a"], "temperature": 1},
    ],
)
def test_a_wrong_score_is_refused(client: TestClient, model: str, body: dict[str, Any]) -> None:
    refused(client.post("/v1/score", json={"model": model} | body))
    alive(client, model)
