"""What "auto" means: each value from a rule over the data, the model and the machine, with the reason's code.

The rules know sizes only, never a particular data set. CONTRIBUTING.md tells how they were found.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..bases import Base
from .rows import Rows
from .spec import AUTO, Spec

# A row longer than this is rare in support and news, and costs memory for all.
LONGEST_AUTO = {"cpu": 1024, "cuda": 2048}


@dataclass(frozen=True)
class Settings:
    """Every value resolved. `passes_*` bound one forward pass, `threads` is kept so that resuming is exact."""

    method: str
    rank: int
    alpha: float
    dropout: float
    optimizer: str
    learning_rate: float
    warmup: float
    schedule: str
    batch_size: int
    gradient_accumulation: int
    epochs: float
    weight_decay: float
    label_smoothing: float
    max_grad_norm: float
    max_length: int
    validation_every: int
    patience: int
    precision: str
    device: str
    threads: int
    pass_tokens: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.gradient_accumulation


class _Chooser:
    """Takes the given value or the rule's, and remembers why."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self.chosen: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def __call__(self, name: str, rule: Any, reason: str) -> Any:
        given = self._given.get(name, AUTO)
        self.chosen[name] = rule if given == AUTO else given
        self.reasons[name] = reason if given == AUTO else "given"
        return self.chosen[name]


def longest_allowed(spec: Spec, base: Base, device: str) -> int:
    """How long a row may be before the data are known: the given max_length, or what auto would allow."""
    given = spec.hyperparameters["max_length"]
    return min(base.context, LONGEST_AUTO[device] if given == AUTO else int(given))


def choose_settings(
    spec: Spec, base: Base, train: Rows, validation: Rows, *, device: str
) -> tuple[Settings, dict[str, str]]:
    """(settings, reasons) for a job. Depends on sizes alone, but for precision, which is measured."""
    choose = _Chooser(
        dict(spec.method) | dict(spec.hyperparameters) | {"precision": spec.precision}
    )
    method = str(spec.method["type"])
    full = method == "full"
    rows = len(train)
    learned = sum(example.learned for example in train.examples)

    rank = choose("rank", _rank(learned), "by_learned_tokens")
    choose("alpha", 2.0 * rank if method == "lora" else 8.0, "by_rank")
    choose("dropout", 0.0, "early_stopping_guards")
    choose("optimizer", "adamw", "default")
    choose("learning_rate", _learning_rate(base.hidden_size, full), "by_model_size")
    choose("schedule", "cosine", "default")
    batch = choose("batch_size", _batch(rows), "by_rows")
    accumulation = choose("gradient_accumulation", 1, "passes_fit_memory")
    epochs = choose("epochs", _epochs(train.tokens), "by_tokens")
    steps_per_epoch = math.ceil(rows / (batch * accumulation))
    steps = max(1, math.ceil(epochs * steps_per_epoch))
    choose("warmup", min(0.1, 10 / steps) if steps > 1 else 0.0, "by_steps")
    choose("weight_decay", 0.01, "default")
    choose("label_smoothing", 0.0, "default")
    choose("max_grad_norm", 1.0, "default")
    longest = max((len(e) for e in train.examples + validation.examples), default=8)
    choose("max_length", max(8, longest), "by_longest_row")
    choose(
        "validation_every",
        max(1, math.ceil(steps / _validations(rows, len(validation)))),
        "by_steps",
    )
    choose("patience", 3, "default")
    choose("precision", *_precision(device))
    settings = Settings(
        method=method,
        device=device,
        threads=int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()),
        # Two thousand tokens keep the matrix products large; more only needs memory on a CPU.
        pass_tokens=2048 if device == "cpu" else 16_384,
        **choose.chosen,
    )
    return settings, choose.reasons


def _rank(learned: int) -> int:
    """Room for what there is to learn: more tokens, more rank."""
    return 8 if learned < 5_000 else 16 if learned < 500_000 else 32 if learned < 5_000_000 else 64


def _learning_rate(hidden: int, full: bool) -> float:
    """Narrow models take larger steps; LoRA about ten times those of full fine-tuning."""
    rate = 5e-5 * (2000 / max(hidden, 1)) ** 0.8
    rate = min(rate, 2e-4) if full else 10 * min(rate, 3e-4)
    return float(f"{rate:.2g}")


def _batch(rows: int) -> int:
    """A power of two that leaves at least some fifty steps in an epoch."""
    return int(2 ** max(1, min(5, round(math.log2(max(rows, 1) / 50)))))


def _epochs(tokens: int) -> float:
    """Small data are read more often, large data once; about a hundred thousand tokens in between."""
    return float(max(1, min(4, round(100_000 / max(tokens, 1)))))


def _validations(rows: int, validation: int) -> int:
    """How many validations a run can afford: each costs about a third of its rows' training."""
    return max(2, min(10, round(rows / max(validation, 1) / 2)))


def _precision(device: str) -> tuple[str, str]:
    """bfloat16 where the hardware multiplies it and a small measurement does not say otherwise."""
    if device == "cuda":
        supported = torch.cuda.is_bf16_supported()
        return ("bfloat16", "cuda") if supported else ("float32", "bf16_not_supported")
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "float32", "bf16_not_supported"
    # Of several tries the best: a busy machine must not decide the precision.
    faster = _seconds(torch.bfloat16) < _seconds(torch.float32)
    return ("bfloat16", "bf16_is_faster") if faster else ("float32", "bf16_not_faster")


def _seconds(dtype: torch.dtype) -> float:
    left, right = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - start)
    return best
