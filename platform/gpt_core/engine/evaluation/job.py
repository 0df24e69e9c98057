"""An evaluation's folder: what is asked (`evaluation.json`), and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..files import read_json

SPEC = "evaluation.json"
EVENTS = "evaluation-events.jsonl"
REPORT = "report.json"
ROWS = "evaluation-rows.jsonl"


@dataclass(frozen=True)
class EvaluationSpec:
    """The content of `evaluation.json`."""

    base: Path
    candidate: Path
    champion: Path | None
    rows: Path
    train_rows: Path
    max_new_tokens: int | None  # None: derived from the references
    seed: int
    samples: int
    fencing_token: int
    #: More test rows than this would take hours on a CPU; which are left out is drawn by `seed`.
    max_rows: int = 1000


def read_spec(folder: Path) -> EvaluationSpec:
    """The spec of a job folder; raises EngineError("evaluation_spec_invalid") with a pointer."""
    try:
        document = read_json(folder / SPEC)
    except OSError as error:
        raise EngineError("evaluation_spec_invalid", f"{SPEC}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != 1:
        raise _invalid("format", "expected an object of format 1")
    cap = document.get("max_new_tokens", "auto")
    champion = document.get("champion")
    return EvaluationSpec(
        base=Path(_text(document, "base")),
        candidate=Path(_text(document, "candidate")),
        champion=None if champion is None else Path(_text(document, "champion")),
        rows=_inside(folder, _text(document, "rows", "test.jsonl"), "rows"),
        train_rows=_inside(folder, _text(document, "train_rows", "train.jsonl"), "train_rows"),
        max_new_tokens=None if cap == "auto" else _number(document, "max_new_tokens", 1, 1),
        seed=_number(document, "seed", 0),
        samples=_number(document, "samples", 20),
        fencing_token=_number(document, "fencing_token", 0),
        max_rows=_number(document, "max_rows", 1000, 1),
    )


def _text(document: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str) or not value:
        raise _invalid(key, "expected text")
    return value


def _number(document: Mapping[str, Any], key: str, default: int, least: int = 0) -> int:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _invalid(key, f"expected a whole number of at least {least}")
    return value


def _inside(folder: Path, name: str, key: str) -> Path:
    if Path(name).name != name or name in {".", ".."}:
        raise _invalid(key, "expected the name of a file in the job's folder")
    return folder / name


def _invalid(key: str, detail: str) -> EngineError:
    return EngineError("evaluation_spec_invalid", detail, pointer=f"/{key}")
