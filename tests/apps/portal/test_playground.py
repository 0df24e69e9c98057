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

from tenancy.models import Tenant
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
        "checkpoint": str(checkpoint),
        "side": "tuned",
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
    lines = lines_of(tenant, "agent", asked(checkpoint_of(tenant, story), side="base"))
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
        assert f'data-tuned="{story.serving.checkpoint.name}"' in page.content.decode()
    assert "你们提供免费报价吗？" in text_of(page)
