"""A Parley of its own in a folder: a real database file, a real broker, real workers and trainers.

Settings are read once per process, so this runs in a process that does nothing else: a benchmark, or a
scenario that a test starts. `Home.make` must come before anything that imports Django's models.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL) "
    "if sys.platform == 'linux' else None; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Home:
    """The folder, its processes, and what they need to know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, list[str]] = {}

    @classmethod
    def make(cls, folder: Path, *, broker: str = "filesystem://", **environment: str) -> Home:
        """Set the environment, wake Django, migrate."""
        os.environ |= {
            "PARLEY_HOME": str(folder / "home"),
            "DATABASE_URL": f"sqlite:///{folder}/home/db.sqlite3",
            "CELERY_BROKER_URL": broker,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PARLEY_LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
            "PARLEY_JOB_LEASE_SECONDS": "5",
            "PARLEY_JOB_HEARTBEAT_SECONDS": "1",
            "PARLEY_JOB_RETRY_SECONDS": "0",
            "PARLEY_JOB_CHECKPOINT_SECONDS": "1",
        } | environment
        home = cls(folder / "home")
        for part in ("", "bases", "checkpoints", "jobs", "logs", "broker/queue", "broker/control"):
            (home.folder / part).mkdir(parents=True, exist_ok=True)
        if str(ROOT / "platform") not in sys.path:
            sys.path.append(str(ROOT / "platform"))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        return home

    def make_tenant(self) -> Any:
        from tenancy.models import Tenant
        from tenancy.scope import system_scope

        with system_scope("test: a tenant"):
            return Tenant.objects.create(slug="acme", name="极致")

    def make_tiny_base(self) -> Any:
        """A base of two layers in the home, made by a process so that no torch is imported here."""
        work = self.folder.parent / "tiny"
        script = (
            "import json, pathlib; from tests.tiny import tiny_base; "
            f"b = tiny_base(pathlib.Path({str(work)!r})); "
            "print(json.dumps([b.name, b.digest, b.folder.name, b.architecture, b.parameters, b.context]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
            check=True,
            capture_output=True,
            text=True,
        )
        import json

        from gpt_core.models import BaseModel

        name, digest, folder, architecture, parameters, context = json.loads(
            done.stdout.splitlines()[-1]
        )
        shutil.move(work / "bases" / folder, self.folder / "bases" / folder)
        return BaseModel.objects.create(
            name=name,
            digest=digest,
            folder_name=folder,
            architecture=architecture,
            parameters=parameters,
            context=context,
        )

    def start_trainer(self, name: str, *, module: str = "celery") -> subprocess.Popen[bytes]:
        """A worker of the training queue, as `make run` starts one."""
        arguments = ["-A", "config", "worker", "-Q", "training", "-c", "1", "-n", f"{name}@%h"]
        return self.start(name, ["-m", module, *arguments])

    def start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        self.commands[name] = arguments
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", DIE_WITH_PARENT, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def mend(self) -> list[str]:
        """Start again what has died, as whatever runs these processes would."""
        dead = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in dead:
            self.start(name, self.commands[name])
        return dead

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    @contextmanager
    def running(self) -> Iterator[Home]:
        try:
            yield self
        finally:
            self.stop()


def wait_until(what: Callable[[], Any], seconds: float, every: float = 0.1) -> Any:
    """What `what` gives once it is true; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)
    return found


def children_of(pid: int) -> list[int]:
    """The living children of a process (Linux)."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
