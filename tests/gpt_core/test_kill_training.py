"""kill -9 of whatever takes part in a training, at random moments, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="finds its victims in /proc")
def test_three_kills_lose_nothing_and_the_weights_are_those_of_an_undisturbed_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kill_training", "--kills", "3", "--seed", "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    wrong = {key: figures[key] for key in ("lost", "corrupt", "duplicated", "inexact")}
    assert wrong == dict.fromkeys(wrong, 0), done.stdout[-3000:]
    assert figures["kills"] == 3
