"""The gate: what passes, what never does, and what it says."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_core.engine.evaluation.metrics import METRICS
from gpt_core.gate import GUARDS, TOLERANCES, Verdict, judge
from gpt_core.verdict_text import _SENTENCES, METRIC_NAMES, metric_name, sentence, summary

Report = dict[str, Any]


def difference(mean: float, spread: float = 0.1, n: int = 50) -> dict[str, Any]:
    return {"mean": mean, "low": mean - spread, "high": mean + spread, "n": n}


def report(
    *,
    base: float = 3.0,
    candidate: float = 2.0,
    champion: float | None = None,
    metric: str = "loss",
    spread: float = 0.1,
    n: int = 50,
    **guarded: float,
) -> Report:
    """An evaluation's report with one metric, well-behaved guards and intervals of one width."""
    models = {"base": base, "candidate": candidate}
    if champion is not None:
        models["champion"] = champion
    return {
        "n": n,
        "metrics": {name: {"better": METRICS[name]} for name in (metric, *GUARDS)},
        "models": {
            name: {metric: value, **dict.fromkeys(GUARDS, 0.01)}
            | (guarded if name == "candidate" else {})
            for name, value in models.items()
        },
        "differences": {
            f"candidate_minus_{name}": {
                metric: difference(candidate - value, 0.0 if value == candidate else spread, n)
            }
            for name, value in models.items()
            if name != "candidate"
        },
    }


def codes(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons}


def test_a_checkpoint_surely_better_than_the_base_passes_where_nothing_serves() -> None:
    verdict = judge(report())
    assert verdict.passed
    assert {"enough_rows", "better_than_base", "no_champion", "guard_held"} == codes(verdict)
    assert verdict.against == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"candidate": 2.95}, "not_surely_better_than_base"),
        ({"candidate": 3.2}, "worse_than_base"),
        ({"n": 29}, "too_few_rows"),
        ({"champion": 1.9}, "worse_than_champion"),
        ({"champion": 2.01}, "perhaps_worse_than_champion"),
        ({"overlong_share": 0.9}, "guard_collapsed"),
        ({"repetition": 0.9}, "guard_collapsed"),
        ({"empty_share": 0.9}, "guard_collapsed"),
        ({"copied_share": 0.9}, "guard_collapsed"),
        ({"candidate": math.nan}, "figures_missing"),
        ({"repetition": math.nan}, "figures_missing"),
    ],
)
def test_it_says_why_not(changes: dict[str, Any], code: str) -> None:
    verdict = judge(report(**changes))
    assert not verdict.passed
    assert code in {reason.code for reason in verdict.against}


def test_higher_is_better_where_the_metric_says_so() -> None:
    assert judge(report(metric="chrf", base=20, candidate=40), main_metric="chrf").passed
    worse = judge(report(metric="chrf", base=40, candidate=20), main_metric="chrf")
    assert "worse_than_base" in codes(worse)


def test_a_metric_without_a_better_direction_cannot_decide() -> None:
    for metric in ("distinct_1", "vibes"):
        verdict = judge(report(), main_metric=metric)
        assert not verdict.passed
        assert codes(verdict) == {"main_metric_unusable"}


def test_a_candidate_that_rambles_less_than_a_rambling_base_may_pass() -> None:
    rambling = report(overlong_share=0.4)
    rambling["models"]["base"]["overlong_share"] = 0.7
    assert judge(rambling).passed


def test_a_worse_slice_is_noted_and_does_not_decide() -> None:
    sliced = report()
    part = report(candidate=3.5)
    sliced["slices"] = {"language": {"zh": {"n": 12, **part}}}
    verdict = judge(sliced)
    assert verdict.passed
    note = next(reason for reason in verdict.reasons if reason.code == "slice_worse")
    assert note.effect == "note"
    assert note.figures["value"] == "zh"


values = st.floats(0.1, 10, allow_nan=False)
spreads = st.floats(0.001, 2)


@given(base=values, candidate=values, spread=spreads, n=st.integers(30, 500))
@settings(max_examples=200, deadline=None)
def test_a_candidate_equal_to_the_champion_passes_if_it_beats_the_base(
    base: float, candidate: float, spread: float, n: int
) -> None:
    alone = judge(report(base=base, candidate=candidate, spread=spread, n=n))
    beside = judge(report(base=base, candidate=candidate, champion=candidate, spread=spread, n=n))
    assert beside.passed == alone.passed
    assert alone.passed == (base - candidate - spread > 0)


@given(candidate=values, worse_by=st.floats(1e-6, 5), spread=spreads)
@settings(max_examples=200, deadline=None)
def test_a_candidate_worse_than_the_champion_never_passes(
    candidate: float, worse_by: float, spread: float
) -> None:
    found = report(base=100, candidate=candidate + worse_by, champion=candidate, spread=spread)
    assert not judge(found).passed


@given(st.randoms(use_true_random=False), values, values)
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_report_changes_nothing(
    order: random.Random, candidate: float, champion: float
) -> None:
    found = report(candidate=candidate, champion=champion)
    found["slices"] = {
        kind: {value: {"n": 10, **report(candidate=3.5)} for value in ("a", "b", "c")}
        for kind in ("label", "language")
    }
    assert judge(_shuffled(found, order)) == judge(found)


def _shuffled(document: Any, order: random.Random) -> Any:
    if not isinstance(document, dict):
        return document
    keys = list(document)
    order.shuffle(keys)
    return {key: _shuffled(document[key], order) for key in keys}


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_figure_that_is_not_finite_or_absent_never_passes(data: st.DataObject) -> None:
    found = report(champion=2.5)
    paths = [
        *(("models", name, "loss") for name in ("base", "candidate", "champion")),
        *(("models", "candidate", name) for name in GUARDS),
        *(("models", "champion", name) for name in GUARDS),
        *(
            ("differences", f"candidate_minus_{name}", "loss", figure)
            for name in ("base", "champion")
            for figure in ("mean", "low", "high")
        ),
    ]
    assert judge(found).passed
    *folder, last = data.draw(st.sampled_from(paths))
    broken = copy.deepcopy(found)
    place = broken
    for name in folder:
        place = place[name]
    poison = data.draw(
        st.sampled_from([math.nan, math.inf, -math.inf, None, "2.0", True, "absent"])
    )
    if poison == "absent":
        del place[last]
    else:
        place[last] = poison
    assert not judge(broken).passed


@pytest.mark.parametrize("empty", [{}, {"models": None}, {"metrics": [], "differences": 3}])
def test_a_report_of_nothing_never_passes(empty: Any) -> None:
    assert not judge(empty).passed


def test_every_metric_that_can_decide_has_a_tolerance() -> None:
    deciding = {name for name, better in METRICS.items() if better != "neither"} - set(GUARDS)
    assert deciding == set(TOLERANCES)


def test_a_verdict_survives_being_kept_as_json() -> None:
    verdict = judge(report(champion=2.5))
    assert Verdict.from_dict(verdict.as_dict()) == verdict


EVERY_REPORT = [
    report(),
    report(n=3),
    report(candidate=3.2),
    report(candidate=2.95),
    report(champion=2.5),
    report(champion=2.0),
    report(champion=1.9),
    report(champion=2.01),
    report(repetition=0.9, candidate=math.nan),
    {**report(), "slices": {"label": {"退款": {"n": 10, **report(candidate=4.0)}}}},
    {},
]


def test_every_reason_has_a_sentence_with_all_its_figures() -> None:
    seen = set()
    for found in EVERY_REPORT:
        for reason in judge(found).reasons:
            seen.add(reason.code)
            said = sentence(reason)
            assert said != reason.code
            assert "%(" not in said
            assert "–" not in said
    assert seen == set(_SENTENCES)


def test_sentences_name_the_figures_in_the_readers_language() -> None:
    reason = next(reason for reason in judge(report()).reasons if reason.code == "better_than_base")
    with translation.override("en"):
        assert "loss 2.000 against 3.000" in sentence(reason)
        assert "with 95% certainty" in sentence(reason)
        assert "may be promoted" in summary(judge(report()))
        assert "should not" in summary(judge({}))


def test_every_metric_has_a_name_and_an_unknown_code_is_shown_as_it_is() -> None:
    assert set(METRIC_NAMES) == set(METRICS)
    assert metric_name("of_a_later_version") == "of_a_later_version"
