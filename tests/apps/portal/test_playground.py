"""The playground's stream, against an engine in small on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from django.test import AsyncClient, Client

from tenancy import quotas
from tenancy.models import Tenant, Usage
from tenancy.quotas import QuotaError
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of
from tests.browser import engine
from tests.factories import make_member

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running_engine(settings: Any) -> Iterator[None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(engine.app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    settings.GPT_ENGINES = {engine.BASE: f"http://127.0.0.1:{port}"}
    yield
    server.should_exit = True
    thread.join(timeout=10)


def asked(checkpoint: object, **changes: str) -> dict[str, str]:
    return {
        "model": f"checkpoint:{checkpoint}",
        "temperature": "0",
        "max_tokens": "32",
        "messages": json.dumps([{"role": "user", "content": "你们提供免费报价吗？"}]),
    } | changes


def lines_of(tenant: Tenant, role: str, question: dict[str, str]) -> list[dict[str, Any]]:
    """Ask as the page does, in an event loop, and read the answer to its end."""
    client = AsyncClient()
    client.force_login(make_member(tenant, role))

    async def ask() -> list[dict[str, Any]]:
        response = await client.post(at(tenant, "playground/stream/"), question)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        content = b"".join([part async for part in response.streaming_content])
        return [json.loads(line) for line in content.decode().splitlines()]

    return asyncio.run(ask())


def checkpoint_of(tenant: Tenant, story: scenes.Story) -> object:
    with tenant_scope(tenant):
        return story.open.checkpoint.pk


def test_an_answer_comes_in_pieces_and_ends_with_its_length(
    tenant: Tenant, story: scenes.Story, running_engine: None
) -> None:
    lines = lines_of(tenant, "agent", asked(checkpoint_of(tenant, story)))
    text = "".join(line.get("text", "") for line in lines)
    assert text == engine.ANSWERS["tuned"]
    assert len(lines) > 5
    assert lines[-1] == {"done": {"tokens": len(text.split()), "reason": "stop"}}


def test_the_other_side_asks_the_base(
    tenant: Tenant, story: scenes.Story, running_engine: None
) -> None:
    lines = lines_of(tenant, "agent", asked("", model=f"base:{story.base.pk}"))
    assert "".join(line.get("text", "") for line in lines) == engine.ANSWERS["base"]


def test_an_engine_that_is_away_is_an_error_in_the_stream(
    tenant: Tenant, story: scenes.Story, settings: Any
) -> None:
    settings.GPT_ENGINES = {engine.BASE: "http://127.0.0.1:9"}
    lines = lines_of(tenant, "agent", asked(checkpoint_of(tenant, story)))
    assert [line["error"]["code"] for line in lines] == ["engine_unavailable"]
    assert "127.0.0.1" not in json.dumps(lines), "addresses are for logs"


def test_a_question_of_the_wrong_shape_is_refused_in_words(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    question = asked(checkpoint_of(tenant, story), messages="[]")
    answer = door("agent").post(at(tenant, "playground/stream/"), question)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_question"


def test_a_viewer_may_look_and_not_ask(tenant: Tenant, story: scenes.Story, door: Door) -> None:
    viewer = door("viewer")
    assert "Your role may not ask" in text_of(viewer.get(at(tenant, "playground/")))
    question = asked(checkpoint_of(tenant, story))
    assert viewer.post(at(tenant, "playground/stream/"), question).status_code == 403


def test_another_tenants_checkpoint_cannot_be_asked(
    tenant: Tenant, other_tenant: Tenant, story: scenes.Story
) -> None:
    client = Client()
    client.force_login(make_member(other_tenant))
    question = asked(checkpoint_of(tenant, story))
    assert client.post(at(other_tenant, "playground/stream/"), question).status_code == 404


def test_the_page_begins_with_what_serves_and_what_was_held_out(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    page = door("agent").get(at(tenant, "playground/"))
    with tenant_scope(tenant):
        assert story.serving.checkpoint.name in text_of(page)
    assert [one.kind for one in page.context["columns"]] == ["base", "deployment"]
    assert "你们提供免费报价吗？" in text_of(page)


def test_a_deployment_answers_as_what_serves_it(
    tenant: Tenant, story: scenes.Story, running_engine: None
) -> None:
    question = asked("", model=f"deployment:{story.deployment.pk}")
    lines = lines_of(tenant, "agent", question)
    assert "".join(line.get("text", "") for line in lines) == engine.ANSWERS["tuned"]


def test_what_is_written_counts_for_the_tenant(
    tenant: Tenant, story: scenes.Story, running_engine: None
) -> None:
    lines_of(tenant, "agent", asked(checkpoint_of(tenant, story)))
    with tenant_scope(tenant):
        used = Usage.objects.filter(span="day", kind="completion_tokens").get()
    assert used.used == len(engine.ANSWERS["tuned"].split())


def test_where_the_month_is_used_up_the_stream_says_so(
    tenant: Tenant, story: scenes.Story, running_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise QuotaError("insufficient_quota", "Nothing is left.", limit=1, wait=60.0)

    monkeypatch.setattr(quotas, "reserve_tokens", refuse)
    lines = lines_of(tenant, "agent", asked(checkpoint_of(tenant, story)))
    assert [line["error"]["code"] for line in lines] == ["insufficient_quota"]


def test_the_address_names_up_to_three_models(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    with tenant_scope(tenant):
        keys = [
            f"checkpoint:{story.open.checkpoint.pk}",
            f"base:{story.base.pk}",
            f"deployment:{story.deployment.pk}",
            f"checkpoint:{story.refused.checkpoint.pk}",
        ]
    page = door("agent").get(at(tenant, "playground/"), {"model": keys})
    assert [one.key for one in page.context["columns"]] == keys[:3]
    page = door("agent").get(at(tenant, "playground/"), {"model": ["base:x", "一", keys[1]]})
    assert [one.key for one in page.context["columns"]] == [keys[1]]


def test_a_checkpoint_alone_stands_beside_its_base(
    tenant: Tenant, story: scenes.Story, door: Door
) -> None:
    checkpoint = checkpoint_of(tenant, story)
    page = door("agent").get(at(tenant, "playground/"), {"checkpoint": str(checkpoint)})
    keys = [one.key for one in page.context["columns"]]
    assert keys == [f"base:{story.base.pk}", f"checkpoint:{checkpoint}"]


@pytest.mark.parametrize("key", ["", "base", "deployment:", "checkpoint:../x", "模型:1"])
def test_a_key_that_names_nothing_is_refused(
    tenant: Tenant, story: scenes.Story, door: Door, key: str
) -> None:
    answer = door("agent").post(at(tenant, "playground/stream/"), asked("", model=key))
    assert answer.status_code == (404 if key else 400)
