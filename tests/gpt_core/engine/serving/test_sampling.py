"""Choosing tokens."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
import torch

from gpt_core.engine.serving.requests import SamplingParameters
from gpt_core.engine.serving.sampling import Chooser, choose

from .bench import Bench

PROMPT = "When do you open?"


def drawn(logits: list[float], *, times: int = 2000, **parameters: float) -> Counter[int]:
    """How often each token is chosen."""
    chooser = Chooser(SamplingParameters(**parameters), random.Random(0))  # type: ignore[arg-type]
    row = torch.tensor([logits])
    return Counter(choose(row, [chooser])[0].token for _ in range(times))


def test_draws_follow_the_distribution() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    counts = drawn(shares.log().tolist(), times=4000)
    for token, share in enumerate(shares.tolist()):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)


def test_temperature_flattens() -> None:
    shares = torch.tensor([0.8, 0.2]).log().tolist()
    assert drawn(shares, temperature=4.0)[1] > drawn(shares, temperature=1.0)[1] > 0


def test_top_k_keeps_the_likeliest() -> None:
    assert set(drawn([1.0, 2.0, 3.0, 0.5], top_k=2)) == {1, 2}


def test_top_p_keeps_the_smallest_set_that_reaches_the_share() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert set(drawn(shares, top_p=0.79)) == {0, 1}
    assert set(drawn(shares, top_p=0.81)) == {0, 1, 2}
    assert set(drawn(shares, top_p=0.0001)) == {0}


def test_top_p_over_a_flat_vocabulary_looks_beyond_the_first_candidates() -> None:
    counts = drawn([0.0] * 3000, times=500, top_p=0.9)
    assert len(counts) > 300


def test_min_p_drops_what_is_unlikely_beside_the_best() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert set(drawn(shares, min_p=0.4)) == {0, 1}


def test_a_repetition_penalty_of_the_prompt_changes_the_choice() -> None:
    chooser = Chooser(
        SamplingParameters(temperature=0, repetition_penalty=2.0), random.Random(0), [1]
    )
    assert choose(torch.tensor([[1.0, 1.5, 0.9]]), [chooser])[0].token == 0


def test_presence_and_frequency_count_what_was_written() -> None:
    parameters = SamplingParameters(temperature=0, frequency_penalty=0.4, presence_penalty=0.2)
    chooser = Chooser(parameters, random.Random(0))
    logits = torch.tensor([[1.0, 0.7, 0.0]])
    tokens = []
    for _ in range(4):
        token = choose(logits, [chooser])[0].token
        chooser.took(token)
        tokens.append(token)
    assert tokens == [0, 1, 0, 1]


def test_only_the_row_without_finite_logits_fails() -> None:
    choosers = [Chooser(SamplingParameters(temperature=0), random.Random(0)) for _ in range(4)]
    rows = torch.tensor([[0.0, 1.0], [math.nan, 1.0], [math.inf, 1.0], [1.0, 0.0]])
    choices = choose(rows, choosers)
    assert [choice.token for choice in choices] == [1, -1, -1, 0]
    assert [choice.error.code for choice in choices if choice.error] == ["not_finite", "not_finite"]


@pytest.mark.parametrize("parameters", [{}, {"top_p": 0.9}, {"top_k": 20}, {"min_p": 0.01}])
def test_a_seed_gives_the_same_answer_whoever_else_is_served(
    bench: Bench, parameters: dict[str, float]
) -> None:
    sampling = SamplingParameters(seed=11, max_tokens=20, ignore_eos=True, **parameters)  # type: ignore[arg-type]
    wanted = bench.alone(PROMPT, sampling).tokens
    neighbours = [
        bench.ask("退货", SamplingParameters(max_tokens=30, temperature=1.3)) for _ in range(3)
    ]
    bench.run(steps=3)
    heard = bench.ask(PROMPT, sampling)
    bench.run()
    assert heard.tokens == wanted
    assert all(neighbour.finished for neighbour in neighbours)


def test_without_a_seed_answers_differ(bench: Bench) -> None:
    sampling = SamplingParameters(max_tokens=20, ignore_eos=True)
    assert bench.alone(PROMPT, sampling).tokens != bench.alone(PROMPT, sampling).tokens


def test_logprobs_are_of_the_model_before_temperature(bench: Bench) -> None:
    cold = SamplingParameters(temperature=0, max_tokens=1, logprobs=2)
    hot = SamplingParameters(temperature=0.01, seed=1, max_tokens=1, logprobs=2)
    first, second = (bench.alone(PROMPT, sampling).events[0] for sampling in (cold, hot))
    assert first.logprobs == second.logprobs  # type: ignore[union-attr]
    assert first.logprobs[0].top[0][0] == first.tokens[0]  # type: ignore[union-attr]
