"""A spec is read strictly, and every "auto" is chosen with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpt_core.engine.bases import Base, load_tokenizer
from gpt_core.engine.errors import EngineError
from gpt_core.engine.training.auto import Settings, choose_settings
from gpt_core.engine.training.rows import Rows, load_rows
from gpt_core.engine.training.spec import LIMITS, METHOD_LIMITS, read_spec
from tests.gpt_core.engine.training.jobs import ROWS, make_job


def written(tmp_path: Path, **document: Any) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"format": 1, "base": "x"} | document), encoding="utf-8")
    return path


def test_what_is_not_given_is_auto(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path))
    assert set(spec.hyperparameters) == set(LIMITS)
    assert set(spec.hyperparameters.values()) == {"auto"}
    assert (spec.method["type"], spec.method["rank"]) == ("lora", "auto")


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"hyperparameters": {"learning_rate": 0}}, "/hyperparameters/learning_rate"),
        ({"hyperparameters": {"learning_rate": "fast"}}, "/hyperparameters/learning_rate"),
        ({"hyperparameters": {"learning_rate": True}}, "/hyperparameters/learning_rate"),
        ({"hyperparameters": {"epochs": 1e9}}, "/hyperparameters/epochs"),
        ({"hyperparameters": {"batch_size": 2.5}}, "/hyperparameters/batch_size"),
        ({"hyperparameters": {"optimizer": "adagrad"}}, "/hyperparameters/optimizer"),
        ({"hyperparameters": {"optimizer": ["sgd"]}}, "/hyperparameters/optimizer"),
        ({"hyperparameters": {"学习率": 1}}, "/hyperparameters/学习率"),
        ({"hyperparameters": []}, "/hyperparameters"),
        ({"method": {"type": "dora"}}, "/method/type"),
        ({"method": {"rank": 100_000}}, "/method/rank"),
        ({"seed": -1}, "/seed"),
        ({"precision": "int8"}, "/precision"),
        ({"format": 2}, "/format"),
        ({"base": 3}, "/base"),
        ({"evil": 1}, "/evil"),
    ],
)
def test_a_wrong_value_is_refused_with_its_pointer(
    tmp_path: Path, document: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(EngineError) as caught:
        read_spec(written(tmp_path, **document))
    assert (caught.value.code, caught.value.pointer) == ("invalid_parameter", pointer)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": NaN}', '{"a": 1, "a": 2}'])
def test_a_spec_that_is_no_spec_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises(EngineError):
        read_spec(tmp_path / "spec.json")


def chosen(tmp_path: Path, base: Base, **more: Any) -> tuple[Settings, dict[str, str]]:
    job = make_job(tmp_path / "job", base, **more)
    tokenizer = load_tokenizer(base)
    train = load_rows(job / "train.jsonl", tokenizer, max_length=200)
    validation = load_rows(job / "validation.jsonl", tokenizer, max_length=200)
    return choose_settings(read_spec(job / "spec.json"), base, train, validation, device="cpu")


def test_every_auto_is_resolved_and_says_why(tmp_path: Path, llama: Base) -> None:
    more = dict.fromkeys(LIMITS, "auto") | {"precision": "auto"}
    method = dict.fromkeys(METHOD_LIMITS, "auto")
    settings, reasons = chosen(tmp_path, llama, method=method, **more)
    assert "auto" not in settings.as_dict().values()
    asked = set(LIMITS) | set(METHOD_LIMITS) | {"precision"}
    # A factor of another value is none of its own.
    assert set(reasons) == asked - {"type", "learning_rate_multiplier"}
    assert "given" not in reasons.values()
    assert settings.precision in ("float32", "bfloat16")


def test_what_is_given_is_kept(tmp_path: Path, llama: Base) -> None:
    settings, reasons = chosen(tmp_path, llama, learning_rate=0.5, method={"rank": 7})
    assert (settings.learning_rate, settings.rank) == (0.5, 7)
    assert reasons["learning_rate"] == reasons["rank"] == "given"


def test_a_multiplier_is_of_the_rate_that_auto_chooses(tmp_path: Path, llama: Base) -> None:
    auto = dict.fromkeys(LIMITS, "auto")
    plain, _ = chosen(tmp_path / "plain", llama, **auto)
    tripled, reasons = chosen(tmp_path / "tripled", llama, **auto | {"learning_rate_multiplier": 3})
    assert tripled.learning_rate == pytest.approx(3 * plain.learning_rate)
    assert reasons["learning_rate"] == "by_model_size_times_given"


def test_auto_follows_the_size_of_data_and_model(tmp_path: Path, llama: Base) -> None:
    auto = dict.fromkeys(LIMITS, "auto")
    few, _ = chosen(tmp_path / "few", llama, rows=ROWS[:12], **auto)
    many, _ = chosen(tmp_path / "many", llama, rows=ROWS * 20, **auto)
    assert many.batch_size > few.batch_size
    assert many.epochs < few.epochs
    full, _ = chosen(tmp_path / "full", llama, method={"type": "full"}, **auto)
    assert full.learning_rate < few.learning_rate / 5


def test_rows_name_the_line_as_uploaded(tmp_path: Path, llama: Base) -> None:
    path = tmp_path / "train.jsonl"
    bad = {"id": "9", "line": 412, "messages": [{"role": "user", "content": "只有问题"}]}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, bad]), encoding="utf-8")
    with pytest.raises(EngineError) as caught:
        load_rows(path, load_tokenizer(llama), max_length=200)
    assert (caught.value.code, caught.value.line) == ("row_without_labels", 412)


def test_no_file_is_no_rows(tmp_path: Path, llama: Base) -> None:
    rows = load_rows(tmp_path / "validation.jsonl", load_tokenizer(llama), max_length=200)
    assert isinstance(rows, Rows)
    assert len(rows) == 0


HOSTILE = {
    "ok.jsonl": None,
    "special_tokens.jsonl": None,
    "nul_byte.jsonl": "invalid_json",
    "invalid_utf8.jsonl": "invalid_json",
    "nan_inf.jsonl": "invalid_json",
    "deep_nesting.jsonl": "invalid_json",
    "lone_surrogate.jsonl": "row_invalid",
    "utf16.jsonl": "invalid_json",
    "truncated_last_line.jsonl": "invalid_json",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_rows_are_read_or_refused_with_their_line(
    hostile_files: Path, llama: Base, name: str
) -> None:
    """What the importer lets through by mistake must not hurt the trainer either."""
    tokenizer = load_tokenizer(llama)
    code = HOSTILE[name]
    if code is None:
        assert len(load_rows(hostile_files / name, tokenizer, max_length=200)) > 0
        return
    with pytest.raises(EngineError) as caught:
        load_rows(hostile_files / name, tokenizer, max_length=200)
    assert caught.value.code == code
    assert caught.value.line is not None
