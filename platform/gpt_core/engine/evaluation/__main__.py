"""The process. Exit codes as of training: 0 finished, 2 the user's failure, 3 the system's, 4
stopped by SIGTERM or by the supervisor's death."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ..errors import EngineError
from .events import EventLog
from .job import EVENTS, REPORT, read_spec

FINISHED, USER, SYSTEM, STOPPED = 0, 2, 3, 4

# What the tenant's rows or training brought about; the rest is ours to mend.
_USERS_CODES = frozenset(
    {
        "evaluation_loss_not_finite",
        "evaluation_without_rows",
        "checkpoint_not_finite",
        "invalid_json",
        "row_invalid",
        "row_unknown_format",
        "template_refused",
    }
)


class _Stopped(BaseException):
    """SIGTERM arrived. Not an Exception: nothing on the way may take it for a failure."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gpt_core.engine.evaluation",
        description="Measure a checkpoint against its base and the one that serves.",
    )
    parser.add_argument("job", type=Path, metavar="JOB_DIR", help="holds evaluation.json")
    folder: Path = parser.parse_args(arguments).job
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    before = signal.signal(signal.SIGTERM, _stop)
    if os.environ.get("PARLEY_SUPERVISED") == "1":
        threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        with (folder / "lock").open("ab") as lock:
            try:
                # Held until the process is gone, however it goes: two never write.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.error("another process works in %s", folder)
                return SYSTEM
            return _run(folder)
    except OSError as error:
        logging.error("%s", error)
        return SYSTEM
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(folder: Path) -> int:
    try:
        events = EventLog(folder / EVENTS, read_spec(folder).fencing_token)
    except EngineError as error:
        # Without a token nothing may be written for the supervisor to believe.
        logging.error("%s", error)
        return SYSTEM
    try:
        from .procedure import evaluate

        events.write("started")
        report = evaluate(folder)
    except _Stopped:
        events.write("stopped")
        return STOPPED
    except EngineError as error:
        whose = "user" if error.code in _USERS_CODES else "system"
        events.write("failed", **error.as_dict(), whose=whose)
        logging.error("%s", error)
        return USER if whose == "user" else SYSTEM
    except Exception as error:
        detail = "".join(traceback.format_exception(error))[-4000:]
        events.write("failed", code="evaluation_crashed", detail=detail, whose="system")
        logging.exception("the evaluation crashed")
        return SYSTEM
    events.write("finished", n=report["n"], seconds=report["seconds"], result=REPORT)
    return FINISHED


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped


def _end_with_supervisor() -> None:
    """End when the other end of stdin closes: a report nobody waits for is wasted work.

    By the descriptor: a thread inside sys.stdin's lock would abort the interpreter at its end.
    """
    while os.read(0, 1):
        pass
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
