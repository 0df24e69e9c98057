"""The paired bootstrap: how far a difference could be luck of the rows drawn.

The rows of the test split are drawn again with replacement, 10,000 times, the same rows for every
model, and each figure is computed anew from what was drawn (Efron 1979; for comparing two systems
on one test set, Koehn 2004). The 2.5th and 97.5th percentiles of the differences are the
interval. Nothing is assumed about the shape of the figures, and a row that is hard for both
models cancels out.

Every figure is a function of sums over rows, so that a resample is a vector of how often each row
was drawn and ten thousand of them are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RESAMPLES = 10_000
LOW, HIGH = 2.5, 97.5
# Weights of one block of resamples: at most about 64 MB however many rows there are.
_BLOCK_CELLS = 8_000_000


@dataclass(frozen=True)
class Ratio:
    """A figure that is one sum over rows divided by another, such as loss per learned token.

    A plain mean over rows has ones below; a row that does not count (a row without labels, say)
    has zero in both.
    """

    over: Floats  # [n]
    under: Floats  # [n]
    #: Take the exponential of the ratio: perplexity, whose interval is that of the loss.
    exponential: bool = False

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.under))

    def columns(self) -> Floats:
        return np.stack([self.over, self.under], axis=1)

    def value(self, sums: Floats) -> Floats:
        """[k, 2] sums of k draws -> [k] figures; NaN where a draw holds no row that counts."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
            return np.exp(ratio) if self.exponential else ratio


@dataclass(frozen=True)
class MacroF1:
    """F1 of each label, averaged over the labels that occur in what was drawn, in the truth or in
    the prediction (as scikit-learn's `f1_score(average="macro")` has it)."""

    hits: Floats  # [n, labels] true and predicted
    wrong: Floats  # [n, labels] in one of the two alone: false positives and false negatives
    counts: Floats  # [n] 1 where the row carries labels

    exponential = False

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.counts))

    def columns(self) -> Floats:
        return np.concatenate([self.hits, self.wrong], axis=1)

    def value(self, sums: Floats) -> Floats:
        """[k, 2 * labels] -> [k]"""
        labels = self.hits.shape[1]
        hits, wrong = sums[:, :labels], sums[:, labels:]
        size = 2 * hits + wrong
        occurs = size > 0
        f1 = np.divide(2 * hits, size, out=np.zeros_like(size), where=occurs)
        number = occurs.sum(axis=1)
        return np.divide(f1.sum(axis=1), number, out=np.full(len(sums), np.nan), where=number > 0)


Statistic = Ratio | MacroF1


def mean_of(values: npt.ArrayLike) -> Ratio:
    """A plain mean over rows. A NaN marks a row that does not count."""
    array = np.asarray(values, dtype=np.float64)
    counts = ~np.isnan(array)
    return Ratio(np.where(counts, array, 0.0), counts.astype(np.float64))


def point(statistic: Statistic) -> float:
    """The figure on the rows as they are; NaN where no row counts."""
    return float(statistic.value(statistic.columns().sum(axis=0, keepdims=True))[0])


def compare(
    ours: Mapping[str, Statistic],
    theirs: Mapping[str, Statistic],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, float | int]]:
    """Metric -> {"mean", "low", "high", "n"} of ours minus theirs, over the same rows.

    `mean` is the difference on the rows as they are, not the middle of the resamples. A metric
    that fewer than two rows carry, or that one side lacks, is left out: an interval from one
    row would be a point that looks certain.
    """
    names = [
        name for name in ours if name in theirs and min(ours[name].rows, theirs[name].rows) >= 2
    ]
    if not names:
        return {}
    pairs = [(ours[name], theirs[name]) for name in names]
    blocks = [(mine.columns(), other.columns()) for mine, other in pairs]
    stacked = np.concatenate([part for block in blocks for part in block], axis=1)  # [n, columns]
    differences = np.empty((len(names), resamples))
    for start, weights in _draws(len(stacked), resamples, seed):
        sums = weights @ stacked  # [block, columns]
        at = 0
        for number, (mine, other) in enumerate(pairs):
            middle = at + blocks[number][0].shape[1]
            end = middle + blocks[number][1].shape[1]
            differences[number, start : start + len(weights)] = mine.value(
                sums[:, at:middle]
            ) - other.value(sums[:, middle:end])
            at = end
    return {
        name: _interval(point(mine) - point(other), differences[number], min(mine.rows, other.rows))
        for number, (name, (mine, other)) in enumerate(zip(names, pairs, strict=True))
    }


def _interval(mean: float, draws: Floats, n: int) -> dict[str, float | int]:
    """A draw that held no row of the metric says nothing and is passed over."""
    said = draws[~np.isnan(draws)]
    low, high = np.percentile(said, [LOW, HIGH]) if len(said) else (np.nan, np.nan)
    return {"mean": mean, "low": float(low), "high": float(high), "n": n}


def _draws(rows: int, resamples: int, seed: int) -> Iterator[tuple[int, Floats]]:
    """(number of the first, how often each row was drawn [block, rows]) for block after block."""
    generator = np.random.default_rng(seed)
    size = max(1, min(resamples, _BLOCK_CELLS // rows))
    for start in range(0, resamples, size):
        block = min(size, resamples - start)
        drawn = generator.integers(0, rows, size=(block, rows))
        offsets = drawn + np.arange(block)[:, None] * rows
        counts = np.bincount(offsets.ravel(), minlength=block * rows)
        yield start, counts.reshape(block, rows).astype(np.float64)
