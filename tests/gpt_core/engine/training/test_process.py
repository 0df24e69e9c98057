"""The training process: exit codes, signals, locks, several processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gpt_core.engine.bases import Base
from gpt_core.engine.training import __main__ as process
from gpt_core.engine.training.__main__ import explain
from tests.gpt_core.engine.training.jobs import (
    ROWS,
    command,
    environment,
    events_of,
    make_job,
    train,
)


class Flag:
    """A stop flag that no signal sets: handlers belong to the main thread of a real process."""

    def __call__(self) -> bool:
        return False


def train_here(job: Path) -> int:
    """The process's main part in this process: the same events and exit codes, without the start."""
    return process._train(job, Flag(), True)  # type: ignore[arg-type]


def start(
    job: Path, *, stdin: int = subprocess.DEVNULL, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(job), stdin=stdin, stderr=subprocess.PIPE, env=env or environment()
    )


def wait_for(job: Path, kind: str) -> None:
    deadline = time.monotonic() + 60
    while not events_of(job, kind):
        assert time.monotonic() < deadline, f"no {kind} event"
        time.sleep(0.01)


def test_a_poison_row_is_the_users_and_named_by_its_line(tmp_path: Path, llama: Base) -> None:
    bad = {"id": "x", "line": 99, "messages": [{"role": "user", "content": "没有回答"}]}
    job = make_job(tmp_path / "job", llama, rows=[*ROWS[:4], bad, *ROWS[4:]])
    assert train_here(job) == 2
    failed = events_of(job, "failed")[0]
    assert (failed["code"], failed["line"], failed["whose"]) == ("row_without_labels", 99, "user")
    assert failed["token"] == 7
    assert not (job / "best").exists()


def test_a_wrong_parameter_is_the_users_and_carries_its_pointer(
    tmp_path: Path, llama: Base
) -> None:
    job = make_job(tmp_path / "job", llama, epochs=-1)
    assert train_here(job) == 2
    failed = events_of(job, "failed")[0]
    assert failed["pointer"] == "/hyperparameters/epochs"


def test_a_base_that_is_not_there_is_the_systems(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    spec = json.loads((job / "spec.json").read_text()) | {"base": str(tmp_path / "nowhere")}
    (job / "spec.json").write_text(json.dumps(spec))
    assert train_here(job) == 3
    assert events_of(job, "failed")[0]["whose"] == "system"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Quota"), "disk_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (ZeroDivisionError("x"), "internal"),
    ],
)
def test_every_failure_has_a_code(error: Exception, code: str) -> None:
    assert explain(error).code == code


def test_a_full_disk_fails_the_system_and_resumes_when_there_is_room(
    tmp_path: Path, llama: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path / "job", llama)
    with monkeypatch.context() as patch:

        def full(*given: object, **named: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("gpt_core.engine.training.state.save_file", full)
        assert train_here(job) == 3
    failed = events_of(job, "failed")[0]
    assert (failed["code"], failed["whose"]) == ("disk_full", "system")
    assert list((job / "state" / "tmp").iterdir()) == []
    assert not list((job / "state").glob("step-*"))
    assert train_here(job) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_really_fills_up_leaves_no_partial_state(tmp_path: Path, llama: Base) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        job = make_job(small / "job", llama, method={"rank": 16})
        assert train_here(job) == 3
        assert not list((job / "state").glob("step-*"))
        assert not list((job / "state" / "tmp").iterdir())
        failed = events_of(job, "failed")
        assert not failed or failed[0]["code"] == "disk_full"
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_sigterm_saves_within_a_step_and_the_next_attempt_finishes(
    tmp_path: Path, llama: Base
) -> None:
    job = make_job(tmp_path / "job", llama, epochs=60, validation_every=1000, patience=0)
    running = start(job)
    wait_for(job, "train")
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 4, running.stderr.read().decode() if running.stderr else ""
    stopped = events_of(job, "stopped")[0]["step"]
    assert stopped < 540
    assert events_of(job, "saved")[-1]["step"] == stopped
    resumed = start(job)
    wait_for_second_start(job)
    resumed.kill()
    resumed.wait()
    assert events_of(job, "started")[1]["resumed_from_step"] == stopped


def wait_for_second_start(job: Path) -> None:
    deadline = time.monotonic() + 60
    while len(events_of(job, "started")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_whose_supervisor_died_stops_at_once(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama, epochs=100, validation_every=1000)
    running = start(job, stdin=subprocess.PIPE, env=environment(PARLEY_SUPERVISED="1"))
    wait_for(job, "train")
    assert running.stdin is not None
    running.stdin.close()
    assert running.wait(5) == 4
    assert not events_of(job, "stopped")


def test_two_processes_never_write_one_job(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    with (job / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = train(job)
    assert done.returncode == 3
    assert json.loads(done.stderr)["code"] == "locked"
    assert not (job / "events.jsonl").exists()


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    done = train(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "is no folder" in done.stderr


def test_nothing_of_django_or_celery_is_imported(tmp_path: Path, llama: Base) -> None:
    job = make_job(tmp_path / "job", llama)
    code = (
        "import sys; from gpt_core.engine.training.__main__ import main;"
        f"assert main([{str(job)!r}]) == 0;"
        "assert not {'django', 'celery', 'peft', 'trl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_two_processes_learn_what_one_learns(tmp_path: Path, llama: Base) -> None:
    """torchrun with gloo: the gradients are summed, the first process writes."""
    settings: dict[str, Any] = {"method": {"rank": 2, "dropout": 0.0}, "learning_rate": 0.05}
    alone = make_job(tmp_path / "alone", llama, **settings)
    assert train_here(alone) == 0
    together = make_job(tmp_path / "together", llama, **settings)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0",
         "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0",
         "-m", "gpt_core.engine.training", str(together)],
        env=environment(), capture_output=True, text=True, check=False, timeout=110,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ours = [event["loss"] for event in events_of(alone, "validation")]
    theirs = [event["loss"] for event in events_of(together, "validation")]
    assert theirs == pytest.approx(ours, rel=1e-4)
    assert len(events_of(together, "finished")) == 1
    name = "adapter_model.safetensors"
    wanted, got = load_file(alone / "best" / name), load_file(together / "best" / name)
    assert all(torch.allclose(got[key], wanted[key], atol=1e-2) for key in wanted)
