"""The evaluation itself: rows in, report out."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..files import dump_json, replace_file
from ..formats import Encoded, RowEncoder, read_rows, reference_of
from .events import EventLog, Progress
from .generation import Answer, Question, answer_cap, answers
from .job import EVENTS, REPORT, ROWS, EvaluationSpec, read_spec
from .labels import MOST_CANDIDATES, Label, LabelScorer, candidates_of, label_of
from .likelihood import Likelihood, likelihoods
from .lineup import Lineup, dtype_for, line_up
from .metrics import TrainingPhrases, text_metrics
from .mixture import Mixture
from .report import Measured, build_report
from .slices import question_of

#: A token written costs about as much as this many tokens read (measured on two cores).
_WRITING = 4.0


def evaluate(folder: Path) -> dict[str, Any]:
    """Run the evaluation that `folder/evaluation.json` asks for; returns the report.

    `report.json` appears whole at the very end, and one of an earlier run is gone before this one
    starts. Raises EngineError; codes of its own: evaluation_spec_invalid, evaluation_without_rows,
    evaluation_loss_not_finite.
    """
    started = time.monotonic()
    spec = read_spec(folder)
    for name in (REPORT, ROWS):
        (folder / name).unlink(missing_ok=True)
    events = EventLog(folder / EVENTS, spec.fencing_token)
    lineups, names = line_up(spec.base, spec.candidate, spec.champion)
    material = _read_material(spec, lineups[0], events)
    progress = Progress(events, _work(material, [list(lineup.members) for lineup in lineups]))
    measured: dict[str, Measured] = {}
    for lineup in lineups:
        measured |= _measure(lineup, material, progress.add)
    report = build_report(material.rows, measured, seed=spec.seed, samples=spec.samples)
    report |= {
        "names": names,
        "rows_available": material.available,
        "rows_skipped": material.skipped,
        "max_new_tokens": material.cap,
        "labels": len(material.candidates),
        "dtype": str(dtype_for(lineups[0].base)).removeprefix("torch."),
        "seed": spec.seed,
        "fencing_token": spec.fencing_token,
        "seconds": round(time.monotonic() - started, 1),
    }
    replace_file(folder / ROWS, _row_lines(material.rows, measured))
    replace_file(folder / REPORT, dump_json(report))
    return report


@dataclass(frozen=True)
class _Material:
    """The test rows as every model meets them, and what answers are measured with."""

    rows: list[dict[str, Any]]
    encoded: list[Encoded]
    prompts: list[list[int]]
    truths: list[Label | None]
    candidates: list[Label]
    phrases: TrainingPhrases
    cap: int
    available: int
    skipped: int


def _read_material(spec: EvaluationSpec, lineup: Lineup, events: EventLog) -> _Material:
    from ..bases import load_tokenizer

    encoder = RowEncoder(load_tokenizer(lineup.base))
    context = lineup.base.context
    available = list(read_rows(spec.rows))
    rows, encoded, skipped = _encode(_draw(available, spec), encoder, context, events)
    if not rows:
        raise EngineError("evaluation_without_rows", f"{spec.rows.name} has no usable row")
    train = list(read_rows(spec.train_rows))
    candidates = candidates_of(train)
    if len(candidates) > MOST_CANDIDATES:
        events.write("log", level="warning", code="labels_too_many", labels=len(candidates))
        candidates = []
    return _Material(
        rows=rows,
        encoded=encoded,
        prompts=[encoder.prompt(row) for row in rows],
        truths=[label_of(row) if len(candidates) > 1 else None for row in rows],
        candidates=candidates if len(candidates) > 1 else [],
        phrases=TrainingPhrases(reference_of(row) for row in train),
        cap=spec.max_new_tokens
        or answer_cap([len(encoder.text_ids(reference_of(row))) for row in rows], context),
        available=len(available),
        skipped=skipped,
    )


def _draw(rows: list[dict[str, Any]], spec: EvaluationSpec) -> list[dict[str, Any]]:
    """At most `max_rows` of the rows, the same ones for the same seed, in their order."""
    if len(rows) <= spec.max_rows:
        return rows
    drawn = random.Random(spec.seed).sample(range(len(rows)), spec.max_rows)
    return [rows[position] for position in sorted(drawn)]


def _encode(
    rows: Sequence[dict[str, Any]], encoder: RowEncoder, context: int, events: EventLog
) -> tuple[list[dict[str, Any]], list[Encoded], int]:
    """The rows with something to learn inside the context. Another row has no loss: it is told
    of and left out, as training left its like out."""
    kept, encoded = [], []
    for row in rows:
        try:
            encoded.append(encoder.encode(row, max_length=context))
        except EngineError as error:
            if error.code != "row_without_labels":
                raise
            events.write("log", level="warning", code=error.code, line=error.line)
            continue
        kept.append(row)
    return kept, encoded, len(rows) - len(kept)


def _work(material: _Material, members: Sequence[Sequence[str]]) -> float:
    """Tokens to be read and written by all models, the written ones weighing more."""
    read = sum(len(row.ids) for row in material.encoded)
    written = len(material.rows) * material.cap * _WRITING
    labels = 0
    if material.candidates:
        # Near enough for an estimate: a label is three tokens, and so is its share of the rest.
        labels = sum(
            len(prompt) + 3 * len(material.candidates)
            for prompt, truth in zip(material.prompts, material.truths, strict=True)
            if truth is not None
        )
    return sum(len(names) for names in members) * (read + written + labels)


def _measure(
    lineup: Lineup, material: _Material, add: Callable[[float], None]
) -> dict[str, Measured]:
    with lineup.opened() as (mixture, encoder, ends):
        found = {}
        for name in lineup.members:
            read = likelihoods(mixture, lineup.owner(name), material.encoded, on_tokens=add)
            _refuse_not_finite(name, read, material.rows)
            found[name] = Measured(likelihoods=read, truths=material.truths)
        if material.candidates:
            scorer = LabelScorer(encoder, material.candidates)
            for name in lineup.members:
                found[name].predictions = _predict(
                    scorer, mixture, lineup.owner(name), material, add
                )
        for name, written in _write(lineup, mixture, material, ends, add).items():
            texts = [_text(encoder, answer) for answer in written]
            found[name].answers = texts
            found[name].texts = _text_values(texts, written, material)
        return found


def _refuse_not_finite(
    name: str, read: Sequence[Likelihood], rows: Sequence[Mapping[str, Any]]
) -> None:
    for likelihood, row in zip(read, rows, strict=True):
        if not abs(likelihood.loss_sum) < float("inf"):
            raise EngineError(
                "evaluation_loss_not_finite", f"the loss of the {name}", line=row.get("line")
            )


def _predict(
    scorer: LabelScorer,
    mixture: Mixture,
    owner: str | None,
    material: _Material,
    add: Callable[[float], None],
) -> list[Label | None]:
    labelled = [at for at, truth in enumerate(material.truths) if truth is not None]
    chosen = scorer.predict(mixture, owner, [material.rows[at] for at in labelled], on_tokens=add)
    predictions: list[Label | None] = [None] * len(material.rows)
    for position, label in zip(labelled, chosen, strict=True):
        predictions[position] = label
    return predictions


def _write(
    lineup: Lineup,
    mixture: Mixture,
    material: _Material,
    ends: set[int],
    add: Callable[[float], None],
) -> dict[str, list[Answer]]:
    """Every member's answers; their rows share batches."""
    questions = [
        Question(lineup.owner(name), prompt)
        for name in lineup.members
        for prompt in material.prompts
    ]
    written = answers(
        mixture,
        questions,
        cap=material.cap,
        ends=ends,
        on_tokens=lambda tokens: add(tokens * _WRITING),
    )
    size = len(material.prompts)
    return {
        name: written[number * size : (number + 1) * size]
        for number, name in enumerate(lineup.members)
    }


def _text(encoder: RowEncoder, answer: Answer) -> str:
    text = str(encoder.tokenizer.decode(answer.ids, skip_special_tokens=True)).strip()
    # PostgreSQL keeps no NUL, not even in JSON, and a random model writes some.
    return text.replace("\x00", "\ufffd")


def _text_values(
    texts: Sequence[str], written: Sequence[Answer], material: _Material
) -> list[dict[str, float]]:
    return [
        text_metrics(
            text, reference_of(row), question_of(row), material.phrases, overlong=answer.overlong
        )
        for text, answer, row in zip(texts, written, material.rows, strict=True)
    ]


def _row_lines(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, Measured]) -> bytes:
    lines = []
    for position, row in enumerate(rows):
        values = {name: model.row_values(position) for name, model in measured.items()}
        line = {"id": row.get("id"), "line": row.get("line"), **values}
        lines.append(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    return "".join(lines).encode("utf-8")
