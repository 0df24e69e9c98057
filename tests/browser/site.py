"""A whole site in a folder of its own: the database, the web process, and the engine in small."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.browser.engine import BASE
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """A running site: where it is, and the ids that its pages stand under."""

    url: str
    ids: dict[str, str]
    start_engine: Callable[[], subprocess.Popen[bytes]]
    engine: subprocess.Popen[bytes]
    environment: dict[str, str]

    @contextmanager
    def without_engine(self) -> Iterator[None]:
        """The engine's process is gone meanwhile, and started anew afterwards."""
        self.engine.terminate()
        self.engine.wait(timeout=10)
        yield
        self.engine = self.start_engine()

    @contextmanager
    def with_worker(self) -> Iterator[None]:
        """What waits for a worker is done meanwhile."""
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.worker"], cwd=ROOT, env=self.environment
        )
        yield
        worker.terminate()
        worker.wait(timeout=10)

    @property
    def uploads(self) -> str:
        return self.environment["PARLEY_UPLOADS_ORIGIN"]

    def tenant(self, path: str = "") -> str:
        return f"{self.url}/t/acme/{path}"

    def job(self, name: str) -> str:
        return self.tenant(f"jobs/{self.ids[name]}/")


@contextmanager
def running_site(home: Path) -> Iterator[Site]:
    """Started afresh, seeded, and gone afterwards."""
    web_port, engine_port = free_port(), free_port()
    environment = os.environ | {
        "PARLEY_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}",
        "GPT_ENGINES": f'{{"{BASE}": "http://127.0.0.1:{engine_port}"}}',
        "CELERY_BROKER_URL": "memory://",
        "PARLEY_LOG_LEVEL": "WARNING",
        # Portal, shop, panel and uploads: four origins, which a browser finds on this machine by itself.
        "PARLEY_HOSTS": "127.0.0.1,localhost,widget.localhost",
        "PARLEY_WIDGET_ORIGINS": f"http://widget.localhost:{web_port}",
        "PARLEY_UPLOADS_ORIGIN": f"http://files.localhost:{web_port}",
    }
    environment.pop("DATABASE_URL", None)
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.browser.seed"],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    ids = dict(line.split("=", 1) for line in seeded.stdout.splitlines() if "=" in line)
    log = (home / "site.log").open("wb")

    def start_engine() -> subprocess.Popen[bytes]:
        started = _serve("tests.browser.engine:app", engine_port, environment, log)
        _await(f"http://127.0.0.1:{engine_port}/health", started)
        return started

    web = _serve("config.asgi:application", web_port, environment, log)
    site = Site(f"http://127.0.0.1:{web_port}", ids, start_engine, start_engine(), environment)
    try:
        _await(f"http://127.0.0.1:{web_port}/accounts/login/", web)
        yield site
    finally:
        for process in (web, site.engine):
            process.terminate()
        for process in (web, site.engine):
            process.wait(timeout=10)
        log.close()


def _serve(
    application: str, port: int, environment: dict[str, str], log: object
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port),
            "--log-level", "warning", "--timeout-graceful-shutdown", "2",
        ],
        cwd=ROOT, env=environment, stdout=log, stderr=log,  # type: ignore[call-overload]
    )  # fmt: skip


def _await(url: str, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the process behind {url} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{url} does not answer")
