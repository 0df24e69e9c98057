"""The parts of a step: which rows, which learning rate, how the weights move."""

from __future__ import annotations

import math

import pytest
import torch

from gpt_core.engine.training.batches import (
    StepPlan,
    cut_into_passes,
    seed_of,
    share_of_worker,
)
from gpt_core.engine.training.optimizers import (
    clip,
    learning_rate_at,
    make_optimizer,
    warmup_steps,
)
from gpt_core.engine.training.rows import Example
from gpt_core.engine.training.weights import FlatWeights

CPU = torch.device("cpu")


def example(length: int) -> Example:
    return Example(tuple(range(length)), (0,), (1,), False)


def test_every_epoch_reads_every_row_once_in_an_order_of_its_own() -> None:
    plan = StepPlan(rows=10, rows_per_step=4, epochs=3, seed=1)
    assert plan.steps == 9
    orders = [[row for n in range(3) for row in plan.rows_of(epoch * 3 + n)] for epoch in range(3)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_the_rows_of_a_step_do_not_depend_on_the_steps_before() -> None:
    plan = StepPlan(rows=50, rows_per_step=7, epochs=4, seed=3)
    forward = [plan.rows_of(step) for step in range(plan.steps)]
    again = StepPlan(rows=50, rows_per_step=7, epochs=4, seed=3)
    assert [again.rows_of(step) for step in reversed(range(plan.steps))] == forward[::-1]
    assert StepPlan(50, 7, 4, seed=4).rows_of(0) != forward[0]


@pytest.mark.parametrize(("epochs", "steps"), [(0.01, 1), (0.5, 2), (1, 3), (1.5, 5), (2, 6)])
def test_parts_of_an_epoch_are_whole_steps(epochs: float, steps: int) -> None:
    assert StepPlan(rows=10, rows_per_step=4, epochs=epochs, seed=0).steps == steps


def test_passes_hold_all_rows_and_fit_the_memory() -> None:
    examples = [example(length) for length in (9, 3, 30, 4, 8, 3, 100)]
    passes = cut_into_passes(examples, most_rows=3, most_tokens=40)
    assert sorted(len(row) for rows in passes for row in rows) == sorted(map(len, examples))
    assert all(len(rows) == 1 or sum(map(len, rows)) <= 40 for rows in passes)
    assert all(len(rows) <= 3 for rows in passes)


def test_workers_share_every_row_once() -> None:
    examples = [example(length) for length in range(2, 9)]
    shares = [share_of_worker(examples, rank, 3) for rank in range(3)]
    assert sorted(len(row) for share in shares for row in share) == list(range(2, 9))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_seeds_are_the_same_everywhere() -> None:
    assert seed_of("dropout", 1, 2) == seed_of("dropout", 1, 2) != seed_of("dropout", 12)
    assert 0 <= seed_of("退货") < 2**63


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_is_that_of_torch(decay: float) -> None:
    torch.manual_seed(0)
    weights = FlatWeights(
        [("a", (4, 3), True), ("b", (3,), False)], dtype=torch.float32, device=CPU
    )
    weights.master.normal_()
    a = torch.nn.Parameter(weights.master_of("a").clone())
    b = torch.nn.Parameter(weights.master_of("b").clone())
    theirs = torch.optim.AdamW(
        [{"params": [a], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}], lr=0.01
    )
    ours = make_optimizer("adamw", weights, decay)
    for _ in range(5):
        weights.grad.normal_()
        a.grad, b.grad = weights.grad_of("a").clone(), weights.grad_of("b").clone()
        theirs.step()
        ours.step(0.01)
    assert torch.allclose(weights.master_of("a"), a, atol=1e-6)
    assert torch.allclose(weights.master_of("b"), b, atol=1e-6)


def test_sgd_is_that_of_torch_with_momentum() -> None:
    weights = FlatWeights([("a", (6,), True)], dtype=torch.float32, device=CPU)
    weights.master.normal_()
    a = torch.nn.Parameter(weights.master.clone())
    theirs = torch.optim.SGD([a], lr=0.1, momentum=0.9)
    ours = make_optimizer("sgd", weights, 0.0)
    for _ in range(4):
        weights.grad.normal_()
        a.grad = weights.grad.clone()
        theirs.step()
        ours.step(0.1)
    assert torch.allclose(weights.master, a, atol=1e-6)


def test_the_working_copy_follows_the_masters() -> None:
    weights = FlatWeights([("a", (8,), True)], dtype=torch.bfloat16, device=CPU)
    optimizer = make_optimizer("adamw", weights, 0.0)
    weights.grad.fill_(1.0)
    optimizer.step(0.5)
    assert torch.equal(weights.work, weights.master.to(torch.bfloat16))


def test_clipping_keeps_the_direction_and_zero_switches_it_off() -> None:
    weights = FlatWeights([("a", (2,), True)], dtype=torch.float32, device=CPU)
    weights.grad.copy_(torch.tensor([3.0, 4.0]))
    assert clip(weights, 0.0) == 5.0
    assert clip(weights, 1.0) == 5.0
    assert torch.allclose(weights.grad, torch.tensor([0.6, 0.8]), atol=1e-4)


def test_stacked_weights_are_views_and_must_stand_together() -> None:
    entries = [("a", (2, 4), True), ("b", (3, 4), True), ("c", (1, 5), True)]
    weights = FlatWeights(entries, dtype=torch.float32, device=CPU)
    stacked = weights.stacked(weights.master, ["a", "b"])
    stacked.fill_(1.0)
    assert stacked.shape == (5, 4)
    assert weights.master.sum() == 20
    with pytest.raises(ValueError, match="stand together"):
        weights.stacked(weights.master, ["a", "c"])


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_and_then_follows_its_schedule(schedule: str) -> None:
    rates = [
        learning_rate_at(step, peak=1.0, steps=20, warmup=4, schedule=schedule)
        for step in range(20)
    ]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == pytest.approx(1.0)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    last = {"cosine": 0.1, "linear": 1 / 16, "constant": 1.0}[schedule]
    assert rates[-1] == pytest.approx(last, abs=0.02)


def test_warm_up_is_a_share_below_one_and_steps_above() -> None:
    assert warmup_steps(0.1, 50) == 5
    assert warmup_steps(7, 50) == 7
    assert warmup_steps(100, 50) == 50
    assert math.isfinite(learning_rate_at(0, peak=1, steps=1, warmup=0, schedule="cosine"))
