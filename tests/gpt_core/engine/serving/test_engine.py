"""The thread, its queue, and clients that go away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpt_core.engine.bases import Base
from gpt_core.engine.errors import EngineError
from gpt_core.engine.serving.application import create_application
from gpt_core.engine.serving.engine import Engine, Options
from gpt_core.engine.serving.requests import Request, SamplingParameters

from .bench import publish_adapter

LONG = SamplingParameters(max_tokens=240, ignore_eos=True)


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Engine]:
    engine = Engine(options)
    engine.start()
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.stop)


async def until(check: Any, seconds: float = 20.0) -> None:
    """Wait until `check()` holds."""
    limit = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < limit, "it never came true"
        await asyncio.sleep(0.01)


def long_chat(model: str, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 200,
        "ignore_eos": True,
    } | more


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_row(options: Options, llama: Base, stream: bool) -> None:
    async def scene() -> None:
        engine = Engine(options)
        application = create_application(engine)
        engine.start()
        body = json.dumps(long_chat(llama.name, stream=stream)).encode()
        leave = asyncio.Event()
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if incoming:
                return incoming.pop()
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if leave.is_set():
                raise OSError("gone")

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"content-type", b"application/json")],
            "server": ("test", 80),
            "client": ("test", 1),
        }
        task = asyncio.create_task(application(scope, receive, send))
        await until(lambda: engine.scheduler.store.used == 1)
        leave.set()
        await until(lambda: engine.scheduler.store.used == 0)
        await asyncio.gather(task, return_exceptions=True)
        assert engine.scheduler.tally.finished == {"cancelled": 1}
        assert engine.waiting == 0
        await asyncio.to_thread(engine.stop)

    asyncio.run(scene())


def test_a_full_queue_answers_429_and_says_when_to_come_back(options: Options, llama: Base) -> None:
    async def scene() -> None:
        engine = Engine(replace(options, max_batch=1, max_waiting=2))
        transport = httpx.ASGITransport(create_application(engine))
        engine.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            path = "/v1/chat/completions"
            body = long_chat(llama.name)
            asked = [asyncio.create_task(client.post(path, json=body)) for _ in range(6)]
            answers = await asyncio.gather(*asked)
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 3 + [429] * 3
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["error"]["type"] == "rate_limit_error"
        await asyncio.to_thread(engine.stop)

    asyncio.run(scene())


def test_stopping_tells_those_who_wait(options: Options) -> None:
    async def scene() -> None:
        async with running(options) as engine:
            events = engine.serve(lambda sink: Request([5], sink, LONG))
            first = asyncio.create_task(anext(events))
            await until(lambda: engine.scheduler.running == 1)
        assert (await first).code == "engine_stopped"  # type: ignore[union-attr]
        with pytest.raises(EngineError):
            engine.check_room()

    asyncio.run(scene())


def test_an_error_in_the_loop_does_not_end_the_thread(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with running(options) as engine:
            with monkeypatch.context() as patch:
                patch.setattr(engine.scheduler, "_plan", lambda: 1 / 0)
                events = [
                    event async for event in engine.serve(lambda sink: Request([5], sink, LONG))
                ]
                assert events[-1].code == "engine_failed"  # type: ignore[union-attr]
            short = SamplingParameters(max_tokens=2)
            events = [event async for event in engine.serve(lambda sink: Request([5], sink, short))]
            assert not hasattr(events[-1], "code")
            assert engine.healthy

    asyncio.run(scene())


def test_an_adapter_that_is_dropped_serves_its_answers_to_the_end(
    options: Options, llama: Base, tmp_path: Path, store: Path
) -> None:
    made = publish_adapter(llama, tmp_path, store)

    async def scene() -> None:
        async with running(options) as engine:
            loaded = await engine.load(made.name, made.folder, made.digest)
            free = len(engine.scheduler.slabs._by_rank[8]._free)
            sampling = SamplingParameters(temperature=0, max_tokens=40, ignore_eos=True)

            async def answer() -> list[int]:
                def make(sink: Any) -> Request:
                    return Request([5, 6], sink, sampling, adapter=engine.acquire(made.name))

                return [
                    token
                    async for event in engine.serve(make)
                    for token in getattr(event, "tokens", ())
                ]

            wanted = await answer()
            pending = asyncio.create_task(answer())
            await until(lambda: loaded.users == 1)
            await engine.unload(made.name)
            assert await pending == wanted
            with pytest.raises(EngineError):
                engine.acquire(made.name)
            await until(lambda: len(engine.scheduler.slabs._by_rank[8]._free) == free + 1)

    asyncio.run(scene())


def test_two_loads_of_one_adapter_at_once_take_one_slot(
    options: Options, llama: Base, tmp_path: Path, store: Path
) -> None:
    made = publish_adapter(llama, tmp_path, store)

    async def scene() -> None:
        async with running(options) as engine:
            loads = [engine.load(made.name, made.folder, None) for _ in range(4)]
            assert len({id(loaded) for loaded in await asyncio.gather(*loads)}) == 1
            assert len(engine.adapters()) == 1
            assert len(engine.scheduler.slabs._by_rank[8]._free) == options.max_adapters - 1

    asyncio.run(scene())
