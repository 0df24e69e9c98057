"""Different tenants in one batch: each is served as if alone."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from gpt_core.engine.bases import Base
from gpt_core.engine.serving.requests import SamplingParameters

from .bench import GREEDY, Bench, Heard, random_adapter

PROMPTS = [
    "When do you open?",
    "退货需要多久？",
    "How do I reset the router? " * 6,
    "positive",
    "请提供您的订单号。" * 4,
]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen3"])
def test_every_tenant_gets_the_tokens_it_would_get_alone(
    architecture: str, base_of: Callable[[str], Base]
) -> None:
    bench = Bench(base_of(architecture))
    adapters = [None, *(bench.adapter(random_adapter(bench.base, seed)) for seed in range(4))]
    wanted = {
        (place, prompt): bench.alone(prompt, adapter=adapter).tokens
        for place, adapter in enumerate(adapters)
        for prompt in PROMPTS
    }
    heard = {
        (place, prompt): bench.ask(prompt, adapter=adapters[place]) for place, prompt in wanted
    }
    bench.run()
    assert {key: own.tokens for key, own in heard.items()} == wanted
    assert len({tuple(tokens) for tokens in wanted.values()}) > 15


@pytest.mark.parametrize("seed", range(3))
def test_joining_and_leaving_at_any_step_changes_nobodys_answer(llama: Base, seed: int) -> None:
    dice = random.Random(seed)
    bench = Bench(llama, rows=4, chunk_beside_rows=16, chunk_alone=32)
    ranks = [4, 8, 12, 20]
    adapters = [
        None,
        *(
            bench.adapter(random_adapter(llama, place, rank=rank))
            for place, rank in enumerate(ranks)
        ),
    ]
    cases = [(dice.choice(PROMPTS), dice.choice(adapters), dice.randint(1, 40)) for _ in range(16)]
    wanted = [
        bench.alone(
            prompt, SamplingParameters(temperature=0, max_tokens=most), adapter=adapter
        ).tokens
        for prompt, adapter, most in cases
    ]
    heard: list[Heard] = []
    cancelled = set()
    for place, (prompt, adapter, most) in enumerate(cases):
        heard.append(
            bench.ask(prompt, SamplingParameters(temperature=0, max_tokens=most), adapter=adapter)
        )
        if dice.random() < 0.2:
            cancelled.add(place)
            bench.run(steps=dice.randint(0, 4))
            bench.last.cancelled = True
        bench.run(steps=dice.randint(0, 6))
    bench.run()
    for place, own in enumerate(heard):
        if place not in cancelled:
            assert own.tokens == wanted[place]
    assert bench.scheduler.store.used == 0
    assert len(bench.left) == len(wanted) + len(cases)


def test_loading_and_unloading_a_hundred_times_leaves_the_same_bits(llama: Base) -> None:
    bench = Bench(llama)
    kept = random_adapter(llama, 1)
    first = bench.adapter(kept)
    before = logprobs_of(bench, first)
    for turn in range(100):
        other = bench.adapter(random_adapter(llama, turn + 2, rank=4 + turn % 5))
        bench.scheduler.slabs.unload(first.place)
        first = bench.adapter(kept)
        bench.scheduler.slabs.unload(other.place)
    assert logprobs_of(bench, first) == before


def logprobs_of(bench: Bench, adapter: object) -> list[float]:
    """The exact log-probabilities of an answer."""
    sampling = SamplingParameters(temperature=0, max_tokens=8, logprobs=3, ignore_eos=True)
    heard = bench.alone("退货需要多久？", sampling, adapter=adapter)
    return [
        value
        for event in heard.events[:-1]
        for own in event.logprobs  # type: ignore[union-attr]
        for value in (own.logprob, *(figure for _, figure in own.top))
    ]


def test_a_slot_is_clean_when_a_smaller_adapter_takes_it(llama: Base) -> None:
    bench = Bench(llama)
    alone = bench.adapter(random_adapter(llama, 5, rank=2, leave_out=["q_proj"]))
    wanted = bench.alone("When do you open?", adapter=alone).tokens
    bench.scheduler.slabs.unload(alone.place)
    big = bench.adapter(random_adapter(llama, 6, rank=8))
    bench.scheduler.slabs.unload(big.place)
    again = bench.adapter(random_adapter(llama, 5, rank=2, leave_out=["q_proj"]))
    assert again.place.slot == big.place.slot
    assert bench.alone("When do you open?", adapter=again).tokens == wanted


def test_a_poisoned_row_ends_alone_and_its_place_is_clean_afterwards(llama: Base) -> None:
    bench = Bench(llama)
    good = bench.adapter(random_adapter(llama, 1))
    wanted = bench.alone("When do you open?", adapter=good).tokens
    poison = {
        module: (torch.full_like(a, torch.nan), b)
        for module, (a, b) in random_adapter(llama, 2).items()
    }
    bad = bench.adapter(poison)
    heard = [bench.ask("When do you open?", adapter=own) for own in (good, bad, None, good)]
    bench.run()
    assert heard[1].failure == "not_finite"
    assert heard[0].tokens == heard[3].tokens == wanted
    assert all(bench.alone("When do you open?", adapter=good).tokens == wanted for _ in range(3))


@torch.inference_mode()
def test_overflow_in_the_middle_of_an_answer_does_not_outlive_the_row(llama: Base) -> None:
    bench = Bench(llama, rows=2)
    wanted = bench.alone("positive").tokens
    bench.ask("positive", SamplingParameters(temperature=0, max_tokens=50, ignore_eos=True))
    bench.run(steps=5)
    row = bench.scheduler.store.order()[0]
    row.pool.row(row.index)[:, 1] = torch.inf
    bench.run()
    assert bench.alone("positive").tokens == wanted


def test_many_choices_of_one_request_share_the_prompt_and_differ(bench: Bench) -> None:
    heard = bench.alone(
        "When do you open?", SamplingParameters(n=5, seed=3, max_tokens=10, ignore_eos=True)
    )
    answers = {tuple(heard.of(index)) for index in range(5)}
    assert len(answers) == 5
    assert heard.finished


def test_a_row_grows_through_all_pools_to_the_end_of_the_context(bench: Bench) -> None:
    sampling = SamplingParameters(temperature=0, max_tokens=250, ignore_eos=True)
    long = bench.alone([5, 6, 7], sampling).tokens
    assert len(long) == 250
    whole = bench.alone([5, 6, 7, *long[:200]], GREEDY).tokens
    assert whole == long[200:212]
