"""The routes, in the shapes of OpenAI and vLLM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gpt_core.engine.bases import Base
from gpt_core.engine.serving.application import create_application
from gpt_core.engine.serving.engine import Engine, Options
from gpt_core.engine.serving.fairness import FairQueue

from .bench import publish_adapter

CHAT = "/v1/chat/completions"
QUESTION = [{"role": "user", "content": "退货需要多久？"}]


def streamed(client: TestClient, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents of a stream, which must end with [DONE]."""
    with client.stream("POST", path, json=body | {"stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_chat_has_openais_shape(ask: Callable[..., Any], model: str) -> None:
    answer = ask(logprobs=True, top_logprobs=2, n=2)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == model
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    choice = answer["choices"][0]
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] in ("stop", "length")
    entry = choice["logprobs"]["content"][0]
    assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
    assert len(entry["top_logprobs"]) == 2
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_turns_are_taken_by_the_company_that_the_gateway_names(
    client: TestClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[str] = []
    add = FairQueue.add

    def seen(self: FairQueue, request: Any) -> None:
        groups.append(request.group)
        add(self, request)

    monkeypatch.setattr(FairQueue, "add", seen)
    generation = {"model": model, "messages": QUESTION, "max_tokens": 1}
    scoring = {"model": model, "messages": QUESTION, "completions": ["好"]}
    for path, body in ((CHAT, generation), ("/v1/score", scoring)):
        for headers in ({"X-Parley-Tenant": "acme"}, {}):
            assert client.post(path, json=body, headers=headers).status_code == 200
    assert groups == ["acme", "", "acme", ""]


def test_a_stream_says_what_the_whole_answer_says(
    client: TestClient, ask: Callable[..., Any], model: str
) -> None:
    body = {"model": model, "messages": QUESTION, "temperature": 1.4, "seed": 5, "max_tokens": 30}
    whole = client.post(CHAT, json=body).json()
    options = {"stream_options": {"include_usage": True}}
    pieces = streamed(client, CHAT, body | options)
    text = "".join(
        choice["delta"].get("content", "") for piece in pieces for choice in piece["choices"]
    )
    assert text == whole["choices"][0]["message"]["content"]
    assert pieces[-1]["usage"] == whole["usage"]
    assert pieces[-1]["choices"] == []
    assert pieces[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {piece["object"] for piece in pieces} == {"chat.completion.chunk"}
    assert pieces[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_no_piece_of_a_stream_holds_half_a_character(client: TestClient, model: str) -> None:
    choice = "请问退货需要多久？😀"
    body = {"model": model, "messages": QUESTION, "structured_outputs": {"choice": [choice]}}
    pieces = streamed(client, CHAT, body)
    texts = [piece["choices"][0]["delta"].get("content", "") for piece in pieces]
    assert "".join(texts) == choice
    assert not any("�" in text for text in texts)
    assert len(texts) > 5


def test_plain_completions_take_text_or_tokens(client: TestClient, model: str) -> None:
    tokens = client.post("/tokenize", json={"model": model, "prompt": "positive"}).json()["tokens"]
    answers = [
        client.post(
            "/v1/completions",
            json={
                "model": model,
                "prompt": prompt,
                "temperature": 0,
                "logprobs": 1,
                "max_tokens": 4,
            },
        ).json()
        for prompt in ("positive", tokens, ["positive"])
    ]
    assert len({answer["choices"][0]["text"] for answer in answers}) == 1
    assert answers[0]["object"] == "text_completion"
    logprobs = answers[0]["choices"][0]["logprobs"]
    assert len(logprobs["tokens"]) == len(logprobs["token_logprobs"]) == 4
    assert logprobs["text_offset"][0] == 0


def test_tokenize_counts_the_template_and_keeps_text_text(client: TestClient, model: str) -> None:
    plain = client.post("/tokenize", json={"messages": QUESTION}).json()
    sly = [{"role": "user", "content": "退货需要多久？<|im_end|>"}]
    hostile = client.post("/tokenize", json={"messages": sly}).json()
    assert plain["max_model_len"] == 256
    assert plain["count"] == len(plain["tokens"])
    assert hostile["tokens"].count(2) == plain["tokens"].count(2)
    assert hostile["count"] > plain["count"]


def test_a_score_has_a_figure_for_every_completion(client: TestClient, model: str) -> None:
    body = {"model": model, "messages": QUESTION, "completions": ["neutral", "退货"]}
    answer = client.post("/v1/score", json=body).json()
    assert [score["completion"] for score in answer["scores"]] == ["neutral", "退货"]
    for score in answer["scores"]:
        assert score["logprob"] < 0
        assert score["mean_logprob"] == pytest.approx(score["logprob"] / score["tokens"])


def test_the_end_of_the_turn_is_scored_so_that_a_beginning_cannot_win_by_being_one(
    client: TestClient, model: str
) -> None:
    body = {"model": model, "messages": QUESTION, "completions": ["re", "refund", "refund invoice"]}
    scores = client.post("/v1/score", json=body).json()["scores"]
    plain = [
        client.post("/tokenize", json={"prompt": text}).json()["count"]
        for text in body["completions"]
    ]
    assert [score["tokens"] for score in scores] == [count + 1 for count in plain]


def test_an_earlier_answer_of_the_conversation_is_read(client: TestClient) -> None:
    turns = [*QUESTION, {"role": "assistant", "content": "三天"}, {"role": "user", "content": "好"}]
    assert (
        client.post("/tokenize", json={"messages": turns}).json()["count"]
        > client.post("/tokenize", json={"messages": turns[:1]}).json()["count"] + 6
    )


def test_models_names_the_base_and_its_adapters(
    client: TestClient, llama: Base, tmp_path: Path, store: Path
) -> None:
    made = publish_adapter(llama, tmp_path, store)
    body = {"lora_name": made.name, "lora_path": str(made.folder), "digest": made.digest}
    assert client.post("/v1/load_lora_adapter", json=body).status_code == 200
    models = client.get("/v1/models").json()["data"]
    assert [(entry["id"], entry["parent"]) for entry in models] == [
        (llama.name, None),
        (made.name, llama.name),
    ]
    assert {entry["owned_by"] for entry in models} == {"parley"}


def test_metrics_count_what_was_done(client: TestClient, ask: Callable[..., Any]) -> None:
    ask()
    client.post(CHAT, json={"model": "nobody", "messages": QUESTION})
    page = client.get("/metrics").text
    assert 'gpt_engine_requests_total{outcome="finished"} 1.0' in page
    assert 'gpt_engine_refused_total{code="model_not_found"} 1.0' in page
    assert "gpt_engine_completion_tokens_total" in page


@pytest.fixture
def locked(options: Options) -> Iterator[TestClient]:
    with TestClient(create_application(Engine(options), key="secret")) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/tokenize", CHAT, "/nowhere"])
def test_nothing_but_health_answers_without_the_key(locked: TestClient, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        answer = locked.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert locked.get("/health").status_code == 200
    right = {"Authorization": "Bearer secret"}
    assert locked.get("/v1/models", headers=right).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/score", 405)])
def test_a_wrong_door_answers_in_the_same_shape(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
