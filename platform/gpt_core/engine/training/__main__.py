"""python -m gpt_core.engine.training JOB_DIR

Exit codes: 0 finished, 2 failed through the user's data or parameters, 3 failed through the system,
4 stopped on SIGTERM or because the supervisor died; then the same command resumes.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from ..errors import EngineError
from .events import EventLog
from .spec import Spec, read_spec

FINISHED, FAILED_USER, FAILED_SYSTEM, STOPPED = 0, 2, 3, 4
# Everything else that fails is ours or the machine's.
_USER_CODES = frozenset(
    {
        "invalid_parameter",
        "invalid_json",
        "row_invalid",
        "row_unknown_format",
        "row_without_labels",
        "template_refused",
        "no_training_rows",
        "diverged",
        "out_of_memory",
    }
)


class StopFlag:
    """Set by SIGTERM; read between steps."""

    def __init__(self) -> None:
        self._set = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def __call__(self) -> bool:
        return self._set

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._set = True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="gpt_core.engine.training", description="Fine-tune as JOB_DIR/spec.json says."
    )
    parser.add_argument("job", type=Path, metavar="JOB_DIR")
    job: Path = parser.parse_args(arguments).job
    if not job.is_dir():
        parser.error(f"{job} is no folder")
    if os.environ.get("PARLEY_SUPERVISED") == "1":
        threading.Thread(target=_die_with_supervisor, daemon=True).start()
    should_stop = StopFlag()
    leads = os.environ.get("RANK", "0") == "0"
    if leads and not _lock(job):
        sys.stderr.write(json.dumps({"code": "locked", "detail": f"{job} is being written"}) + "\n")
        return FAILED_SYSTEM
    return _train(job, should_stop, leads)


def _train(job: Path, should_stop: StopFlag, leads: bool) -> int:
    events: EventLog | None = None
    try:
        spec = _read_spec_or_none(job)
        events = (
            EventLog(job / "events.jsonl", spec.fencing_token if spec else 0) if leads else None
        )
        spec = spec or read_spec(job / "spec.json")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        # Imported late: a wrong spec should answer in a blink, and the imports take seconds.
        from .loop import Trainer
        from .workers import Workers

        workers = Workers()
        try:
            outcome = Trainer(job, spec, events, workers, should_stop).run()
        finally:
            workers.leave()
        return FINISHED if outcome.finished else STOPPED
    except Exception as error:  # the last line of defence: every end is an event and an exit code
        failure = explain(error)
        whose = "user" if failure.code in _USER_CODES else "system"
        sys.stderr.write(traceback.format_exc())
        if events is not None:
            _report(events, failure, whose)
        return FAILED_USER if whose == "user" else FAILED_SYSTEM


def explain(error: Exception) -> EngineError:
    """Any exception as an EngineError with a stable code."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EngineError("disk_full", str(error))
    text = str(error)
    memory = ("out of memory", "not enough memory", "can't allocate memory", "DefaultCPUAllocator")
    if isinstance(error, MemoryError) or any(sign in text for sign in memory):
        return EngineError("out_of_memory", text[:300])
    # The Rust side of safetensors has kinds of its own and keeps the errno in words.
    if "No space left on device" in text:
        return EngineError("disk_full", text[:300])
    return EngineError("internal", f"{type(error).__name__}: {text[:500]}")


def _report(events: EventLog, failure: EngineError, whose: str) -> None:
    try:
        events.emit("failed", **failure.as_dict(), whose=whose)
    except OSError as error:
        # On a full disk the exit code and this line are all that can be said.
        sys.stderr.write(json.dumps(failure.as_dict() | {"unlogged": str(error)}) + "\n")


def _read_spec_or_none(job: Path) -> Spec | None:
    """The spec, or None where it is wrong: the event log wants its token before the complaint."""
    try:
        return read_spec(job / "spec.json")
    except EngineError:
        return None


def _lock(job: Path) -> bool:
    """Hold JOB_DIR/lock until this process ends; a predecessor gets five seconds to die."""
    descriptor = os.open(job / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    for _ in range(50):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _die_with_supervisor() -> None:
    """Standard input ends when the supervisor dies. Then nobody renews the lease: write nothing more."""
    descriptor = sys.stdin.fileno()
    while os.read(descriptor, 4096):
        pass
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
