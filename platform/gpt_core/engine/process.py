"""What the processes beside training share: the lock, the signals, and how an end is told.

Exit codes as of training: 0 finished, 2 the user's failure, 3 the system's, 4 stopped by SIGTERM or by the
supervisor's death.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from .errors import EngineError
from .evaluation.events import EventLog

FINISHED, USER, SYSTEM, STOPPED = 0, 2, 3, 4


class _Stopped(BaseException):
    """SIGTERM arrived. Not an Exception: nothing on the way may take it for a failure."""


def run_alone(folder: Path, run: Callable[[Path], int]) -> int:
    """Run in a job folder that no other process works in, ended by SIGTERM or with the supervisor."""
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
            return run(folder)
    except OSError as error:
        logging.error("%s", error)
        return SYSTEM
    finally:
        signal.signal(signal.SIGTERM, before)


def told(
    events: EventLog,
    work: Callable[[], dict[str, Any]],
    *,
    users_codes: Collection[str],
    crash: str,
) -> int:
    """Do the work and write how it ended as the last event; what it returns is said with "finished"."""
    try:
        events.write("started")
        said = work()
    except _Stopped:
        events.write("stopped")
        return STOPPED
    except EngineError as error:
        whose = "user" if error.code in users_codes else "system"
        events.write("failed", **error.as_dict(), whose=whose)
        logging.error("%s", error)
        return USER if whose == "user" else SYSTEM
    except Exception as error:
        detail = "".join(traceback.format_exception(error))[-4000:]
        events.write("failed", code=crash, detail=detail, whose="system")
        logging.exception(crash)
        return SYSTEM
    events.write("finished", **said)
    return FINISHED


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped


def _end_with_supervisor() -> None:
    """End when the other end of stdin closes: a result nobody waits for is wasted work.

    By the descriptor: a thread inside sys.stdin's lock would abort the interpreter at its end.
    """
    while os.read(0, 1):
        pass
    os._exit(STOPPED)
