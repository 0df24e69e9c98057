"""Job folders of forty small rows, as the supervisor writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpt_core.engine.bases import Base
from gpt_core.engine.training.events import read_events

PLATFORM = Path(__file__).parents[4] / "platform"
ROWS: list[dict[str, Any]] = [
    {
        "id": str(n),
        "line": n + 2,
        "prompt": f"When do you open {n}?" + " 退货" * (n % 5),
        "completion": answer,
    }
    for n, answer in enumerate(["We open at nine in the morning.", "退货需要三到五个工作日。"] * 20)
]


def make_job(
    folder: Path,
    base: Base,
    *,
    rows: list[dict[str, Any]] | None = None,
    method: dict[str, Any] | None = None,
    validation: int = 6,
    **more: Any,
) -> Path:
    """A job folder; `more` goes into the hyperparameters, but for the keys that stand beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ROWS if rows is None else rows
    beside = {
        key: more.pop(key)
        for key in ("seed", "precision", "checkpoint_every_seconds")
        if key in more
    }
    spec = {
        "format": 1,
        "base": str(base.folder),
        "method": {"type": "lora", "rank": 2} | (method or {}),
        "hyperparameters": {"batch_size": 4, "epochs": 1, "validation_every": 3} | more,
        "seed": 5,
        "precision": "float32",
        "fencing_token": 7,
    } | beside
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    cut = len(rows) - validation
    for name, part in (("train", rows[:cut]), ("validation", rows[cut:]), ("test", rows[cut:])):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def command(job: Path) -> list[str]:
    return [sys.executable, "-m", "gpt_core.engine.training", str(job)]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PLATFORM)} | more


def train(job: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the training process to its end."""
    return subprocess.run(
        command(job),
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=110,
    )


def events_of(job: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in read_events(job / "events.jsonl") if event["type"] == kind]


def weights_of(job: Path) -> bytes:
    """The bytes of the best weights."""
    name = "adapter_model.safetensors"
    path = job / "best" / name
    return path.read_bytes() if path.exists() else (job / "best" / "model.safetensors").read_bytes()
