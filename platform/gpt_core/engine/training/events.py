"""events.jsonl: what happened, in order, one JSON object a line, only ever appended."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events. A line that a killed writer left unfinished is cut off when the log is opened."""

    def __init__(self, path: Path, token: int) -> None:
        self._token = token
        _cut_torn_line(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def emit(self, kind: str, **figures: Any) -> None:
        """Append one event. Figures that are not finite become null: JSON knows no NaN."""
        event = {"type": kind, "token": self._token, "t": round(time.time(), 3)} | figures
        line = json.dumps(_finite(event), ensure_ascii=False, allow_nan=False) + "\n"
        content = line.encode("utf-8")
        written = os.write(self._descriptor, content)
        if written != len(content):
            # A nearly full disk takes half a line; the next write says why.
            os.write(self._descriptor, content[written:])

    def close(self) -> None:
        os.close(self._descriptor)


def read_events(path: Path) -> list[dict[str, Any]]:
    """Every complete event of a log."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines if line.strip()]


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as handle:
        content = handle.read()
        if content and not content.endswith(b"\n"):
            handle.truncate(content.rfind(b"\n") + 1)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
