"""Which worker this is, and which of those that were here before have died."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def worker_name() -> str:
    """This machine, this start of it, this set of processes, and the process: nothing else is called so."""
    return f"{place()}:{os.getpid()}"


@cache
def place() -> str:
    """Where a process id means what it means here. Containers may share a name, not all of this."""
    boot = _read("/proc/sys/kernel/random/boot_id")[:8]
    try:
        processes = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        processes = ""
    return f"{os.uname().nodename[:120]}/{boot}/{processes}"


def is_dead(worker: str) -> bool:
    """Certainly dead: it was here, and no process has its number now. Elsewhere nobody can tell."""
    where, _colon, pid = worker.rpartition(":")
    if where != place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
