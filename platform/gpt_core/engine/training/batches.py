"""Which rows make which step: a pure function of seed and step, so that resuming needs no sampler state."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from .rows import Example


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed mixed from its parts, the same on every machine and in every process."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class StepPlan:
    """Every epoch is a fresh permutation, cut into steps of `rows_per_step` rows (the last one shorter)."""

    def __init__(self, rows: int, rows_per_step: int, epochs: float, seed: int) -> None:
        self.rows = rows
        self.rows_per_step = rows_per_step
        self.steps_per_epoch = math.ceil(rows / rows_per_step)
        self.steps = max(1, math.ceil(epochs * self.steps_per_epoch - 1e-9))
        self._seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def rows_of(self, step: int) -> list[int]:
        """The row numbers of a step, counted from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = list(range(self.rows))
            random.Random(seed_of("order", self._seed, epoch)).shuffle(self._order)
        start = within * self.rows_per_step
        return self._order[start : start + self.rows_per_step]


def cut_into_passes(
    examples: Sequence[Example], *, most_rows: int, most_tokens: int
) -> list[list[Example]]:
    """Split the rows of a step into forward passes of similar lengths that fit the memory.

    Gradients add up over passes, so the result is that of one large pass. Rows of one length stand together,
    because attention is padded within a pass (nothing else is).
    """
    passes: list[list[Example]] = []
    tokens = 0
    for example in sorted(examples, key=len):
        full = passes and (len(passes[-1]) >= most_rows or tokens + len(example) > most_tokens)
        if not passes or full:
            passes.append([])
            tokens = 0
        passes[-1].append(example)
        tokens += len(example)
    return passes


def share_of_worker(examples: Sequence[Example], rank: int, workers: int) -> list[Example]:
    """The rows that one of several processes takes: every `workers`-th, longest first for an even load."""
    return sorted(examples, key=len, reverse=True)[rank::workers]
