"""Before against after: an evaluation's report as the rows and the texts that a page shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from gpt_core.verdict_text import SLICE_NAMES, SLICE_VALUES, metric_name

# As a reader weighs them: what the model has learned, what it writes, what may go wrong.
ORDER = (
    "loss",
    "perplexity",
    "token_accuracy",
    "label_accuracy",
    "label_macro_f1",
    "rouge_l",
    "chrf",
    "exact_match",
    "distinct_1",
    "distinct_2",
    "repetition",
    "overlong_share",
    "empty_share",
    "copied_share",
)

# The drawing of an interval, in its own units: zero stands in the middle.
WIDTH, HEIGHT = 120, 16
_MIDDLE, _REACH = WIDTH / 2, WIDTH / 2 - 8

# A word, a Chinese character, a run of spaces, or one sign: what is compared one by one.
_PIECES = re.compile(r"[㐀-鿿豈-﫿]|[^\W㐀-鿿豈-﫿]+|\s+|.", re.DOTALL)
# Comparing is quadratic; beyond this a text is shown without marks.
MOST_PIECES = 800


@dataclass(frozen=True)
class Interval:
    """The difference candidate minus base with its 95 % interval, and where to draw it."""

    mean: float
    low: float
    high: float
    tone: str
    verdict: str
    icon: str

    @property
    def _scale(self) -> float:
        return _REACH / (max(abs(self.low), abs(self.high), abs(self.mean)) or 1.0)

    def _x(self, value: float) -> str:
        return f"{_MIDDLE + value * self._scale:.1f}"

    @property
    def x_low(self) -> str:
        return self._x(self.low)

    @property
    def x_mean(self) -> str:
        return self._x(self.mean)

    @property
    def band(self) -> str:
        return f"{max(2.0, (self.high - self.low) * self._scale):.1f}"


@dataclass(frozen=True)
class Row:
    """One metric: its name and the figures of each model."""

    metric: str
    name: str
    is_main: bool
    base: float | None
    candidate: float | None
    champion: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Slice:
    """A part of the held-out examples, such as one label, with the figure that decides."""

    kind: str
    value: str
    n: int
    before: float | None
    after: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Piece:
    """A stretch of a text; `same` where the expected answer has it too."""

    text: str
    same: bool


@dataclass(frozen=True)
class Sample:
    prompt: str
    reference: str
    base: list[Piece]
    candidate: list[Piece]
    champion: list[Piece] | None


def written(value: Any) -> str:
    """A figure in the active language: three decimals tell losses apart, tens need one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return "–"
    if isinstance(value, int):
        return str(number_format(value, force_grouping=True))
    return str(number_format(value, decimal_pos=3 if abs(value) < 10 else 1))


def rows_of(report: Mapping[str, Any], *, main_metric: str) -> list[Row]:
    """The metrics that were measured, the one that decides first."""
    models = report.get("models", {})
    differences = report.get("differences", {}).get("candidate_minus_base", {})
    known = [name for name in ORDER if name in models.get("candidate", {})]
    known.sort(key=lambda name: name != main_metric)
    return [
        Row(
            metric=name,
            name=metric_name(name),
            is_main=name == main_metric,
            base=models.get("base", {}).get(name),
            candidate=models["candidate"].get(name),
            champion=models.get("champion", {}).get(name),
            interval=_interval(differences.get(name), _direction(report, name)),
        )
        for name in known
    ]


def samples_of(report: Mapping[str, Any]) -> list[Sample]:
    """The stored examples, each answer marked where it agrees with the expected one."""
    return [_sample(sample) for sample in report.get("samples", [])]


def slices_of(report: Mapping[str, Any], *, metric: str) -> list[Slice]:
    """Parts of the held-out examples by the metric that decides; what fell comes first.

    Compared with what serves now, where something does, else with the base.
    """
    against = "champion" if "champion" in report.get("models", {}) else "base"
    better = _direction(report, metric)
    found = []
    for kind, values in report.get("slices", {}).items():
        for value, part in values.items():
            models = part.get("models", {})
            difference = part.get("differences", {}).get(f"candidate_minus_{against}", {})
            found.append(
                Slice(
                    kind=str(SLICE_NAMES.get(kind, kind)),
                    value=str(SLICE_VALUES.get((kind, value), value)),
                    n=part.get("n", 0),
                    before=models.get(against, {}).get(metric),
                    after=models.get("candidate", {}).get(metric),
                    interval=_interval(difference.get(metric), better),
                )
            )
    order = {"bad": 0, "": 1, "good": 2}
    return sorted(found, key=lambda one: order[one.interval.tone if one.interval else ""])


def words_in(text: str) -> list[str]:
    """The words of a text, its Chinese signs, and what stands between them."""
    return _PIECES.findall(text)


def pieces(text: str, reference: str) -> list[Piece]:
    """The text cut into stretches that the reference has, in that order, and stretches it has not."""
    ours, theirs = words_in(text), words_in(reference)
    if not ours or max(len(ours), len(theirs)) > MOST_PIECES:
        return [Piece(text, False)] if text else []
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    return list(_stretches(ours, matcher.get_matching_blocks()))


def _stretches(words: Sequence[str], blocks: Sequence[Any]) -> Iterator[Piece]:
    at = 0
    for block in blocks:
        if block.b > at:
            yield Piece("".join(words[at : block.b]), False)
        at = block.b + block.size
        shared = "".join(words[block.b : at])
        # A space or a comma in common says nothing.
        if shared:
            yield Piece(shared, any(character.isalnum() for character in shared))


def _sample(sample: Mapping[str, Any]) -> Sample:
    reference = str(sample.get("reference", ""))
    champion = sample.get("champion")
    return Sample(
        prompt=prompt_of(sample),
        reference=reference,
        base=pieces(str(sample.get("base", "")), reference),
        candidate=pieces(str(sample.get("candidate", "")), reference),
        champion=None if champion is None else pieces(str(champion), reference),
    )


def prompt_of(sample: Mapping[str, Any]) -> str:
    """What was asked: a text, or the last turn of a conversation."""
    prompt = sample.get("prompt", "")
    if isinstance(prompt, list):
        turns = [turn for turn in prompt if isinstance(turn, Mapping)]
        return str(turns[-1].get("content", "")) if turns else ""
    return str(prompt)


def _direction(report: Mapping[str, Any], metric: str) -> str:
    return str(report.get("metrics", {}).get(metric, {}).get("better", "neither"))


def _interval(difference: Mapping[str, Any] | None, better: str) -> Interval | None:
    if not difference:
        return None
    mean, low, high = (difference.get(name) for name in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return None
    if better == "neither":
        tone, verdict, icon = "", _("not judged"), "same"
    elif low <= 0 <= high:
        tone, verdict, icon = "", _("no sure difference"), "same"
    elif (mean > 0) == (better == "higher"):
        tone, verdict, icon = "good", _("better"), "up" if mean > 0 else "down"
    else:
        tone, verdict, icon = "bad", _("worse"), "up" if mean > 0 else "down"
    return Interval(mean, low, high, tone, verdict, icon)
