"""/v1/chat/completions and /v1/completions before any engine is asked, and what they cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from gpt_core import client
from gpt_core.client import EngineBusyError, EngineRefusedError, EngineUnavailableError
from tenancy import quotas
from tenancy.models import GenerationSlot, Tenant
from tenancy.scope import tenant_scope
from tests.gpt_core.rows import make_base

from .conftest import Caller, MakeCaller, said

BASE = "smollm2-135m-instruct"
ASK = {"model": BASE, "messages": [{"role": "user", "content": "在吗"}], "max_tokens": 5}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "the engine's name",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "在"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}


@pytest.fixture(autouse=True)
def _base(db: None, home: Path, settings: Any) -> None:
    settings.GPT_ENGINES = {BASE: "http://127.0.0.1:1"}
    make_base(name=BASE)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers in the engine's place; what it was asked is in the list."""
    asked: list[Any] = []

    async def whole(model: Any, body: Any) -> Any:
        asked.append(body)
        return dict(ANSWER)

    async def pieces(model: Any, body: Any) -> AsyncGenerator[Any, None]:
        asked.append(body)
        for word in ("在", "的"):
            yield {"model": "x", "choices": [{"index": 0, "delta": {"content": word}}]}
        yield {"model": "x", "choices": [], "usage": ANSWER["usage"]}

    monkeypatch.setattr(client, "arelay", whole)
    monkeypatch.setattr(client, "arelay_stream", pieces)
    return asked


def streamed(caller: Caller, asked: dict[str, Any]) -> tuple[Any, list[str]]:
    """The response and its events, all in one loop: a stream does not live in two."""

    async def ask() -> tuple[Any, bytes]:
        client = AsyncClient(raise_request_exception=False)
        response = await client.post(
            "/v1/chat/completions",
            asked | {"stream": True},
            content_type="application/json",
            headers={"Authorization": caller.client.defaults["HTTP_AUTHORIZATION"]},
        )
        if not response.streaming:
            return response, response.content
        return response, b"".join([part async for part in response])

    response, body = async_to_sync(ask)()
    return response, body.decode().strip().split("\n\n")


def used(tenant: Tenant) -> tuple[int, int, int]:
    """Requests, prompt's and answer's tokens of today, once nothing is being written any more."""
    with tenant_scope(tenant):
        assert not GenerationSlot.objects.exists()
        report = quotas.usage_of(tenant)
        return tuple(  # type: ignore[return-value]
            report.total(kind) for kind in ("requests", "prompt_tokens", "completion_tokens")
        )


def test_an_answer_has_the_name_that_was_asked_for_and_is_counted(
    caller: Caller, engine: list[Any], tenant: Tenant
) -> None:
    status, answer = caller.post(
        "chat/completions", ASK | {"user": "李", "store": False, "n": None}
    )
    assert (status, answer["model"]) == (200, BASE)
    assert engine == [ASK | {"user": "李"}]
    assert used(tenant) == (1, 12, 3)


def test_a_stream_is_events_and_is_counted(
    caller: Caller, engine: list[Any], tenant: Tenant
) -> None:
    response, lines = streamed(caller, ASK)
    assert [line[:5] for line in lines] == ["data:"] * 3
    assert lines[-1] == "data: [DONE]"
    assert all(f'"model":"{BASE}"' in line for line in lines[:2])
    assert int(response["x-ratelimit-remaining-requests"]) > 0
    assert used(tenant) == (1, 12, 3)


def test_the_figures_are_in_the_stream_where_they_are_asked_for(
    caller: Caller, engine: list[Any]
) -> None:
    _response, lines = streamed(caller, ASK | {"stream_options": {"include_usage": True}})
    assert '"total_tokens":15' in lines[2]


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": 5}, "invalid_value", "model"),
        ({"model": ["x"]}, "invalid_value", "model"),
        ({"model": "x" * 100_000}, "model_not_found", "model"),
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"prompt": "x"}, "unknown_parameter", "prompt"),
        ({"colour": 1}, "unknown_parameter", "colour"),
        ({"user": 7}, "invalid_value", "user"),
        ({"tools": [{"type": "function"}]}, "unsupported_parameter", "tools"),
        ({"tool_choice": "auto"}, "unsupported_parameter", "tool_choice"),
        ({"logit_bias": {"5": 1}}, "unsupported_parameter", "logit_bias"),
        ({"modalities": ["audio"]}, "unsupported_parameter", "modalities"),
        ({"store": True}, "unsupported_parameter", "store"),
        ({"reasoning_effort": "low"}, "unsupported_parameter", "reasoning_effort"),
        ({"service_tier": "flex"}, "unsupported_parameter", "service_tier"),
        ({"metadata": {"a": "b"}}, "unsupported_parameter", "metadata"),
        ({"cache_salt": "x"}, "unknown_parameter", "cache_salt"),
    ],
)
def test_a_field_that_is_not_supported_is_named(
    more: dict[str, Any], code: str, param: str, caller: Caller, engine: list[Any], tenant: Tenant
) -> None:
    status, document = caller.post("chat/completions", ASK | more)
    assert (status in (400, 404), said(document)) == (True, (code, param))
    assert engine == []
    # It was a request all the same.
    assert used(tenant) == (1, 0, 0)


@pytest.mark.parametrize(
    ("more", "param"),
    [({"messages": []}, "messages"), ({"echo": True}, "echo"), ({"best_of": 3}, "best_of"),
     ({"suffix": "x"}, "suffix"), ({"top_logprobs": 3}, "top_logprobs")],
)  # fmt: skip
def test_plain_completions_have_fields_of_their_own(
    more: dict[str, Any], param: str, caller: Caller, engine: list[Any]
) -> None:
    asked = {"model": BASE, "prompt": "在吗"}
    assert caller.post("completions", asked | {"echo": False, "best_of": 1})[0] == 200
    assert said(caller.post("completions", asked | more)[1])[1] == param


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b" ", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b'{"model": "a", "model": "b"}', 400),
        ("application/json", b'{"model": "\\ud800"}', 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"model": "' + b"x" * (6 << 20) + b'"}', 413),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"model=x", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    content_type: str, body: bytes, status: int, caller: Caller
) -> None:
    response = caller.client.post("/v1/chat/completions", body, content_type=content_type)
    assert response.status_code == status
    said(response.json())


@pytest.mark.parametrize(
    ("error", "status", "code", "param"),
    [
        (EngineBusyError(retry_after=3.2), 503, "engine_busy", None),
        (EngineUnavailableError(cause="http://10.0.0.1 is secret"), 503, "engine_unavailable", None),
        (EngineRefusedError("context_length_exceeded", "too long", param="messages"), 400,
         "context_length_exceeded", "messages"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
def test_the_engines_errors_keep_the_shape_and_cost_nothing(
    error: Any,
    status: int,
    code: str,
    param: str | None,
    stream: bool,
    caller: Caller,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_values: Any) -> Any:
        raise error

    async def fail_at_once(*_values: Any) -> AsyncGenerator[Any, None]:
        raise error
        yield {}

    monkeypatch.setattr(client, "arelay", fail)
    monkeypatch.setattr(client, "arelay_stream", fail_at_once)
    response = caller.client.post(
        "/v1/chat/completions", ASK | {"stream": stream}, content_type="application/json"
    )
    assert (response.status_code, said(response.json())) == (status, (code, param))
    assert "secret" not in response.content.decode()
    assert response.headers.get("Retry-After") == ("4" if code == "engine_busy" else None)
    assert used(tenant) == (1, 0, 0)


def test_an_engine_that_breaks_down_in_the_middle_says_so_in_the_stream(
    caller: Caller, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(*_values: Any) -> AsyncGenerator[Any, None]:
        yield {"model": "x", "choices": [{"index": 0, "delta": {"content": "在"}}]}
        raise EngineUnavailableError("engine_broke_off")

    monkeypatch.setattr(client, "arelay_stream", break_off)
    _response, lines = streamed(caller, ASK)
    assert "engine_broke_off" in lines[-1]
    assert "[DONE]" not in lines
    assert used(tenant)[2] == 1


def test_what_is_beyond_a_quota_is_told_to_wait(
    caller: Caller, engine: list[Any], settings: Any, tenant: Tenant
) -> None:
    for name, limit, code in (
        ("tokens_per_minute", 4, "rate_limit_exceeded"),
        ("tokens_per_month", 4, "insufficient_quota"),
        ("concurrent_generations", 0, "rate_limit_exceeded"),
        ("requests_per_minute", 1, "rate_limit_exceeded"),
    ):
        settings.QUOTAS = settings.QUOTAS | {name: limit}
        response = caller.client.post("/v1/chat/completions", ASK, content_type="application/json")
        assert (response.status_code, said(response.json())[0]) == (429, code), name
        assert int(response["Retry-After"]) > 0
        settings.QUOTAS = settings.QUOTAS | {name: 10**9 if name != "concurrent_generations" else 9}
    assert engine == []
    assert used(tenant)[1:] == (0, 0)


def test_a_key_without_the_scope_asks_nothing(call: MakeCaller, engine: list[Any]) -> None:
    status, document = call(["view", "train"]).post("chat/completions", ASK)
    assert (status, said(document)[0]) == (403, "missing_scope")
    assert engine == []


def test_a_model_that_no_engine_serves_says_so(caller: Caller, settings: Any) -> None:
    settings.GPT_ENGINES = {"another": "http://127.0.0.1:1"}
    assert said(caller.post("chat/completions", ASK)[1]) == ("model_not_served", "model")


@pytest.mark.parametrize("method", ["get", "put", "delete", "options"])
def test_only_a_post_writes(method: str, caller: Caller) -> None:
    response = getattr(caller.client, method)("/v1/chat/completions")
    assert (response.status_code, said(response.json())[0]) == (405, "method_not_allowed")
