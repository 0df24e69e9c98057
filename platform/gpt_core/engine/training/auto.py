"""What "auto" means: each value from a rule over the data, the model and the machine, with the reason's code.

The rules themselves stand in gpt_core.auto_rules, for the pages explain them before a job begins.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ... import auto_rules
from ..bases import Base
from .rows import Rows
from .spec import AUTO, Spec


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
    return min(base.context, auto_rules.LONGEST[device] if given == AUTO else int(given))


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

    rank = choose("rank", auto_rules.rank(learned), "by_learned_tokens")
    choose("alpha", auto_rules.alpha(rank, method), "by_rank")
    choose("dropout", auto_rules.DROPOUT, "early_stopping_guards")
    choose("optimizer", auto_rules.OPTIMIZER, "default")
    rate, reason = auto_rules.learning_rate(base.hidden_size, full=full), "by_model_size"
    multiplier = spec.hyperparameters["learning_rate_multiplier"]
    if multiplier != AUTO:
        rate, reason = rate * float(multiplier), "by_model_size_times_given"
    choose("learning_rate", rate, reason)
    choose("schedule", auto_rules.SCHEDULE, "default")
    batch = choose("batch_size", auto_rules.batch(rows), "by_rows")
    accumulation = choose("gradient_accumulation", auto_rules.ACCUMULATION, "passes_fit_memory")
    epochs = choose("epochs", auto_rules.epochs(train.tokens), "by_tokens")
    steps = auto_rules.steps(rows, batch * accumulation, epochs)
    choose("warmup", auto_rules.warmup(steps), "by_steps")
    choose("weight_decay", auto_rules.WEIGHT_DECAY, "default")
    choose("label_smoothing", auto_rules.LABEL_SMOOTHING, "default")
    choose("max_grad_norm", auto_rules.MAX_GRAD_NORM, "default")
    longest = max((len(e) for e in train.examples + validation.examples), default=8)
    choose("max_length", max(8, longest), "by_longest_row")
    every = auto_rules.validation_every(steps, rows, len(validation))
    choose("validation_every", every, "by_steps")
    choose("patience", auto_rules.PATIENCE, "default")
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
