"""The processes of one machine: started together, watched together, stopped together.

Nothing outlives the parent. Ctrl-C and SIGTERM stop every process group in order; when the parent
itself is killed outright, the kernel takes its children along (Linux). Every process and whatever it
starts carries the home's mark in its environment, so that a stop, and the next start after a kill,
finds even grandchildren in groups of their own.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 15.0
CALM_SECONDS = 60.0
MARK = "PARLEY_FLEET"
MOST_RESTARTS = 5


class AlreadyRunningError(Exception):
    """Another Parley runs from the same home."""


class ProcessError(Exception):
    """A process did not become ready; `log` is the file that says why."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


def _die_with_parent() -> None:
    """Runs in the child before exec: Linux sends it SIGKILL when its parent is gone."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


@dataclass
class Program:
    """One process to keep alive: its name, its command, and when it counts as ready."""

    name: str
    command: list[str]
    ready: Callable[[], bool] = lambda: True
    environment: dict[str, str] = field(default_factory=dict)
    patience_seconds: float = 60.0


@dataclass
class Running:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    restarts: int = 0


class Fleet:
    """Every process that belongs to this start, each with a log of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self.running: list[Running] = []

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the home for one start at a time and end what an earlier one left behind."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.home / "run.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AlreadyRunningError(str(self.home)) from error
            end_marked(self.home)
            try:
                yield
            finally:
                self.stop()

    def start(self, program: Program) -> Running:
        log = self.logs / f"{program.name}.log"
        _keep_one_old(log)
        with log.open("ab") as out:
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    MARK: str(self.home),
                    **program.environment,
                },
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        running = Running(program, process, log, time.monotonic())
        self.running.append(running)
        return running

    def wait_ready(self, running: Running) -> None:
        """Return when the program answers; raise ProcessError when it ended or took too long."""
        deadline = time.monotonic() + running.program.patience_seconds
        while not running.program.ready():
            if running.process.poll() is not None:
                raise ProcessError(f"{running.program.name} ended at its start", running.log)
            if time.monotonic() > deadline:
                raise ProcessError(f"{running.program.name} is not ready in time", running.log)
            time.sleep(0.1)

    def mend(self) -> list[str]:
        """Start again what has ended. Returns the names; raises when one keeps ending."""
        mended = []
        for running in list(self.running):
            if running.process.poll() is None:
                continue
            self.running.remove(running)
            calm = time.monotonic() - running.started > CALM_SECONDS
            restarts = 0 if calm else running.restarts + 1
            if restarts > MOST_RESTARTS:
                raise ProcessError(f"{running.program.name} keeps ending", running.log)
            time.sleep(min(2**restarts / 4, 8))
            self.start(running.program).restarts = restarts
            mended.append(running.program.name)
        return mended

    def stop(self) -> None:
        """End every process group, the last started first: politely, then for good."""
        for running in reversed(self.running):
            _signal_group(running.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for running in reversed(self.running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            _signal_group(running.process.pid, signal.SIGKILL)
            running.process.wait()
        self.running.clear()
        end_marked(self.home)


def end_marked(home: Path) -> None:
    """Kill what still carries the mark of `home`, whoever started it, and see it gone.

    Linux; elsewhere it finds none. What cannot be killed within STOP_SECONDS is left.
    """
    deadline = time.monotonic() + STOP_SECONDS
    # Again and again: a process that dies may have started another just before.
    while (marked := marked_processes(home)) and time.monotonic() < deadline:
        for pid in marked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def marked_processes(home: Path) -> list[int]:
    """The process ids, but for our own, that carry the mark of `home`. A zombie carries nothing."""
    wanted = f"{MARK}={home}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = wanted in (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def _signal_group(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, which)


def _keep_one_old(log: Path, most_bytes: int = 10 * 1024 * 1024) -> None:
    if log.exists() and log.stat().st_size > most_bytes:
        log.replace(log.with_suffix(".log.1"))


def port_is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def answers(url: str) -> Callable[[], bool]:
    """A readiness check: does `url` answer 200?"""
    import urllib.error
    import urllib.request

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return check
