"""From what was measured row by row to the report that the gate and the pages read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..formats import reference_of
from .bootstrap import Ratio, Statistic, compare, mean_of, point
from .labels import Label, macro_f1
from .likelihood import Likelihood
from .metrics import METRICS
from .slices import question_of, slices_of
from .words import words_of

FORMAT = 1
#: Longer texts are cut in the samples: a page shows them side by side.
_SAMPLE_LETTERS = 4000


@dataclass
class Measured:
    """Everything measured of one model, row by row, in the order of the test rows."""

    likelihoods: Sequence[Likelihood] = ()
    answers: Sequence[str] = ()
    texts: Sequence[Mapping[str, float]] = ()  # per row: metric -> value, see text_metrics
    truths: Sequence[Label | None] = ()
    predictions: Sequence[Label | None] = field(default_factory=list)

    def statistics(self, positions: Sequence[int]) -> dict[str, Statistic]:
        """Every metric as a statistic over the rows at `positions`."""
        rows = [self.likelihoods[at] for at in positions]
        losses = np.array([row.loss_sum for row in rows])
        tokens = np.array([float(row.tokens) for row in rows])
        found: dict[str, Statistic] = {
            "loss": Ratio(losses, tokens),
            "perplexity": Ratio(losses, tokens, exponential=True),
            "token_accuracy": Ratio(np.array([float(row.correct) for row in rows]), tokens),
        }
        for name in METRICS:
            if self.texts and name in self.texts[0]:
                found[name] = mean_of([self.texts[at][name] for at in positions])
        truths = [self.truths[at] for at in positions]
        if any(truths):
            predictions = [self.predictions[at] for at in positions]
            right = [
                float("nan") if true is None else float(true == predicted)
                for true, predicted in zip(truths, predictions, strict=True)
            ]
            found["label_accuracy"] = mean_of(right)
            found["label_macro_f1"] = macro_f1(truths, predictions)
        return {name: found[name] for name in METRICS if name in found}

    def row_values(self, position: int) -> dict[str, Any]:
        """One row's figures, for the file that lets every figure be traced to rows."""
        likelihood = self.likelihoods[position]
        values: dict[str, Any] = {
            "loss": likelihood.loss_sum / likelihood.tokens,
            "token_accuracy": likelihood.correct / likelihood.tokens,
            "tokens": likelihood.tokens,
            **self.texts[position],
            "answer": self.answers[position],
        }
        if self.truths[position] is not None:
            values["label"] = list(self.predictions[position] or ())
        return values


def build_report(
    rows: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Measured],
    *,
    seed: int,
    samples: int,
) -> dict[str, Any]:
    """The report's figures; `measured` holds "base", "candidate" and, if any, "champion"."""
    everything = range(len(rows))
    report = {
        "format": FORMAT,
        "n": len(rows),
        **_figures(measured, everything, seed),
        "slices": {
            kind: {
                value: {"n": len(positions), **_figures(measured, positions, seed)}
                for value, positions in values.items()
            }
            for kind, values in slices_of(rows).items()
        },
        "samples": [_sample(rows[at], at, measured) for at in _sample_positions(rows, samples)],
    }
    names = report["models"]["candidate"]
    report["metrics"] = {name: {"better": METRICS[name]} for name in METRICS if name in names}
    return report


def _figures(
    measured: Mapping[str, Measured], positions: Sequence[int], seed: int
) -> dict[str, Any]:
    statistics = {name: model.statistics(positions) for name, model in measured.items()}
    return {
        "models": {
            name: {metric: point(statistic) for metric, statistic in found.items()}
            for name, found in statistics.items()
        },
        "differences": {
            f"candidate_minus_{other}": compare(
                statistics["candidate"], statistics[other], seed=seed
            )
            for other in statistics
            if other != "candidate"
        },
    }


def _sample_positions(rows: Sequence[Mapping[str, Any]], number: int) -> list[int]:
    """Rows spread evenly over the lengths of their references, shortest first: the same rows for
    every checkpoint of a dataset version, and no favourites."""
    order = sorted(range(len(rows)), key=lambda at: (len(words_of(reference_of(rows[at]))), at))
    if number >= len(order):
        return order
    return [order[int((step + 0.5) * len(order) / number)] for step in range(number)]


def _sample(
    row: Mapping[str, Any], position: int, measured: Mapping[str, Measured]
) -> dict[str, Any]:
    sample = {
        "id": str(row.get("id", position)),
        "prompt": question_of(row)[:_SAMPLE_LETTERS],
        "reference": reference_of(row)[:_SAMPLE_LETTERS],
    }
    for name, model in measured.items():
        sample[name] = model.answers[position][:_SAMPLE_LETTERS]
    return sample
