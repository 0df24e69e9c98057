"""The broker is a doorbell: it may ring too often, at the wrong time, or not at all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import missing_service

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(400)


def require(url: str, port: int) -> None:
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "", place.port or port), timeout=3).close()
    except OSError as error:
        missing_service(f"no broker answers at {place.hostname}:{place.port or port}: {error}")


def told_with(broker: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpt_core.broker_scenario", broker],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def check(told: dict[str, Any]) -> None:
    """A flood of messages ran each job once; a shutdown handed it over; a loss cost nothing, and a
    supervisor given up for dead stayed dead."""
    assert told["flood"] == {
        "states": ["succeeded"] * 3,
        "runs": [1, 1, 1],
        "attempts": [1, 1, 1],
        "checkpoints": [1, 1, 1],
    }
    assert told["shutdown"]["seconds"] < 5
    assert told["shutdown"]["exit"] == 0
    assert told["shutdown"]["job"]["runs"] == [1]
    assert told["shutdown"]["job"]["attempts"] == [2]
    # The supervisor that was stopped past its lease wrote nothing once it woke up.
    frozen = told["frozen"]
    assert (frozen["job"]["attempts"], frozen["job"]["checkpoints"]) == ([2], [1])
    assert (frozen["unchanged"], frozen["alive"], frozen["stored"]) == (True, True, 1)
    assert told["lost"]["runs"] == [1]
    assert told["lost"]["states"] == ["succeeded"]


@pytest.mark.slow
def test_no_broker_server_at_all_a_folder_is_enough() -> None:
    check(told_with("filesystem://"))


@pytest.mark.broker
def test_redis_may_flood_and_forget() -> None:
    url = os.environ.get("PARLEY_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    require(url, 6379)
    # A database of its own, so that no other worker on this server hears our bell.
    check(told_with(f"{url.rsplit('/', 1)[0]}/{os.getpid() % 14 + 1}"))


@pytest.mark.broker
def test_rabbitmq_may_flood_and_forget() -> None:
    check(
        told_with(os.environ.get("PARLEY_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"))
    )
