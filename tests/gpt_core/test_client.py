"""The client of the engines: against a recorded vLLM, against faults, and against our own engine."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import uvicorn

from common import fetch
from common.fetch import FetchError, Outgoing
from gpt_core import client
from gpt_core.client import (
    Completion,
    EngineBusyError,
    EngineRefusedError,
    EngineUnavailableError,
    Piece,
    ServedModel,
    dialogues,
    doors,
)
from tenancy.scope import tenant_scope

from .recorded import vllm
from .recorded.vllm import ADAPTER, BASE, QUESTION, Replay

Answer = tuple[int, Mapping[str, str], bytes]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _nobody_is_known() -> Iterator[None]:
    dialogues._owners.clear()
    yield
    dialogues._owners.clear()


@pytest.fixture
def engine(settings: Any) -> Iterator[Callable[..., str]]:
    """`engine(answer)`: from now on the base is served by a function on the loopback."""
    open_servers = []

    def serve(answer: Callable[..., Answer], key: str = vllm.KEY) -> str:
        context = vllm.server(answer)
        url = context.__enter__()
        open_servers.append(context)
        settings.GPT_ENGINES = {BASE: {"url": url, "key": key}}
        return url

    yield serve
    for context in open_servers:
        context.__exit__(None, None, None)


def says(*documents: Any, status: int = 200) -> Callable[..., Answer]:
    """Answers with one document after the other, the last one for ever."""
    left = list(documents)

    def answer(method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        document = left.pop(0) if len(left) > 1 else left[0]
        return status, JSON, json.dumps(document).encode()

    return answer


CHAT = {
    "model": BASE,
    "choices": [{"message": {"content": "三到五天。"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4},
}

RECORDED = json.loads(vllm.RECORDING.read_text(encoding="utf-8"))["scenes"]
OUTCOMES: dict[str, Any] = {
    "models": lambda found: [(model.name, model.owner) for model in found] == [(BASE, "vllm")],
    "unknown_then_loaded": lambda found: found.model == ADAPTER and found.prompt_tokens == 46,
    "ensure_loaded": lambda found: found is None,
    "loaded_twice": lambda found: found is None,
    "folder_absent": "not_found",
    "completion_of_text": lambda found: found.finish_reason == "length",
    "stream": lambda found: len(found) == 6 and found[-1].finish_reason == "length",
    "score": lambda found: [score.tokens for score in found] == [5, 3, 4],
    "choose": lambda found: found in ("退货", "invoice"),
    "count_tokens": lambda found: found == 46,
    "wrong_parameter": "bad_request",
    "too_long": "context_length_exceeded",
    "wrong_key": "engine_key_refused",
}


@pytest.mark.parametrize("scene", list(OUTCOMES))
def test_a_real_vllm_is_driven_by_changing_one_setting(
    scene: str, engine: Callable[..., str]
) -> None:
    key = "another-key" if scene == "wrong_key" else vllm.KEY
    replay = Replay(RECORDED[scene], key)
    engine(replay, key=key)
    outcome = OUTCOMES[scene]
    if isinstance(outcome, str):
        with pytest.raises((EngineRefusedError, EngineUnavailableError)) as caught:
            vllm.scenes()[scene]()
        assert caught.value.code == outcome
    else:
        assert outcome(vllm.scenes()[scene]())
    assert replay.faults == []
    assert replay.left == []


def test_an_engine_is_told_for_which_company_it_works(engine: Callable[..., str]) -> None:
    told: list[str | None] = []

    def answer(method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        told.append(dict(headers).get(doors.TENANT_HEADER))
        return says(CHAT)(method, path, headers, body)

    engine(answer)
    company = uuid.uuid4()
    with tenant_scope(company):
        client.complete(model=BASE, messages=QUESTION)
        asyncio.run(client.acomplete(model=BASE, messages=QUESTION))
    client.complete(model=BASE, messages=QUESTION)
    assert told == [str(company), str(company), None]


def test_many_companies_answers_may_be_open_at_once(settings: Any) -> None:
    """The quotas say how many; none of them waits for another's to end."""
    many = 120
    body = json.dumps(CHAT).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def ask() -> list[Completion]:
        here, all_here = [0], asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            here[0] += 1
            if here[0] == many:
                all_here.set()
            await all_here.wait()
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=many) as server:
            port = server.sockets[0].getsockname()[1]
            settings.GPT_ENGINES = {BASE: f"http://127.0.0.1:{port}"}
            asked = (client.acomplete(model=BASE, messages=QUESTION) for _ in range(many))
            return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == many


def test_an_idle_connection_is_given_up_before_an_engine_closes_it() -> None:
    """Ours and vLLM's are served by uvicorn; what is sent into a closing connection is lost."""
    assert uvicorn.Config("none").timeout_keep_alive > 2 * fetch.KEEP_IDLE_SECONDS


def test_the_recorded_scenes_are_the_tested_ones() -> None:
    assert list(RECORDED) == list(OUTCOMES) == list(vllm.scenes())


def test_scores_of_vllm_are_the_sums_of_the_completions_own_tokens(
    engine: Callable[..., str],
) -> None:
    engine(Replay(RECORDED["score"], vllm.KEY))
    found = vllm.scenes()["score"]()
    last = json.loads(RECORDED["score"][-1]["response"])["choices"][0]["prompt_logprobs"]
    tail = [next(iter(place.values()))["logprob"] for place in last[-4:]]
    assert found[-1].logprob == pytest.approx(sum(tail))
    assert found[-1].mean_logprob == pytest.approx(sum(tail) / 4)


async def _asynchronously(scene: str) -> Any:
    adapter = ServedModel(ADAPTER, BASE, vllm.FOLDER, "0" * 64)
    if scene == "unknown_then_loaded":
        return await client.acomplete(model=adapter, messages=QUESTION, temperature=0, max_tokens=6)
    if scene == "stream":
        pieces = client.astream(model=adapter, messages=QUESTION, temperature=0, max_tokens=6)
        return [piece async for piece in pieces]
    if scene == "score":
        return await client.ascore(
            model=adapter, messages=QUESTION, completions=["退货", "invoice", "refund please"]
        )
    if scene == "choose":
        return await client.achoose(
            model=adapter, messages=QUESTION, choices=["退货", "invoice"], max_tokens=20
        )
    return await client.acount_tokens(model=adapter, messages=QUESTION)


@pytest.mark.parametrize(
    "scene", ["unknown_then_loaded", "stream", "score", "choose", "count_tokens"]
)
def test_the_asynchronous_twins_say_and_find_the_same(
    scene: str, engine: Callable[..., str]
) -> None:
    replay = Replay(RECORDED[scene], vllm.KEY)
    engine(replay)
    found = asyncio.run(_asynchronously(scene))
    assert replay.faults == []
    engine(Replay(RECORDED[scene], vllm.KEY))
    dialogues._owners.clear()
    assert found == vllm.scenes()[scene]()


def test_an_unknown_model_is_loaded_once_and_not_for_ever(engine: Callable[..., str]) -> None:
    asked: list[str] = []

    def answer(method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        asked.append(path)
        if path == "/v1/models":
            return 200, JSON, b'{"data": [{"id": "x", "owned_by": "parley"}]}'
        if path == "/v1/load_lora_adapter":
            assert body["digest"] == "d" * 64
            return 200, {}, b"Success"
        error = {"message": "?", "param": "model", "code": "model_unknown"}
        return 404, JSON, json.dumps({"error": error}).encode()

    engine(answer)
    adapter = ServedModel(ADAPTER, BASE, "/tmp/adapters/x", "d" * 64)
    with pytest.raises(EngineRefusedError) as caught:
        client.complete(model=adapter, messages=QUESTION)
    assert caught.value.code == "model_unknown"
    assert caught.value.param == "model"
    chat = "/v1/chat/completions"
    assert asked == [chat, "/v1/models", "/v1/load_lora_adapter", chat]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_engine_says_when_to_come_back(status: int, engine: Callable[..., str]) -> None:
    engine(lambda *_: (status, {**JSON, "Retry-After": "7"}, b'{"error": {"message": "full"}}'))
    with pytest.raises(EngineBusyError) as caught:
        client.complete(model=BASE, messages=QUESTION)
    assert caught.value.retry_after == 7
    assert caught.value.status_hint == 503


def test_an_engine_that_is_not_there_is_unavailable(settings: Any) -> None:
    settings.GPT_ENGINES = {BASE: "http://127.0.0.1:9"}
    with pytest.raises(EngineUnavailableError):
        client.complete(model=BASE, messages=QUESTION)
    with pytest.raises(EngineUnavailableError):
        list(client.stream(model=BASE, messages=QUESTION))


def test_an_engine_that_starts_late_is_found_by_trying_again(
    engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(says(CHAT))
    real, tried = fetch.fetch, []

    def refuses_once(request: Outgoing) -> Any:
        tried.append(request)
        if len(tried) == 1:
            raise FetchError("unreachable", "refused", sent=False)
        return real(request)

    monkeypatch.setattr(fetch, "fetch", refuses_once)
    answer = client.complete(model=BASE, messages=QUESTION)
    assert answer == Completion("三到五天。", "stop", BASE, 9, 4)
    assert len(tried) == 2


@pytest.mark.parametrize(("again", "times"), [(False, 1), (True, 3)])
def test_only_what_may_be_asked_twice_is_asked_again_after_it_was_sent(
    again: bool, times: int, engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(says(CHAT))
    tried = []

    def breaks_off(request: Outgoing) -> Any:
        tried.append(request)
        raise FetchError("broken_off", "reset", sent=True)

    monkeypatch.setattr(fetch, "fetch", breaks_off)
    ask: Any = client.count_tokens if again else client.complete
    with pytest.raises(EngineUnavailableError):
        ask(model=BASE, messages=QUESTION)
    assert len(tried) == times


def test_a_choice_outside_the_choices_is_an_engines_fault(engine: Callable[..., str]) -> None:
    engine(says(CHAT))
    with pytest.raises(EngineUnavailableError) as caught:
        client.choose(model=BASE, messages=QUESTION, choices=["a", "b"])
    assert caught.value.code == "engine_left_the_choices"


def _events(*documents: Any, done: bool = True) -> Callable[..., Answer]:
    lines = [f"data: {json.dumps(document, ensure_ascii=False)}\n\n" for document in documents]
    body = "".join(lines) + ("data: [DONE]\n\n" if done else "")
    return lambda *_: (200, {"Content-Type": "text/event-stream"}, body.encode())


def _delta(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def test_a_stream_comes_piece_by_piece_in_chinese_too(engine: Callable[..., str]) -> None:
    engine(_events(_delta("退"), _delta("货"), _delta("", "stop")))
    found = list(client.stream(model=BASE, messages=QUESTION))
    assert found == [Piece("退"), Piece("货"), Piece("", "stop")]


@pytest.mark.parametrize(
    "end",
    [
        _delta("half"),
        {"error": {"message": "cuda", "type": "InternalServerError", "code": 500}},
    ],
)
def test_half_an_answer_never_passes_for_a_whole_one(end: Any, engine: Callable[..., str]) -> None:
    engine(_events(_delta("half an"), end, done=False))
    pieces = client.stream(model=BASE, messages=QUESTION)
    assert next(pieces) == Piece("half an")
    with pytest.raises(EngineUnavailableError):
        list(pieces)


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"choices": []}', b"[1e999]", b""])
def test_an_answer_of_another_shape_is_unreadable_and_no_crash(
    answer: bytes, engine: Callable[..., str]
) -> None:
    engine(lambda *_: (200, JSON, answer))
    with pytest.raises(EngineUnavailableError) as caught:
        client.complete(model=BASE, messages=QUESTION)
    assert caught.value.code == "engine_answer_unreadable"


def test_a_loaded_name_with_another_digest_is_refused(engine: Callable[..., str]) -> None:
    models = [{"id": ADAPTER, "owned_by": "parley", "digest": "e" * 64}]
    engine(says({"data": models}))
    with pytest.raises(EngineRefusedError) as caught:
        client.ensure_loaded(ServedModel(ADAPTER, BASE, "/tmp/x", "d" * 64))
    assert caught.value.code == "adapter_name_taken"


def test_a_base_that_no_engine_serves_is_said_so(settings: Any) -> None:
    settings.GPT_ENGINES = {}
    with pytest.raises(EngineRefusedError) as caught:
        client.complete(model=ServedModel("other", "other"), messages=QUESTION)
    assert caught.value.code == "base_not_served"


@pytest.mark.parametrize(
    "address", ["http://localhost:1/v1", "http://localhost:1/", "http://localhost:1"]
)
def test_an_address_may_be_written_as_openais_clients_want_it(address: str, settings: Any) -> None:
    settings.GPT_ENGINES = {BASE: address}
    assert client.engine_of(BASE).url == "http://localhost:1"


def test_messages_or_a_prompt_but_not_both() -> None:
    wrong: Any
    for wrong in ({}, {"messages": QUESTION, "prompt": "x"}):
        with pytest.raises(ValueError, match="not both"):
            client.count_tokens(model=ServedModel(BASE, BASE), **wrong)


def test_texts_become_vectors_of_length_one_in_the_order_asked(
    engine: Callable[..., str], settings: Any
) -> None:
    asked = []

    def answer(method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        asked.append((path, headers.get("Authorization"), body))
        data = [{"index": 1, "embedding": [0, 5]}, {"index": 0, "embedding": [3, 4]}]
        return 200, JSON, json.dumps({"data": data}).encode()

    settings.GPT_EMBEDDER = {"bge-m3": {"url": engine(answer), "key": "k"}}
    assert client.embed(["query: 发票", "passage: b"]) == [[0.6, 0.8], [0.0, 1.0]]
    ((path, key, body),) = asked
    assert (path, key) == ("/v1/embeddings", "Bearer k")
    assert body == {"model": "bge-m3", "input": ["query: 发票", "passage: b"]}


@pytest.mark.parametrize("data", [[], [{"index": 0, "embedding": [0, 0]}], [{"embedding": [1]}]])
def test_vectors_that_are_missing_or_point_nowhere_are_an_engines_fault(
    data: Any, engine: Callable[..., str], settings: Any
) -> None:
    settings.GPT_EMBEDDER = {"bge-m3": engine(says({"data": data}))}
    with pytest.raises(EngineUnavailableError):
        client.embed(["query: a"])


def test_without_a_configured_embedder_it_is_said_so(settings: Any) -> None:
    settings.GPT_EMBEDDER = {}
    assert client.embedder_name() == ""
    with pytest.raises(EngineRefusedError) as refusal:
        client.embed(["query: a"])
    assert refusal.value.code == "embedder_missing"


# --- the fetch client itself ------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "http://user:secret@{engine}/",
        "//{engine}/",
        "nonsense",
    ],
)
def test_only_the_engines_origins_are_reached(url: str, engine: Callable[..., str]) -> None:
    asked: list[str] = []

    def answer(method: str, path: str, *_: Any) -> Answer:
        asked.append(path)
        return 200, {}, b""

    origin = engine(answer).removeprefix("http://")
    with pytest.raises(FetchError) as caught:
        fetch.fetch(Outgoing("GET", url.format(engine=origin)))
    assert caught.value.code == "origin_not_allowed"
    assert not caught.value.sent
    assert asked == []


def test_no_redirect_is_followed(engine: Callable[..., str]) -> None:
    url = engine(lambda *_: (302, {"Location": "http://169.254.169.254/"}, b""))
    assert fetch.fetch(Outgoing("GET", f"{url}/v1/models")).status == 302


def test_an_endless_answer_is_cut_off(
    engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_BODY", 1000)
    url = engine(lambda *_: (200, {}, b"x" * 5000))
    with pytest.raises(FetchError) as caught:
        fetch.fetch(Outgoing("GET", f"{url}/"))
    assert caught.value.code == "answer_too_large"


def test_a_proxy_of_the_environment_is_not_asked(
    engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = engine(lambda *_: (200, {}, b"here"))
    assert fetch.fetch(Outgoing("GET", f"{url}/")).body == b"here"


@pytest.mark.parametrize("drips", [False, True])
def test_a_silent_or_dripping_answer_meets_the_deadline(drips: bool, settings: Any) -> None:
    import socket

    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            if drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                if drips:
                    connection.sendall(b"x")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    settings.GPT_ENGINES = {BASE: url}
    started = time.monotonic()
    with pytest.raises(FetchError) as caught:
        fetch.fetch(Outgoing("GET", url, seconds=0.3))
    assert caught.value.code == "timed_out"
    assert time.monotonic() - started < 3
    stop.set()
    thread.join(timeout=5)
    listening.close()


def test_lines_are_put_together_from_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "data: 退货\r\n\ndata: x\n".encode()
    for size in (1, 2, 5, 100):
        lines = fetch.Lines()
        found = [
            line
            for start in range(0, len(text), size)
            for line in lines.feed(text[start : start + size])
        ]
        assert found == ["data: 退货", "", "data: x"]
    monkeypatch.setattr(fetch, "MAX_LINE", 10)
    with pytest.raises(FetchError):
        fetch.Lines().feed(b"x" * 11)
