"""The gate: may this checkpoint take the place of the one that serves?

It reads an evaluation's report and nothing else, so that a verdict can be given again, and checked,
from the report that was kept. Codes and figures only; `verdict_text` has the sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Effect = Literal["for", "against", "note"]

#: How much worse than the champion the interval may reach, in the metric's own unit. A candidate
#: as good as the champion has an interval around zero: without some tolerance, equals would need
#: endless rows. 0.05 nats are 5 % of perplexity; 2 points of a hundred for the rest.
TOLERANCES: dict[str, float] = {
    "loss": 0.05,
    "perplexity": 0.5,
    "token_accuracy": 0.02,
    "rouge_l": 0.02,
    "chrf": 2.0,
    "exact_match": 0.02,
    "label_accuracy": 0.02,
    "label_macro_f1": 0.02,
}


@dataclass(frozen=True)
class Guard:
    """A metric that nobody optimises and that must not collapse.

    It stops a promotion where the candidate is above `limit` and also above what stands there
    now (the champion, else the base) by more than `slack`: a base that rambles is no reason to
    refuse a candidate that rambles less.
    """

    limit: float
    slack: float


GUARDS: dict[str, Guard] = {
    # One answer in five that never ends is a fault that every visitor meets within a day.
    "overlong_share": Guard(limit=0.20, slack=0.05),
    # Written English of this length repeats under 0.05 of its 4-grams; loops have above 0.5.
    "repetition": Guard(limit=0.30, slack=0.05),
    "empty_share": Guard(limit=0.05, slack=0.02),
    # A third of every answer copied from some other customer's answer is recitation, not reply.
    "copied_share": Guard(limit=0.33, slack=0.10),
}


@dataclass(frozen=True)
class Reason:
    """One thing that was looked at: a stable code, which way it counts, and its figures."""

    code: str
    effect: Effect
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "effect": self.effect, "figures": dict(self.figures)}


@dataclass(frozen=True)
class Verdict:
    """Passed or not, with every reason for and against in a fixed order."""

    passed: bool
    main_metric: str
    reasons: tuple[Reason, ...]

    @property
    def against(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.effect == "against")

    @property
    def in_favour(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.effect == "for")

    def as_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "main_metric": self.main_metric,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Verdict:
        return cls(
            bool(document["passed"]),
            str(document["main_metric"]),
            tuple(
                Reason(reason["code"], reason["effect"], reason["figures"])
                for reason in document["reasons"]
            ),
        )


def judge(
    report: Mapping[str, Any],
    *,
    main_metric: str = "loss",
    minimum_n: int = 30,
    tolerance: float | None = None,
) -> Verdict:
    """The verdict on the candidate of an evaluation report.

    It passes only if, on the main metric, the whole interval of the difference to the base is on
    the better side; the difference to the champion, where there is one, is not on the worse side
    and its interval reaches no further than `tolerance` into it; no guarded metric collapses;
    and at least `minimum_n` rows carry the metric. A figure that is absent or not finite counts
    against: what was not measured is not good.
    """
    if tolerance is None:
        tolerance = TOLERANCES.get(main_metric, 0.0)
    reasons = tuple(_reasons(report, main_metric, minimum_n, tolerance))
    passed = not any(reason.effect == "against" for reason in reasons)
    return Verdict(passed, main_metric, reasons)


def _reasons(
    report: Mapping[str, Any], metric: str, minimum_n: int, tolerance: float
) -> Iterator[Reason]:
    direction = _mapping(_mapping(report, "metrics"), metric).get("better")
    if direction not in ("higher", "lower"):
        yield Reason("main_metric_unusable", "against", {"metric": metric})
        return
    yield from _enough_rows(report, metric, minimum_n)
    yield from _better_than_base(report, metric, direction)
    if "champion" in _mapping(report, "models"):
        yield from _not_worse_than_champion(report, metric, direction, tolerance)
    else:
        yield Reason("no_champion", "note", {})
    for guarded in GUARDS:
        yield from _no_collapse(report, guarded)
    yield from _worse_slices(report, metric, direction)


def _enough_rows(report: Mapping[str, Any], metric: str, minimum_n: int) -> Iterator[Reason]:
    difference = _mapping(_mapping(_mapping(report, "differences"), "candidate_minus_base"), metric)
    n = difference.get("n", 0)
    n = n if isinstance(n, int) and not isinstance(n, bool) else 0
    figures = {"metric": metric, "n": n, "minimum": minimum_n}
    enough = n >= minimum_n
    yield (
        Reason("enough_rows", "for", figures)
        if enough
        else Reason("too_few_rows", "against", figures)
    )


def _better_than_base(report: Mapping[str, Any], metric: str, direction: str) -> Iterator[Reason]:
    compared = _Compared.of(report, "base", metric, direction)
    if compared is None:
        yield Reason("figures_missing", "against", {"metric": metric, "against": "base"})
    elif compared.low > 0 and compared.mean > 0:
        yield Reason("better_than_base", "for", compared.figures)
    elif compared.high < 0:
        yield Reason("worse_than_base", "against", compared.figures)
    else:
        yield Reason("not_surely_better_than_base", "against", compared.figures)


def _not_worse_than_champion(
    report: Mapping[str, Any], metric: str, direction: str, tolerance: float
) -> Iterator[Reason]:
    compared = _Compared.of(report, "champion", metric, direction)
    if compared is None:
        yield Reason("figures_missing", "against", {"metric": metric, "against": "champion"})
        return
    figures = {**compared.figures, "tolerance": tolerance}
    if compared.mean < 0:
        yield Reason("worse_than_champion", "against", figures)
    elif not compared.low > -tolerance:
        yield Reason("perhaps_worse_than_champion", "against", figures)
    elif compared.low > 0:
        yield Reason("better_than_champion", "for", figures)
    else:
        yield Reason("as_good_as_champion", "for", figures)


def _no_collapse(report: Mapping[str, Any], metric: str) -> Iterator[Reason]:
    models = _mapping(report, "models")
    standing = "champion" if "champion" in models else "base"
    candidate = _finite(_mapping(models, "candidate").get(metric))
    reference = _finite(_mapping(models, standing).get(metric))
    if candidate is None or reference is None:
        yield Reason("figures_missing", "against", {"metric": metric, "against": standing})
        return
    guard = GUARDS[metric]
    figures = {
        "metric": metric,
        "candidate": candidate,
        standing: reference,
        "limit": guard.limit,
        "against": standing,
    }
    collapsed = candidate > guard.limit and candidate > reference + guard.slack
    yield (
        Reason("guard_collapsed", "against", figures)
        if collapsed
        else Reason("guard_held", "for", figures)
    )


def _worse_slices(report: Mapping[str, Any], metric: str, direction: str) -> Iterator[Reason]:
    """Notes, not refusals: with many slices some are worse by luck, but a person should look.

    (The share of the whole that was measured decides; the page shows these beside it.)
    """
    against = "champion" if "champion" in _mapping(report, "models") else "base"
    slices = _mapping(report, "slices")
    for kind in sorted(slices):
        values = _mapping(slices, kind)
        for value in sorted(values):
            compared = _Compared.of(_mapping(values, value), against, metric, direction)
            if compared is not None and compared.high < 0:
                yield Reason(
                    "slice_worse", "note", {**compared.figures, "slice": kind, "value": value}
                )


@dataclass(frozen=True)
class _Compared:
    """A difference turned so that more is better, beside its figures as the report has them."""

    mean: float
    low: float
    high: float
    figures: Mapping[str, Any]

    @classmethod
    def of(
        cls, report: Mapping[str, Any], other: str, metric: str, direction: str
    ) -> _Compared | None:
        """None where a figure is absent, not finite, or contradicts its interval's order."""
        models = _mapping(report, "models")
        difference = _mapping(
            _mapping(_mapping(report, "differences"), f"candidate_minus_{other}"), metric
        )
        candidate = _finite(_mapping(models, "candidate").get(metric))
        reference = _finite(_mapping(models, other).get(metric))
        mean, low, high = (_finite(difference.get(name)) for name in ("mean", "low", "high"))
        if candidate is None or reference is None or mean is None or low is None or high is None:
            return None
        if low > high:
            return None
        figures = {
            "metric": metric,
            "against": other,
            "candidate": candidate,
            other: reference,
            "mean": mean,
            "low": low,
            "high": high,
        }
        if direction == "lower":
            mean, low, high = -mean, -high, -low
        return cls(mean, low, high, figures)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
