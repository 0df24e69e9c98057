"""A benchmark as somebody runs it, in a small size: what its last line says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def figures_of(name: str, *arguments: str, seconds: float = 380) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    print(done.stdout[-3000:])  # noqa: T201 - what pytest shows where an assertion fails
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
