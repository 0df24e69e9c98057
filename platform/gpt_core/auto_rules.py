"""What "auto" means where only sizes decide: plain arithmetic that the trainer and the pages share.

The rules know sizes only, never a particular data set. CONTRIBUTING.md tells how they were found. This module
imports nothing of either side of the engine's wall.
"""

from __future__ import annotations

import math

DROPOUT = 0.0
OPTIMIZER = "adamw"
SCHEDULE = "cosine"
ACCUMULATION = 1
WEIGHT_DECAY = 0.01
LABEL_SMOOTHING = 0.0
MAX_GRAD_NORM = 1.0
PATIENCE = 3
WARMUP_STEPS = 10
# A row longer than this is rare in support and news, and costs memory for all.
LONGEST = {"cpu": 1024, "cuda": 2048}


def rank(learned: int) -> int:
    """Room for what there is to learn: more tokens, more rank."""
    return 8 if learned < 5_000 else 16 if learned < 500_000 else 32 if learned < 5_000_000 else 64


def alpha(rank: int, method: str) -> float:
    """Twice the rank; rank-stabilised LoRA divides by its root, so there it stays the same."""
    return 2.0 * rank if method == "lora" else 8.0


def learning_rate(hidden: int, *, full: bool) -> float:
    """Narrow models take larger steps; LoRA about ten times those of full fine-tuning."""
    rate = 5e-5 * (2000 / max(hidden, 1)) ** 0.8
    rate = min(rate, 2e-4) if full else 10 * min(rate, 3e-4)
    return float(f"{rate:.2g}")


def batch(rows: int) -> int:
    """A power of two that leaves at least some fifty steps in an epoch."""
    return int(2 ** max(1, min(5, round(math.log2(max(rows, 1) / 50)))))


def epochs(tokens: float) -> float:
    """Small data are read more often, large data once; about a hundred thousand tokens in between."""
    return float(max(1, min(4, round(100_000 / max(tokens, 1)))))


def steps(rows: int, rows_per_step: int, epochs: float) -> int:
    return max(1, math.ceil(epochs * math.ceil(rows / rows_per_step)))


def warmup(steps: int) -> float:
    """As a share: the first ten steps, and never more than a tenth."""
    return min(0.1, WARMUP_STEPS / steps) if steps > 1 else 0.0


def validations(rows: int, validation: int) -> int:
    """How many validations a run can afford: each costs about a third of its rows' training."""
    return max(2, min(10, round(rows / max(validation, 1) / 2)))


def validation_every(steps: int, rows: int, validation: int) -> int:
    return max(1, math.ceil(steps / validations(rows, validation)))
