"""What "auto" will choose for a dataset version, before a trainer has seen it: the rules over guessed sizes.

Rows are counted; tokens are guessed from the letters of a sample, so what depends on them is "about".
The trainer counts, and its word, shown on the job's page, is the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.models import F

from common.errors import ApplicationError
from common.strict_json import loads
from labeling.models import DatasetVersion, Split

from . import auto_rules
from .estimates import SAMPLE_ROWS, TURN_TOKENS, tokens_of_text
from .models import BaseModel

MOST_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Choice:
    """One setting: what auto will take (None: only the trainer can know), and the code of why."""

    name: str
    value: Any
    reason: str
    figures: Mapping[str, int] = field(default_factory=dict)
    guessed: bool = False


@dataclass(frozen=True)
class Sizes:
    """How much there is to learn from: rows counted, tokens guessed."""

    rows: int
    validation: int
    tokens: int
    learned: int
    longest: int


def sizes_of(version: DatasetVersion) -> Sizes:
    """Reads a sample of the training rows, spread evenly."""
    rows, validation = (_count(version, split) for split in (Split.TRAIN, Split.VALIDATION))
    stride = max(1, rows // SAMPLE_ROWS)
    some = version.rows.filter(split=Split.TRAIN).annotate(place=F("position") % stride)
    payloads = some.filter(place=0).order_by("position").values_list("payload", flat=True)
    guessed = [_tokens_of(payload) for payload in payloads[:SAMPLE_ROWS]]
    if not guessed:
        return Sizes(rows, validation, 0, 0, 0)
    share = rows / len(guessed)
    return Sizes(
        rows,
        validation,
        round(sum(read for read, _learned in guessed) * share),
        round(sum(learned for _read, learned in guessed) * share),
        max(read for read, _learned in guessed),
    )


def foresee(sizes: Sizes, base: BaseModel, *, method: str = "lora") -> list[Choice]:
    """Every setting that auto will choose, in the order in which people care."""
    rules, full = auto_rules, method == "full"
    batch, epochs = rules.batch(sizes.rows), rules.epochs(sizes.tokens)
    steps = rules.steps(sizes.rows, batch * rules.ACCUMULATION, epochs)
    hidden = hidden_size_of(base)
    found = [
        Choice("epochs", epochs, "by_tokens", {"tokens": sizes.tokens}, guessed=True),
        Choice("batch_size", batch, "by_rows", {"rows": sizes.rows}),
        Choice(
            "learning_rate",
            rules.learning_rate(hidden, full=full) if hidden else None,
            "by_model_size",
            {"hidden": hidden} if hidden else {},
        ),
    ]
    if not full:
        rank = rules.rank(sizes.learned)
        found += [
            Choice("rank", rank, "by_learned_tokens", {"learned": sizes.learned}, guessed=True),
            Choice("alpha", rules.alpha(rank, method), "by_rank", guessed=True),
            Choice("dropout", rules.DROPOUT, "early_stopping_guards"),
        ]
    return [
        *found,
        Choice("max_length", None, "by_longest_row", {"longest": sizes.longest}),
        Choice(
            "warmup",
            rules.warmup(steps),
            "by_steps",
            {"steps": steps, "first": round(rules.warmup(steps) * steps)},
            guessed=True,
        ),
        Choice(
            "validation_every",
            rules.validation_every(steps, sizes.rows, sizes.validation),
            "by_validations",
            {"times": rules.validations(sizes.rows, sizes.validation)},
            guessed=True,
        ),
        Choice("patience", rules.PATIENCE, "validations_without_gain"),
        Choice("optimizer", rules.OPTIMIZER, "default"),
        Choice("schedule", rules.SCHEDULE, "default"),
        Choice("gradient_accumulation", rules.ACCUMULATION, "passes_fit_memory"),
        Choice("weight_decay", rules.WEIGHT_DECAY, "default"),
        Choice("label_smoothing", rules.LABEL_SMOOTHING, "default"),
        Choice("max_grad_norm", rules.MAX_GRAD_NORM, "default"),
        Choice("precision", None, "measured_at_the_start"),
    ]


def hidden_size_of(base: BaseModel) -> int | None:
    """How wide the base is, from the manifest that lies beside its weights; None where that is away."""
    try:
        with (Path(base.folder) / "base.json").open("rb") as file:
            manifest = loads(file.read(MOST_MANIFEST_BYTES))
    except (OSError, ApplicationError):
        return None
    found = manifest.get("hidden_size") if isinstance(manifest, dict) else None
    return found if type(found) is int and found > 0 else None


def _count(version: DatasetVersion, split: str) -> int:
    count = version.counts.get(split, 0)
    return count if isinstance(count, int) else 0


def _tokens_of(payload: Mapping[str, Any]) -> tuple[int, int]:
    """(tokens that are read, tokens of them that are learned to be said)."""
    if "messages" in payload:
        read = learned = 0
        for message in payload["messages"]:
            tokens = _guess(str(message.get("content", "")))
            read += tokens
            if message.get("role") in ("assistant", "agent") and message.get("weight", 1) != 0:
                learned += tokens
        return read, learned
    asked, answered = payload.get("prompt", payload.get("text", "")), payload.get("completion")
    said = answered if answered is not None else ", ".join(payload.get("labels") or ())
    learned = _guess(str(said))
    return _guess(str(asked)) + learned, learned


def _guess(text: str) -> int:
    return round(tokens_of_text(text)) + TURN_TOKENS
