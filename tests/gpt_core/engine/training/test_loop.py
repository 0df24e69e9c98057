"""A job from its folder to its result, in this process and on tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt_core.engine.bases import Base, load_model, open_base
from gpt_core.engine.checkpoint import load_adapter, open_checkpoint, publish
from gpt_core.engine.errors import EngineError
from gpt_core.engine.training.events import EventLog
from gpt_core.engine.training.loop import Outcome, Trainer
from gpt_core.engine.training.spec import read_spec
from gpt_core.engine.training.workers import Workers
from tests.gpt_core.engine.training.jobs import ROWS, events_of, make_job


def run(job: Path, should_stop: Callable[[], bool] = lambda: False) -> Outcome:
    log = EventLog(job / "events.jsonl", 7)
    try:
        return Trainer(job, read_spec(job / "spec.json"), log, Workers(), should_stop).run()
    finally:
        log.close()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "qwen3", "mistral"])
def test_an_adapter_is_trained_published_and_loaded(
    tmp_path: Path, base_of: Callable[[str], Base], architecture: str
) -> None:
    base = base_of(architecture)
    job = make_job(tmp_path / "job", base, epochs=4, learning_rate=0.05)
    outcome = run(job)
    assert outcome.finished
    losses = [event["loss"] for event in events_of(job, "validation")]
    assert min(losses) < 0.99 * events_of(job, "train")[0]["loss"]
    finished = events_of(job, "finished")[0]
    assert finished["best_loss"] == min(losses)
    assert finished["result"] == "best/"
    manifest = {
        "kind": "adapter",
        "name": "acme.support@v1",
        "base": {"name": base.name, "digest": base.digest},
    }
    published = publish(job / "best", tmp_path / "store", manifest)
    adapter = load_adapter(open_checkpoint(published.folder), base)
    assert all(b.abs().sum() > 0 for _, b in adapter.tensors.values())


def test_the_adapters_of_the_last_validations_are_kept(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, epochs=4, validation_every=2)
    run(job)
    steps = [event["step"] for event in events_of(job, "validation")]
    assert len(steps) > 3
    assert events_of(job, "finished")[0]["kept"] == steps[-3:]
    for step in steps[-3:]:
        manifest = {
            "kind": "adapter",
            "name": "acme.support@v1",
            "base": {"name": llama.name, "digest": llama.digest},
        }
        folder = job / "state" / f"kept-{step:08d}"
        assert load_adapter(
            open_checkpoint(publish(folder, tmp_path / "store", manifest).folder), llama
        ).tensors


def test_full_fine_tuning_publishes_a_base_of_its_own(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, method={"type": "full"}, epochs=2, learning_rate=0.005)
    run(job)
    losses = [event["loss"] for event in events_of(job, "validation")]
    assert losses[-1] < losses[0]
    manifest = {
        "kind": "full",
        "name": "acme.support@v1",
        "base": {"name": llama.name, "digest": llama.digest},
    }
    published = publish(job / "best", tmp_path / "store", manifest)
    tuned = open_base(published.folder)
    assert tuned.digest != llama.digest
    assert tuned.parameters == llama.parameters
    load_model(tuned, "float32")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_both_optimizers_and_both_scalings_learn(
    tmp_path: Path, llama: Base, optimizer: str, method: str
) -> None:
    rate = {"adamw": 0.02, "sgd": 0.5}[optimizer]
    job = make_job(
        tmp_path / "job",
        llama,
        method={"type": method, "dropout": 0.1},
        optimizer=optimizer,
        learning_rate=rate,
        label_smoothing=0.1,
        gradient_accumulation=2,
        epochs=4,
        schedule="linear",
    )
    run(job)
    losses = [event["loss"] for event in events_of(job, "train")]
    assert losses[-1] < losses[0]
    config = json.loads((job / "best" / "adapter_config.json").read_text())
    assert config["use_rslora"] == (method == "rslora")


def test_early_stopping_keeps_the_best(tmp_path: Path, llama: Base) -> None:
    # A rate this high spoils the model after the first validations.
    job = make_job(
        tmp_path / "job",
        llama,
        learning_rate=1.0,
        epochs=20,
        validation_every=1,
        patience=2,
        warmup=3,
        schedule="constant",
        max_grad_norm=0,
    )
    run(job)
    validations = events_of(job, "validation")
    finished = events_of(job, "finished")[0]
    assert finished["stopped_early"]
    assert finished["steps"] < 100
    best = min(validations, key=lambda event: event["loss"])
    assert (finished["best_step"], finished["best_loss"]) == (best["step"], best["loss"])
    assert [event["best"] for event in validations[-2:]] == [False, False]


def test_without_validation_rows_the_last_weights_are_the_result(
    tmp_path: Path, llama: Base
) -> None:
    job = make_job(tmp_path / "job", llama, validation=0)
    run(job)
    finished = events_of(job, "finished")[0]
    assert (finished["best_loss"], finished["best_step"]) == (None, finished["steps"])
    assert events_of(job, "log")[0]["code"] == "no_validation_rows"
    assert (job / "best" / "adapter_model.safetensors").exists()


def test_events_carry_token_time_and_everything_a_page_needs(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    run(job)
    lines = [json.loads(line) for line in (job / "events.jsonl").read_text().splitlines()]
    assert all(line["token"] == 7 and line["t"] > 1e9 for line in lines)
    assert [line["type"] for line in lines[:2]] == ["started", "parameters"]
    assert lines[-1]["type"] == "finished"
    progress = events_of(job, "progress")[-1]
    assert progress["step"] == progress["steps"] == 9
    assert progress["tokens"] > 0
    assert progress["eta_seconds"] == 0
    chosen = events_of(job, "parameters")[0]
    assert set(chosen["reasons"]) <= set(chosen["chosen"])
    assert [event["step"] for event in events_of(job, "saved")] == [3, 6, 9]
    trained = events_of(job, "finished")[0]["trained_tokens"]
    assert trained < progress["tokens"]


def test_tensorboard_reads_the_curve(tmp_path: Path, llama: Base) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    job = make_job(tmp_path / "job", llama)
    run(job)
    board = EventAccumulator(str(job / "tensorboard"))
    board.Reload()
    assert [scalar.step for scalar in board.Scalars("validation/loss")] == [3, 6, 9]
    assert len(board.Scalars("train/loss")) == 9


def test_a_long_row_is_cut_and_counted(tmp_path: Path, llama: Base) -> None:
    long = {"id": "x", "line": 1, "prompt": "q", "completion": "word " * 100}
    job = make_job(tmp_path / "job", llama, rows=[long, *ROWS], max_length=120)
    run(job)
    assert [(e["code"], e["rows"]) for e in events_of(job, "log")] == [("rows_truncated", 1)]


def test_a_run_that_diverges_is_refused_at_its_step(
    tmp_path: Path, llama: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = iter([1.0, 1.0, float("nan")])
    monkeypatch.setattr("gpt_core.engine.training.loop.clip", lambda *given: next(lengths))
    with pytest.raises(EngineError, match=r"diverged.*step 3"):
        run(make_job(tmp_path / "job", llama))


def test_no_rows_are_refused(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, rows=[], validation=0)
    with pytest.raises(EngineError, match="no_training_rows"):
        run(job)


def test_running_a_finished_job_again_changes_nothing(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    run(job)
    weights = (job / "best" / "adapter_model.safetensors").read_bytes()
    assert run(job).finished
    assert (job / "best" / "adapter_model.safetensors").read_bytes() == weights
    assert len(events_of(job, "train")) == 9


def test_being_told_to_stop_takes_at_most_one_step(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    calls = iter([False, False, True])
    outcome = run(job, lambda: next(calls))
    assert not outcome.finished
    assert outcome.progress.step == 2
    assert events_of(job, "stopped")[0]["step"] == 2
    assert run(job).finished
    assert events_of(job, "started")[1]["resumed_from_step"] == 2
