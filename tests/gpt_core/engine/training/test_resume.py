"""Killed at any step and resumed, a run ends with the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_core.engine.bases import Base
from gpt_core.engine.errors import EngineError
from gpt_core.engine.training.events import EventLog, read_events
from gpt_core.engine.training.loop import Trainer
from gpt_core.engine.training.spec import read_spec
from gpt_core.engine.training.state import Progress, StateFolder
from gpt_core.engine.training.workers import Workers
from tests.gpt_core.engine.faults import Faults
from tests.gpt_core.engine.training.jobs import (
    command,
    environment,
    events_of,
    make_job,
    train,
    weights_of,
)

STEPS = 18
SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "learning_rate": 0.05,
    "method": {"dropout": 0.2},
    "label_smoothing": 0.1,
    "patience": 3,
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """The subprocesses compute with one thread; so must what they are compared with."""
    before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    torch.set_num_threads(before[0])
    if before[1] is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before[1]


class Killed(BaseException):
    """Stands for SIGKILL: nothing on the way may catch it and tidy up."""


def run(job: Path, *, die_before_step: int | None = None) -> None:
    """Train in this process; die before a step is taken, as often as the clock allows a save."""
    steps = iter(range(10_000))

    def should_stop() -> bool:
        if next(steps) == die_before_step:
            raise Killed
        return False

    log = EventLog(job / "events.jsonl", 7)
    try:
        Trainer(job, read_spec(job / "spec.json"), log, Workers(), should_stop).run()
    finally:
        log.close()


def figures(job: Path) -> list[tuple[int, float, bool]]:
    """Every validation, the last report of a step counting."""
    events = {event["step"]: event for event in events_of(job, "validation")}
    return [(step, event["loss"], event["best"]) for step, event in sorted(events.items())]


@pytest.fixture(scope="module")
def straight(_one_thread: None, tmp_path_factory: pytest.TempPathFactory, llama: Base) -> Path:
    job = make_job(tmp_path_factory.mktemp("straight"), llama, **SETTINGS)
    run(job)
    assert events_of(job, "finished")[0]["steps"] == STEPS
    return job


@pytest.mark.parametrize("seconds_between_saves", [0, 3600])
@pytest.mark.parametrize("step", range(STEPS))
def test_killed_before_any_step_the_result_is_the_same_bit_for_bit(
    tmp_path: Path, llama: Base, straight: Path, step: int, seconds_between_saves: int
) -> None:
    """With a state at every step, and with states at validations alone."""
    job = make_job(
        tmp_path / "job", llama, checkpoint_every_seconds=seconds_between_saves, **SETTINGS
    )
    with pytest.raises(Killed):
        run(job, die_before_step=step)
    run(job)
    resumed = events_of(job, "started")[1]["resumed_from_step"]
    assert resumed == (step if seconds_between_saves == 0 else step - step % 3)
    assert weights_of(job) == weights_of(straight)
    assert figures(job) == figures(straight)


def test_killed_again_and_again_the_result_is_the_same(
    tmp_path: Path, llama: Base, straight: Path
) -> None:
    job = make_job(tmp_path / "job", llama, checkpoint_every_seconds=0, **SETTINGS)
    attempts = 0
    while not events_of(job, "finished"):
        attempts += 1
        try:
            run(job, die_before_step=2)
        except Killed:
            assert attempts < STEPS
    assert attempts > 5
    assert weights_of(job) == weights_of(straight)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["full", "lora", "rslora"])
def test_every_method_optimizer_and_precision_resumes_exactly(
    tmp_path: Path, llama: Base, method: str, precision: str, optimizer: str
) -> None:
    settings: dict[str, Any] = {
        "method": {"type": method},
        "optimizer": optimizer,
        "precision": precision,
        "epochs": 1,
    }
    jobs = [make_job(tmp_path / name, llama, **settings) for name in ("straight", "killed")]
    run(jobs[0])
    with pytest.raises(Killed):
        run(jobs[1], die_before_step=5)
    run(jobs[1])
    assert weights_of(jobs[0]) == weights_of(jobs[1])


def test_patience_survives_a_kill(tmp_path: Path, llama: Base) -> None:
    settings: dict[str, Any] = {
        "learning_rate": 1.0,
        "epochs": 10,
        "validation_every": 1,
        "patience": 4,
        "warmup": 3,
        "max_grad_norm": 0,
        "schedule": "constant",
    }
    straight = make_job(tmp_path / "straight", llama, **settings)
    run(straight)
    wanted = events_of(straight, "finished")[0]
    assert wanted["stopped_early"]
    killed = make_job(tmp_path / "killed", llama, **settings)
    with pytest.raises(Killed):
        run(killed, die_before_step=wanted["steps"] - 2)
    run(killed)
    got = events_of(killed, "finished")[0]
    assert (got["steps"], got["best_step"]) == (wanted["steps"], wanted["best_step"])


@pytest.mark.parametrize("step", [2, 7, 13])
def test_kill_minus_nine_of_the_process_loses_nothing(
    tmp_path: Path, llama: Base, straight: Path, step: int
) -> None:
    job = make_job(tmp_path / "job", llama, checkpoint_every_seconds=0, **SETTINGS)
    process = subprocess.Popen(command(job), env=environment(), stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if any(event["step"] >= step for event in events_of(job, "train")):
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = train(job)
    assert done.returncode == 0, done.stderr
    assert weights_of(job) == weights_of(straight)
    assert figures(job) == figures(straight)


def test_saving_state_survives_a_failure_and_a_kill_at_every_request(tmp_path: Path) -> None:
    """The state that loads afterwards is the old one or the whole new one."""
    folder = StateFolder(tmp_path / "state", "job")
    folder.save(Progress(step=1), {"master": torch.full((64,), 1.0)})
    with pytest.MonkeyPatch.context() as patch:
        counting = Faults(0, kill=False)
        counting.install(patch)
        StateFolder(shutil.copytree(tmp_path / "state", tmp_path / "count"), "job").save(
            Progress(step=2), {"master": torch.full((64,), 2.0)}
        )
    assert counting.count > 8
    for kill in (False, True):
        for at in range(1, counting.count + 1):
            copy = shutil.copytree(tmp_path / "state", tmp_path / f"{kill}-{at}")
            _save_with_fault(StateFolder(copy, "job"), at, kill=kill)
            found = StateFolder(copy, "job").load(lambda code, detail: None)
            assert found is not None
            progress, tensors = found
            assert progress.step in (1, 2)
            assert torch.equal(tensors["master"], torch.full((64,), float(progress.step)))


def _save_with_fault(folder: StateFolder, at: int, *, kill: bool) -> None:
    child = os.fork()
    if child == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                Faults(at, kill=kill).install(patch)
                folder.save(Progress(step=2), {"master": torch.full((64,), 2.0)})
        except (OSError, EngineError):
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)


def test_a_damaged_state_is_left_out_and_named(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, **SETTINGS)
    with pytest.raises(Killed):
        run(job, die_before_step=7)
    state = next((job / "state").glob("step-*")) / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    run(job)
    assert events_of(job, "started")[1]["resumed_from_step"] == 0
    assert "state_damaged" in [event["code"] for event in events_of(job, "log")]


def test_a_state_of_other_rows_is_not_resumed(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, **SETTINGS)
    with pytest.raises(Killed):
        run(job, die_before_step=7)
    with (job / "train.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"id": "new", "prompt": "新问题", "completion": "新回答"}\n')
    run(job)
    assert events_of(job, "started")[1]["resumed_from_step"] == 0


def test_a_line_torn_by_a_kill_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes('{"type": "log", "code": "好"}\n{"type": "tra'.encode())
    log = EventLog(path, 3)
    log.emit("log", code="again", loss=float("nan"))
    log.close()
    assert [event["code"] for event in read_events(path)] == ["好", "again"]
    assert read_events(path)[1]["loss"] is None
