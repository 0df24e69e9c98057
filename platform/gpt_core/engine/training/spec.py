"""What a job asks for: `spec.json`, read strictly. Every number has a range, checked before any work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..files import read_json

FORMAT = 1
AUTO = "auto"
Number = int | float


@dataclass(frozen=True)
class Range:
    """What a numeric parameter may be."""

    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """The words a parameter may be."""

    words: tuple[str, ...]


# Server maxima: no job may ask for more, whoever sends it.
METHOD_LIMITS: dict[str, Range | Choice] = {
    "type": Choice(("lora", "rslora", "full")),
    "rank": Range(1, 256, whole=True),
    "alpha": Range(0.01, 4096),
    "dropout": Range(0.0, 0.9),
}
LIMITS: dict[str, Range | Choice] = {
    "optimizer": Choice(("adamw", "sgd")),
    "learning_rate": Range(1e-8, 1.0),
    # Of the rate that "auto" would choose.
    "learning_rate_multiplier": Range(0.001, 100),
    # Below 1 a share of all steps, from 1 on a number of steps.
    "warmup": Range(0.0, 100_000),
    "schedule": Choice(("cosine", "linear", "constant")),
    "batch_size": Range(1, 1024, whole=True),
    "gradient_accumulation": Range(1, 1024, whole=True),
    "epochs": Range(0.01, 100),
    "weight_decay": Range(0.0, 1.0),
    "label_smoothing": Range(0.0, 0.5),
    # 0 switches clipping off, and patience 0 early stopping.
    "max_grad_norm": Range(0.0, 1000),
    "max_length": Range(8, 1_048_576, whole=True),
    "validation_every": Range(1, 1_000_000, whole=True),
    "patience": Range(0, 10_000, whole=True),
}
_KEYS = frozenset(
    {
        "format",
        "base",
        "method",
        "hyperparameters",
        "seed",
        "precision",
        "fencing_token",
        "checkpoint_every_seconds",
    }
)


@dataclass(frozen=True)
class Spec:
    """A checked job. In `method` and `hyperparameters` each value may still be "auto"."""

    base: Path
    method: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    seed: int
    precision: str
    fencing_token: int
    checkpoint_every_seconds: float

    def identity(self) -> dict[str, Any]:
        """What decides the result: two specs with the same identity may share resume state."""
        return {
            "method": dict(self.method),
            "hyperparameters": dict(self.hyperparameters),
            "seed": self.seed,
            "precision": self.precision,
        }


def read_spec(path: Path) -> Spec:
    """The job's spec. Raises EngineError("invalid_parameter") with a JSON pointer to what is wrong."""
    try:
        document = read_json(path)
    except OSError as error:
        raise EngineError("invalid_parameter", f"no {path.name}: {error}") from error
    if not isinstance(document, dict):
        raise EngineError("invalid_parameter", "spec.json is no object", pointer="")
    for key in sorted(set(document) - _KEYS):
        raise _refused("", key, "unknown key")
    if document.get("format") != FORMAT:
        raise _refused("", "format", "unknown format")
    if not isinstance(document.get("base"), str):
        raise _refused("", "base", "a folder is needed")
    method = _section(document.get("method", {}), METHOD_LIMITS, "/method")
    method["type"] = "lora" if method["type"] == AUTO else method["type"]
    return Spec(
        base=Path(document["base"]),
        method=method,
        hyperparameters=_section(document.get("hyperparameters", {}), LIMITS, "/hyperparameters"),
        seed=_number(document.get("seed", 0), Range(0, 2**53, whole=True), "", "seed"),
        precision=_word(
            document.get("precision", AUTO), Choice((AUTO, "float32", "bfloat16")), "", "precision"
        ),
        fencing_token=_number(
            document.get("fencing_token", 0), Range(0, 2**63, whole=True), "", "fencing_token"
        ),
        checkpoint_every_seconds=_number(
            document.get("checkpoint_every_seconds", 60),
            Range(0, 86_400),
            "",
            "checkpoint_every_seconds",
        ),
    )


def _section(given: Any, limits: Mapping[str, Range | Choice], pointer: str) -> dict[str, Any]:
    """Every known parameter, "auto" where it is not given."""
    if not isinstance(given, dict):
        raise EngineError("invalid_parameter", "an object is needed", pointer=pointer)
    for key in sorted(set(given) - set(limits)):
        raise _refused(pointer, key, "unknown parameter")
    section: dict[str, Any] = {}
    for name, limit in limits.items():
        value = given.get(name, AUTO)
        if value == AUTO:
            section[name] = AUTO
        elif isinstance(limit, Choice):
            section[name] = _word(value, limit, pointer, name)
        else:
            section[name] = _number(value, limit, pointer, name)
    return section


def _word(value: Any, limit: Choice, pointer: str, name: str) -> str:
    if value not in limit.words:
        raise _refused(pointer, name, f"one of {', '.join(limit.words)}")
    return str(value)


def _number(value: Any, limit: Range, pointer: str, name: str) -> Any:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or not limit.low <= value <= limit.high:
        raise _refused(pointer, name, f"a number from {limit.low} to {limit.high}")
    if limit.whole:
        if value != int(value):
            raise _refused(pointer, name, "a whole number")
        return int(value)
    return value


def _refused(pointer: str, key: str, reason: str) -> EngineError:
    return EngineError("invalid_parameter", f"{key}: {reason}", pointer=f"{pointer}/{key}")
