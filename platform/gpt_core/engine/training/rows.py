"""The rows of a job as tokens, every one checked before the first step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError
from ..formats import encode, read_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Example:
    """One row as tokens. `positions` are where the next token is learned, `targets` those tokens."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[int, ...]
    truncated: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return len(self.targets)


@dataclass(frozen=True)
class Rows:
    """The rows of one file and the sha256 of that file."""

    examples: tuple[Example, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def tokens(self) -> int:
        return sum(len(example) for example in self.examples)

    @property
    def truncated(self) -> int:
        return sum(example.truncated for example in self.examples)

    def lengths(self) -> list[int]:
        return sorted(len(example) for example in self.examples)


def load_rows(path: Path, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> Rows:
    """Every row of a file as an Example; the first row that cannot be used raises with its line.

    A missing file counts as empty: a job may have no validation rows.
    """
    if not path.exists():
        return Rows((), hashlib.sha256(b"").hexdigest())
    try:
        examples = [example_of(row, tokenizer, max_length) for row in read_rows(path)]
    except EngineError as error:
        # A line alone does not say whether the training or the validation rows are meant.
        detail = f"{path.name}: {error.detail}"
        raise EngineError(error.code, detail, line=error.line, pointer=error.pointer) from error
    return Rows(tuple(examples), hashlib.sha256(path.read_bytes()).hexdigest())


def example_of(
    row: dict[str, object], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Example:
    """One row as tokens; whatever is wrong with it raises EngineError with its line."""
    try:
        encoded = encode(row, tokenizer, max_length=max_length)
    except EngineError:
        raise
    except Exception as error:  # a row nobody foresaw is the row's fault, and is named
        line = row.get("line")
        raise EngineError(
            "row_invalid", repr(error)[:300], line=line if isinstance(line, int) else None
        ) from error
    # The token at `position + 1` is predicted from the hidden state at `position`.
    positions = tuple(p - 1 for p, learned in enumerate(encoded.mask) if learned and p > 0)
    targets = tuple(encoded.ids[position + 1] for position in positions)
    return Example(tuple(encoded.ids), positions, targets, encoded.truncated)
