"""A whole platform in a folder: web, engine with a tiny base, workers, as `make run` starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL) "
    "if sys.platform == 'linux' else None; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@dataclass
class Platform:
    """Where it listens, what its base is called, and the keys to it."""

    url: str
    engine_url: str
    base: str
    keys: dict[str, str]
    home: Path

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def engine_metrics(self) -> str:
        with urllib.request.urlopen(f"{self.engine_url}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


@contextmanager
def running_platform(home: Path) -> Iterator[Platform]:
    web_port, engine_port = free_port(), free_port()
    url, engine_url = (f"http://127.0.0.1:{port}" for port in (web_port, engine_port))
    environment = os.environ | {
        "PARLEY_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}",
        "DATABASE_URL": f"sqlite:///{home}/db.sqlite3",
        "CELERY_BROKER_URL": "filesystem://localhost",
        "GPT_ENGINES": json.dumps({"tiny-llama-0": {"url": engine_url}}),
        "PARLEY_BASE_MODEL": "tiny-llama-0",
        "PARLEY_LOG_LEVEL": "INFO",
        "PARLEY_JOB_HEARTBEAT_SECONDS": "1",
        "PARLEY_FILE_MOST_MB": "8",
        "OMP_NUM_THREADS": "1",
    }
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.live.seed"],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert seeded.returncode == 0, seeded.stderr[-3000:]
    made = json.loads(seeded.stdout.splitlines()[-1])
    celery = ["-m", "celery", "-A", "config", "worker", "-c", "1"]
    serving = ["-m", "gpt_core.engine.serving", "--base", made["folder"], "--threads", "1"]
    serving += [
        "--store",
        str(home / "checkpoints"),
        "--dtype",
        "float32",
        "--port",
        str(engine_port),
    ]
    web = ["-m", "uvicorn", "config.asgi:application", "--port", str(web_port), "--lifespan", "off"]
    web += ["--timeout-keep-alive", "75"]
    (home / "checkpoints").mkdir(exist_ok=True)
    with ExitStack() as stack:
        for name, arguments in {
            "engine": serving,
            "web": web,
            "worker": [*celery, "-Q", "default,answers", "-n", "worker@%h"],
            "long": [*celery, "-Q", "long", "-n", "long@%h"],
            "trainer": [*celery, "-Q", "training", "-n", "trainer@%h"],
        }.items():
            stack.enter_context(_process(name, arguments, environment, home))
        _await(f"{engine_url}/health")
        _await(f"{url}/v1/nothing")
        yield Platform(url, engine_url, made["base"], made["keys"], home)


@contextmanager
def _process(
    name: str, arguments: list[str], environment: dict[str, str], home: Path
) -> Iterator[None]:
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(url: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{url} does not answer")
