"""Scores and closed sets."""

from __future__ import annotations

import json

import pytest
import torch

from gpt_core.engine.bases import Base, load_model
from gpt_core.engine.errors import EngineError
from gpt_core.engine.serving.requests import Finished, SamplingParameters

from .bench import Bench, Heard, random_adapter

LABELS = ["negative", "neutral", "positive", "退货", "a much longer completion than the others"]


def scored(heard: Heard) -> list[tuple[float, ...]]:
    """The log-probabilities per completion."""
    assert isinstance(heard.end, Finished)
    return [score.logprobs for score in heard.end.scores]


@torch.inference_mode()
def test_a_score_is_the_sum_of_what_transformers_says(llama: Base) -> None:
    bench = Bench(llama, chunk_alone=16, chunk_beside_rows=8)
    model = load_model(llama, torch.float32)
    encode = bench.model.encoder.text_ids
    prompt = encode("How is the delivery? 退货通常需要三到五个工作日。")
    branches = [encode(label) for label in LABELS]
    found = scored(bench.alone(prompt, completions=branches))
    for branch, logprobs in zip(branches, found, strict=True):
        whole = torch.tensor([prompt + branch])
        expected = torch.log_softmax(model(whole).logits[0], dim=-1)
        places = range(len(prompt) - 1, len(prompt) + len(branch) - 1)
        wanted = [
            float(expected[place, token]) for place, token in zip(places, branch, strict=True)
        ]
        assert logprobs == pytest.approx(wanted, abs=1e-4)


def test_scores_do_not_depend_on_the_neighbours(bench: Bench) -> None:
    adapter = bench.adapter(random_adapter(bench.base, 1))
    branches = [bench.model.encoder.text_ids(label) for label in LABELS]
    wanted = scored(bench.alone("How is it?", completions=branches, adapter=adapter))
    others = [bench.ask("退货", SamplingParameters(max_tokens=20)) for _ in range(3)]
    bench.run(steps=2)
    heard = bench.ask("How is it?", completions=branches, adapter=adapter)
    bench.run()
    assert all(other.finished for other in others)
    for own, expected in zip(scored(heard), wanted, strict=True):
        assert own == pytest.approx(expected, abs=1e-5)


def test_one_token_completions_need_only_the_prompt(bench: Bench) -> None:
    heard = bench.alone("positive", completions=[[5], [6], [7]])
    assert [len(own) for own in scored(heard)] == [1, 1, 1]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
def test_a_choice_is_always_one_of_the_options(bench: Bench, temperature: float) -> None:
    options = ["负面", "neutral", 'with "quotes" (and) [signs]', "neutral plus"]
    grammar = bench.scheduler._grammars.choice(options)
    for seed in range(4):
        sampling = SamplingParameters(temperature=temperature, seed=seed, max_tokens=60)
        heard = bench.alone("How?", sampling, grammar=grammar)
        assert heard.text in options


def test_a_regular_expression_binds_the_whole_answer(bench: Bench) -> None:
    grammar = bench.scheduler._grammars.regex(r"[0-9]{3}-[a-c]+x")
    heard = bench.alone("How?", SamplingParameters(seed=1, max_tokens=200), grammar=grammar)
    assert len(heard.text) > 4
    assert heard.text[3] == "-"


def test_json_by_a_schema_parses(bench: Bench) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "label": {"enum": ["好", "bad"]}},
        "required": ["ok", "label"],
        "additionalProperties": False,
    }
    grammar = bench.scheduler._grammars.json_schema(schema)
    heard = bench.alone("How?", SamplingParameters(seed=2, max_tokens=100), grammar=grammar)
    assert json.loads(heard.text)["label"] in ("好", "bad")


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a{5,2}", "(?P<x>"])
def test_an_impossible_grammar_is_refused_before_the_batch(bench: Bench, pattern: str) -> None:
    with pytest.raises(EngineError) as refusal:
        bench.scheduler._grammars.regex(pattern)
    assert refusal.value.code == "grammar_invalid"


def test_a_grammar_that_gets_stuck_ends_its_own_request(bench: Bench) -> None:
    neighbour = bench.ask("positive")
    heard = bench.ask("How?", SamplingParameters(max_tokens=5), grammar="start: no such thing")
    bench.run()
    assert heard.failure is not None
    assert neighbour.finished
