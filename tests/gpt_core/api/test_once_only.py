"""`Idempotency-Key` below /v1/: what is sent again is done once, and where it cannot be, it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.models import OnceOnly
from gpt_core import client
from gpt_core.client import EngineBusyError, EngineRefusedError
from gpt_core.models import FineTuningJob
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.gpt_core.rows import make_base

from .conftest import Caller, MakeCaller, said
from .test_generation import ANSWER, ASK, BASE, used
from .test_jobs import file_id, keep, questions

KEY = {"HTTP_IDEMPOTENCY_KEY": "3f2c8f6e"}


@pytest.fixture(autouse=True)
def _base(db: None, home: Path, settings: Any, rings: list[int]) -> None:
    settings.GPT_ENGINES = {BASE: "http://127.0.0.1:1"}
    make_base(name=BASE)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers in the engine's place, each time with another id; fails and refuses where it is told to."""
    asked: list[Any] = []

    async def whole(model: Any, body: Any) -> Any:
        asked.append(body)
        if body.get("temperature") == "热":
            raise EngineRefusedError("invalid_parameter", "no", param="temperature")
        if body.get("user") == "first fails" and len(asked) == 1:
            raise EngineBusyError(retry_after=1)
        return ANSWER | {"id": f"chatcmpl-{len(asked)}"}

    monkeypatch.setattr(client, "arelay", whole)
    return asked


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("chat/completions", ASK),
        ("completions", {"model": BASE, "prompt": "在吗", "max_tokens": 5}),
    ],
)
def test_an_answer_is_written_and_counted_once(
    caller: Caller, engine: list[Any], tenant: Tenant, path: str, asked: dict[str, Any]
) -> None:
    first, again = (caller.post(path, asked, **KEY) for _ in range(2))
    assert first == again
    assert (first[0], first[1]["id"], len(engine)) == (200, "chatcmpl-1", 1)
    assert used(tenant) == (2, 12, 3), "each of the two is a request; the tokens are used once"
    assert caller.post(path, asked)[1]["id"] == "chatcmpl-2"


def test_the_answer_that_is_told_again_says_so(caller: Caller, engine: list[Any]) -> None:
    first, again = (
        caller.client.post("/v1/chat/completions", ASK, "application/json", **KEY) for _ in range(2)
    )
    assert "Idempotent-Replayed" not in first
    assert (again["Idempotent-Replayed"], again["Content-Type"]) == ("true", "application/json")


def test_a_key_belongs_to_one_request(caller: Caller, engine: list[Any]) -> None:
    caller.post("chat/completions", ASK, **KEY)
    status, refused = caller.post("chat/completions", ASK | {"max_tokens": 6}, **KEY)
    assert (status, said(refused)) == (422, ("idempotency_key_reused", "Idempotency-Key"))
    assert len(engine) == 1


def test_one_key_of_two_callers_is_two(caller: Caller, call: MakeCaller, engine: list[Any]) -> None:
    assert caller.post("chat/completions", ASK, **KEY) != call().post(
        "chat/completions", ASK, **KEY
    )


@pytest.mark.parametrize("wrong", [{"model": "没有"}, {"tools": [1]}, {"temperature": "热"}])
def test_a_refusal_frees_its_key(
    caller: Caller, engine: list[Any], tenant: Tenant, wrong: dict[str, Any]
) -> None:
    status, refused = caller.post("chat/completions", ASK | wrong, **KEY)
    assert 400 <= status < 500
    assert said(refused)[1] == next(iter(wrong))
    with tenant_scope(tenant):
        assert not OnceOnly.objects.exists()


def test_what_failed_is_done_anew(caller: Caller, engine: list[Any]) -> None:
    asked = ASK | {"user": "first fails"}
    statuses = [caller.post("chat/completions", asked, **KEY)[0] for _ in range(3)]
    assert (statuses, len(engine)) == ([503, 200, 200], 2)


def test_what_is_under_way_is_not_begun_again(
    caller: Caller, engine: list[Any], tenant: Tenant
) -> None:
    caller.post("chat/completions", ASK, **KEY)
    with tenant_scope(tenant):
        OnceOnly.objects.update(status=None)
    status, refused = caller.post("chat/completions", ASK, **KEY)
    assert (status, said(refused)) == (409, ("idempotency_in_progress", "Idempotency-Key"))


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_a_stream_cannot_be_told_again_and_says_so(
    caller: Caller, engine: list[Any], path: str
) -> None:
    subject = {"messages": ASK["messages"]} if "chat" in path else {"prompt": "在吗"}
    asked = {"model": BASE, "stream": True} | subject
    status, refused = caller.post(path, asked, **KEY)
    assert (status, said(refused)) == (400, ("unsupported_parameter", "Idempotency-Key"))
    assert engine == []


@pytest.mark.parametrize("path", ["chat/completions", "fine_tuning/jobs"])
@pytest.mark.parametrize("key", ["", " ", "密", "x" * 256])
def test_a_key_that_is_none_is_refused(
    caller: Caller, engine: list[Any], path: str, key: str
) -> None:
    status, refused = caller.post(path, ASK, HTTP_IDEMPOTENCY_KEY=key)
    assert (status, said(refused)) == (400, ("idempotency_key_invalid", "Idempotency-Key"))
    assert engine == []


def test_a_job_is_made_once(caller: Caller, tenant: Tenant) -> None:
    asked = {"model": BASE, "training_file": file_id(keep(tenant, questions(20)))}
    first, again = (caller.post("fine_tuning/jobs", asked, **KEY) for _ in range(2))
    assert first == again
    assert first[0] == 200
    with tenant_scope(tenant):
        assert FineTuningJob.objects.count() == 1
