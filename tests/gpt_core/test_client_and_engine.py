"""The client against our own engine, a process of its own with a tiny random base."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from common.fetch import FetchError, Outgoing, fetch
from gpt_core import client
from gpt_core.client import EngineRefusedError, EngineUnavailableError, ServedModel, dialogues
from gpt_core.engine.bases import load_model, load_tokenizer
from gpt_core.engine.checkpoint import load_adapter, open_checkpoint
from gpt_core.engine.evaluation.labels import LabelScorer
from gpt_core.engine.evaluation.mixture import Mixture
from gpt_core.engine.formats import RowEncoder
from tests.tiny import tiny_base

from .engine.evaluation.stage import random_checkpoint

QUESTION = [{"role": "user", "content": "怎么退货？ How do I return it?"}]
LABELS = ["退货", "invoice", "refund, please"]
KEY = "a-key-for-the-tests"


@dataclass(frozen=True)
class Running:
    url: str
    base: Any
    adapter: ServedModel
    checkpoint: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("engine")
    base = tiny_base(folder)
    published = open_checkpoint(random_checkpoint(base, folder, size=0.3))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gpt_core.engine.serving", "--base", str(base.folder)]
    command += ["--store", str(folder / "checkpoints"), "--port", str(port), "--context", "200"]
    process = subprocess.Popen(
        [*command, "--dtype", "float32", "--threads", "1"],
        env={**os.environ, "GPT_ENGINE_KEY": KEY, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    adapter = ServedModel(published.name, base.name, str(published.folder), published.digest)
    try:
        yield Running(f"http://127.0.0.1:{port}", base, adapter, published.folder)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def engine(running: Running, settings: Any) -> Iterator[Running]:
    settings.GPT_ENGINES = {running.base.name: {"url": running.url, "key": KEY}}
    deadline = time.monotonic() + 60
    while True:
        try:
            if fetch(Outgoing("GET", f"{running.url}/health", seconds=5)).status == 200:
                break
        except FetchError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the engine did not start")
        time.sleep(0.1)
    dialogues._owners.clear()
    yield running
    dialogues._owners.clear()


def test_a_checkpoint_is_loaded_at_its_first_use_and_answers(engine: Running) -> None:
    answer = client.complete(model=engine.adapter, messages=QUESTION, temperature=0, max_tokens=8)
    assert answer.model == engine.adapter.name
    assert 1 <= answer.completion_tokens <= 8
    loaded = {model.name: model for model in client.loaded_models(base=engine.base.name)}
    assert loaded[engine.adapter.name].parent == engine.base.name
    assert loaded[engine.adapter.name].digest == engine.adapter.digest
    assert loaded[engine.base.name].owner == "parley"


def test_to_ensure_twice_is_to_ensure_once(engine: Running) -> None:
    client.ensure_loaded(engine.adapter)
    client.ensure_loaded(engine.adapter)
    asyncio.run(client.aensure_loaded(engine.adapter))


def test_a_streamed_answer_is_the_whole_answer(engine: Running) -> None:
    asked: Any = {"model": engine.adapter, "messages": QUESTION, "temperature": 0}
    whole = client.complete(**asked, max_tokens=24)
    pieces = list(client.stream(**asked, max_tokens=24))
    assert "".join(piece.text for piece in pieces) == whole.text
    assert pieces[-1].finish_reason == whole.finish_reason

    async def read() -> str:
        return "".join([piece.text async for piece in client.astream(**asked, max_tokens=24)])

    assert asyncio.run(read()) == whole.text


def test_scores_are_the_log_probabilities_of_transformers(engine: Running) -> None:
    found = client.score(model=engine.adapter, messages=QUESTION, completions=LABELS)
    model = load_model(engine.base, torch.float32)
    adapter = load_adapter(open_checkpoint(engine.checkpoint), engine.base)
    mixture = Mixture(model, {"own": adapter})
    mixture.choose(["own"])
    tokenizer = load_tokenizer(engine.base)
    encoder = RowEncoder(tokenizer)
    prompt = encoder.prompt({"messages": QUESTION})
    for score, text in zip(found, LABELS, strict=True):
        own = [*encoder.text_ids(text), tokenizer.eos_token_id]
        logits = model(input_ids=torch.tensor([[*prompt, *own]])).logits[0]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        expected = sum(float(logprobs[len(prompt) - 1 + at, token]) for at, token in enumerate(own))
        assert score.completion == text
        assert score.tokens == len(own)
        assert score.logprob == pytest.approx(expected, rel=1e-3)


def test_a_label_is_scored_as_the_evaluation_scores_it(engine: Running) -> None:
    labels = ["card", "card payment", "退货", "退货运费"]
    found = client.score(
        model=engine.adapter,
        messages=[{"role": "user", "content": "银行卡 card"}],
        completions=labels,
    )
    adapter = load_adapter(open_checkpoint(engine.checkpoint), engine.base)
    mixture = Mixture(load_model(engine.base, torch.float32), {"own": adapter})
    scorer = LabelScorer(RowEncoder(load_tokenizer(engine.base)), [(label,) for label in labels])
    wanted = scorer.scores(mixture, "own", {"text": "银行卡 card", "labels": []})
    assert [score.logprob for score in found] == pytest.approx(wanted, rel=1e-3)


def test_a_completion_of_a_text_has_no_turn_to_end(engine: Running) -> None:
    encoder = RowEncoder(load_tokenizer(engine.base))
    found = client.score(model=engine.adapter, prompt="We open at", completions=[" nine"])
    assert found[0].tokens == len(encoder.text_ids(" nine"))


def test_a_choice_is_one_of_the_choices(engine: Running) -> None:
    assert client.choose(model=engine.adapter, messages=QUESTION, choices=LABELS) in LABELS


def test_tokens_are_counted_with_the_template(engine: Running) -> None:
    encoder = RowEncoder(load_tokenizer(engine.base))
    counted = client.count_tokens(model=engine.adapter, messages=QUESTION)
    assert counted == len(encoder.prompt({"messages": QUESTION}))
    assert client.count_tokens(model=engine.base.name, prompt="退货") == len(
        encoder.text_ids("退货")
    )


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        ({"temperature": -3}, "invalid_value", "temperature"),
        ({"temprature": 1}, "unknown_parameter", "temprature"),
        ({"max_tokens": 10_000}, "context_length_exceeded", "max_tokens"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_name(
    parameters: dict[str, Any], code: str, param: str, engine: Running
) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        client.complete(model=engine.adapter, messages=QUESTION, **parameters)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_wrong_key_is_our_fault_and_not_the_callers(engine: Running, settings: Any) -> None:
    settings.GPT_ENGINES = {engine.base.name: {"url": engine.url, "key": "wrong"}}
    with pytest.raises(EngineUnavailableError) as caught:
        client.complete(model=engine.base.name, messages=QUESTION)
    assert caught.value.code == "engine_key_refused"


def test_another_digest_under_a_loaded_name_is_refused(engine: Running) -> None:
    client.ensure_loaded(engine.adapter)
    other = ServedModel(engine.adapter.name, engine.base.name, engine.adapter.folder, "0" * 64)
    with pytest.raises(EngineRefusedError) as caught:
        client.ensure_loaded(other)
    assert caught.value.code == "adapter_name_taken"
