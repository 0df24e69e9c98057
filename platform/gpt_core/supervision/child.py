"""A process of the engine, in a group of its own, that cannot outlive who started it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

RECORD = "process.json"
LOG = "process.log"
MOST_LOG_BYTES = 20_000_000
# What a process may know of its surroundings. Keys, passwords and database addresses stay here.
_ENVIRONMENT = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_HOME",
        "NVIDIA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "OMP_WAIT_POLICY",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "HF_HOME",
        "XDG_CACHE_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "PARLEY_FLEET",
        "PARLEY_HOME",
    ]
)


def clean_environment(*, offline: bool = True) -> dict[str, str]:
    """An environment without secrets; without the network too, unless a base is to be fetched."""
    # A thread that spins while it waits keeps the core from the one it waits for: beside another busy
    # process training fell from 480 to 30 tokens a second.
    kept = {"OMP_WAIT_POLICY": "PASSIVE"}
    kept |= {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    kept |= {
        "PYTHONPATH": str(Path(settings.BASE_DIR) / "platform"),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if offline:
        kept |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return kept


class Child:
    """A running process. Its standard input is a pipe that nobody writes to: its end means that the
    supervisor is gone."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        end_leftover(folder)
        self.folder = folder
        self._deadline: float | None = None
        parent = os.getpid()
        with (folder / LOG).open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment() | {"PARLEY_SUPERVISED": "1"},
                start_new_session=True,
                preexec_fn=lambda: _die_with(parent),
            )
        _write_record(folder, self.process.pid)

    def wait(self, seconds: float) -> int | None:
        """The exit status (negative: the signal that killed it), or None if it still runs then."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def terminate(self, grace: float) -> None:
        """Ask it to stop at its next step; `wait` kills it when the grace is over."""
        if self._deadline is None:
            self._deadline = time.monotonic() + grace
            _signal_group(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group now."""
        _signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Leave nothing behind, whether or not the leader has ended by itself."""
        self.kill()
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        # A successor may have written its own record here meanwhile.
        if _recorded(self.folder)[0] == self.process.pid:
            (self.folder / RECORD).unlink(missing_ok=True)

    def trim_log(self) -> None:
        """Keep a process that floods its log from filling the disk. It appends, so this is safe."""
        log = self.folder / LOG
        with contextlib.suppress(OSError):
            if log.stat().st_size > MOST_LOG_BYTES:
                os.truncate(log, 0)


def end_leftover(folder: Path) -> None:
    """Kill what an earlier supervisor of this folder left running on this machine.

    A supervisor that was stopped past its lease still has its child; two must never train one job.
    """
    pid, born = _recorded(folder)
    # A process id is used again by the system: only the one born at that moment is ours.
    if pid and born and _birth(pid) == born:
        _signal_group(pid, signal.SIGKILL)
        _await_end(pid, born)
    (folder / RECORD).unlink(missing_ok=True)


def _recorded(folder: Path) -> tuple[int, str]:
    try:
        record = json.loads((folder / RECORD).read_text())
        return int(record["pid"]), str(record["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def _await_end(pid: int, born: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while _birth(pid) == born and time.monotonic() < deadline:
        time.sleep(0.02)


def _write_record(folder: Path, pid: int) -> None:
    aside = folder / f".{RECORD}.{pid}"
    aside.write_text(json.dumps({"pid": pid, "born": _birth(pid) or ""}))
    aside.replace(folder / RECORD)


def _birth(pid: int) -> str | None:
    """When a living process was born, in the kernel's ticks; None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _die_with(parent: int) -> None:
    """Runs in the child before exec: Linux kills it when its parent is gone, however that went."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _signal_group(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, which)
