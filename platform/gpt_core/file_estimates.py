"""How many tokens a training from a stored file will read, before anything is imported.

The head of the file is read and a sample of its rows is counted: by the engine itself, which alone knows its
tokens, where somebody asks for an estimate; by their letters where a job is made, which waits for no engine.
What lies behind is taken to be like it: `share` says how much of the file was looked at, and an estimate from
less than all of it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from common.errors import NotFoundError
from labeling.faults import Fault
from labeling.models import StoredFile
from labeling.readers import open_reading
from labeling.readers.shapes import canonical
from labeling.rows import CHAT, COMPLETION, Row, spoken_text
from labeling.services import open_file
from tenancy.scope import system_scope

from . import auto_rules, client
from .estimates import TrainingEstimate, expect_training, paces, tokens_of_row
from .models import BaseModel

# So much is read at most, and so many rows are counted.
MOST_ROWS = 10_000
MOST_CHARACTERS = 20_000_000
# And so much where a job is made: whoever makes it waits, and its rows are read later in any case.
MOST_CHARACTERS_AT_ONCE = 2_000_000
SAMPLE = 48
# What is learned from where nobody gave rows to validate with, and where somebody did.
TRAIN_SHARE, TRAIN_SHARE_GIVEN, VALIDATION_SHARE = 0.8, 0.9, 0.1


@dataclass(frozen=True)
class FileTokens:
    """Rows and tokens of a file. `share` of it was read; in `counted` rows the tokens were counted."""

    rows: float
    tokens: float
    share: float
    counted: int


@dataclass(frozen=True)
class FileEstimate:
    """What a training from files will take."""

    train_tokens: int
    validation_tokens: int
    epochs: float
    seconds: float | None
    share: float
    counted: int


def estimate_files(
    *,
    training_file: StoredFile,
    validation_file: StoredFile | None,
    base_model: BaseModel,
    hyperparameters: Mapping[str, Any],
) -> FileEstimate:
    """For the tenant in scope. Raises what the engine's client raises where no engine can count."""
    most = _longest(hyperparameters, base_model)
    by_engine = partial(_tokens_of, base=base_model.name)
    training = count_file(training_file, by_engine, most)
    given = count_file(validation_file, by_engine, most) if validation_file else None
    learned, epochs = _learned(training, given is not None, hyperparameters)
    rows = given.rows if given else training.rows * VALIDATION_SHARE
    held_out = given.tokens if given else training.tokens * VALIDATION_SHARE
    with system_scope("what trainings took lately"):
        pace = paces().training.get(base_model.pk)
    train_tokens = round(learned * epochs)
    return FileEstimate(
        train_tokens=train_tokens,
        validation_tokens=round(held_out * _validations(training.rows, rows)),
        epochs=epochs,
        seconds=None if pace is None else pace * train_tokens,
        share=min(training.share, given.share if given else 1.0),
        counted=training.counted + (given.counted if given else 0),
    )


def foresee_files(
    *,
    training_file: StoredFile,
    validation_file: StoredFile | None,
    base_model: BaseModel,
    hyperparameters: Mapping[str, Any],
) -> TrainingEstimate:
    """What the month is asked for when a job is made of files: by letters, and put right by the jobs
    before it, as for a job of a dataset version. A file that cannot be read holds nothing to learn from.
    """
    most = _longest(hyperparameters, base_model)
    try:
        found = count_file(training_file, _guessed, most, MOST_CHARACTERS_AT_ONCE)
    except NotFoundError:
        # Told with the file's name when the job's files are checked.
        return expect_training(0, base_model)
    learned, epochs = _learned(found, validation_file is not None, hyperparameters)
    return expect_training(round(learned * epochs), base_model)


def count_file(
    file: StoredFile,
    tokens_of: Callable[[Row], int],
    most_tokens: int,
    most_characters: int = MOST_CHARACTERS,
) -> FileTokens:
    """Count a sample of the first rows, and take the rest to be like them."""
    sample: list[Row] = []
    rows = characters = 0
    stride = 1
    with open_file(file) as stream:
        reading = open_reading(stream, file.filename)
        for found in reading:
            row = None if isinstance(found, Fault) else canonical(found, reading.mapping).row
            if row is None:
                continue
            if rows % stride == 0:
                sample.append(row)
            if len(sample) == 2 * SAMPLE:
                # Every second one: the sample stays spread over what was read.
                del sample[1::2]
                stride *= 2
            rows += 1
            characters += len(spoken_text(row.content))
            if rows >= MOST_ROWS or characters >= most_characters:
                break
        else:
            return _extrapolated(sample, rows, 1.0, tokens_of, most_tokens)
        # Bytes are read ahead, so that the share is never told too small.
        return _extrapolated(sample, rows, max(reading.share, 1e-6), tokens_of, most_tokens)


def _extrapolated(
    sample: list[Row], rows: int, share: float, tokens_of: Callable[[Row], int], most_tokens: int
) -> FileTokens:
    if not sample:
        return FileTokens(0, 0, share, 0)
    counted = [min(most_tokens, tokens_of(row)) for row in sample]
    mean = sum(counted) / len(counted)
    return FileTokens(rows / share, mean * rows / share, share, len(counted))


def _longest(hyperparameters: Mapping[str, Any], base_model: BaseModel) -> int:
    longest = hyperparameters["max_length"]
    return base_model.context if longest == "auto" else int(longest)


def _learned(
    found: FileTokens, validation_given: bool, hyperparameters: Mapping[str, Any]
) -> tuple[float, float]:
    """Tokens of an epoch, and how many epochs."""
    learned = found.tokens * (TRAIN_SHARE_GIVEN if validation_given else TRAIN_SHARE)
    asked = hyperparameters["epochs"]
    return learned, auto_rules.epochs(learned) if asked == "auto" else float(asked)


def _guessed(row: Row) -> int:
    return tokens_of_row({**row.content, "passages": row.passages})


def _tokens_of(row: Row, base: str) -> int:
    if row.kind == CHAT:
        messages = row.content["messages"]
    elif row.kind == COMPLETION:
        messages = [
            {"role": "user", "content": row.content["prompt"]},
            {"role": "assistant", "content": row.content["completion"]},
        ]
    else:
        return client.count_tokens(model=base, prompt=row.content["text"])
    turns = [{"role": one["role"], "content": one["content"]} for one in messages]
    return client.count_tokens(model=base, messages=turns)


def _validations(rows: float, held_out: float) -> int:
    """How often a training validates: the rule of the engine, which no process of Django may import."""
    return max(2, min(10, round(rows / max(held_out, 1) / 2)))
