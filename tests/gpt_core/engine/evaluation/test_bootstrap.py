"""The paired bootstrap: right values, honest intervals, the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from gpt_core.engine.evaluation.bootstrap import (
    MacroF1,
    Ratio,
    compare,
    mean_of,
    point,
)
from gpt_core.engine.evaluation.labels import macro_f1


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly_the_same() -> None:
    generator = np.random.default_rng(0)
    ours, theirs = mean_of(generator.normal(1, 1, 80)), mean_of(generator.normal(0, 1, 80))
    first = compare({"loss": ours}, {"loss": theirs}, seed=1)
    assert first == compare({"loss": ours}, {"loss": theirs}, seed=1)
    other = compare({"loss": ours}, {"loss": theirs}, seed=2)
    assert other["loss"]["low"] == pytest.approx(first["loss"]["low"], abs=0.05)


def test_the_interval_is_that_of_resampling_one_by_one() -> None:
    generator = np.random.default_rng(3)
    over, under = generator.gamma(2, 3, 25), generator.integers(1, 9, 25).astype(float)
    zero = Ratio(np.zeros(25), under)
    fast = compare({"loss": Ratio(over, under)}, {"loss": zero}, seed=5, resamples=4000)["loss"]
    draws = np.random.default_rng(5).integers(0, 25, (4000, 25))
    slow = [over[rows].sum() / under[rows].sum() for rows in draws]
    assert fast["mean"] == pytest.approx(over.sum() / under.sum())
    assert fast["low"] == pytest.approx(np.percentile(slow, 2.5))
    assert fast["high"] == pytest.approx(np.percentile(slow, 97.5))


def test_the_interval_of_a_mean_is_near_the_one_that_theory_gives() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    found = compare({"m": mean_of(values)}, {"m": mean_of(np.zeros(400))}, seed=0)["m"]
    half = 1.96 * values.std() / math.sqrt(400)
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.01)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.01)


def test_what_is_hard_for_both_cancels_out() -> None:
    hard = np.random.default_rng(2).normal(5, 3, 50)
    found = compare({"m": mean_of(hard + 0.1)}, {"m": mean_of(hard)}, seed=0)["m"]
    assert found["low"] == pytest.approx(0.1)
    assert found["high"] == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_rows_give_no_interval(values: list[float]) -> None:
    assert compare({"m": mean_of(values)}, {"m": mean_of(values)}, seed=0) == {}


def test_rows_that_do_not_count_are_neither_in_the_value_nor_in_n() -> None:
    found = compare(
        {"m": mean_of([1.0, math.nan, 3.0])}, {"m": mean_of([0.0, math.nan, 0.0])}, seed=0
    )
    assert found["m"]["mean"] == 2.0
    assert found["m"]["n"] == 2


def test_the_interval_of_perplexity_comes_through_the_loss() -> None:
    under = np.ones(40)
    over = np.random.default_rng(4).normal(2.0, 0.3, 40)
    ours, theirs = Ratio(over, under, exponential=True), Ratio(over + 1, under, exponential=True)
    found = compare({"perplexity": ours}, {"perplexity": theirs}, seed=0)["perplexity"]
    mean = over.mean()
    assert found["mean"] == pytest.approx(math.exp(mean) - math.exp(mean + 1))
    assert found["low"] < found["mean"] < found["high"] < 0


labels = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30
)


@given(labels)
@settings(max_examples=60, deadline=None)
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truths, predictions = [(true,) for true, _ in pairs], [(said,) for _, said in pairs]
    expected = f1_score([t for t, _ in pairs], [p for _, p in pairs], average="macro")
    assert point(macro_f1(truths, predictions)) == pytest.approx(expected)


def test_macro_f1_passes_over_rows_without_labels_and_splits_joined_ones() -> None:
    statistic = macro_f1([("账单", "退款"), None, ("退款",)], [("账单",), None, ("退款",)])
    assert isinstance(statistic, MacroF1)
    assert statistic.rows == 2
    # 账单: 1 hit; 退款: 1 hit and 1 miss
    assert point(statistic) == pytest.approx((1.0 + 2 / 3) / 2)


def test_ten_thousand_resamples_of_a_thousand_rows_take_little_time_and_memory() -> None:
    values = np.random.default_rng(0).normal(size=(12, 1000))
    ours = {str(number): mean_of(row) for number, row in enumerate(values)}
    theirs = {str(number): mean_of(row + 0.1) for number, row in enumerate(values)}
    found = compare(ours, theirs, seed=0)
    assert all(figures["high"] < 0 for figures in found.values())
