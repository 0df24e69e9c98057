"""What an evaluation tells while it runs: JSON lines, appended, each with its fencing token."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events to a file; each is one write, so that a reader never sees half of one."""

    def __init__(self, path: Path, token: int) -> None:
        self._path = path
        self._token = token

    def write(self, type_: str, **figures: Any) -> None:
        event = {"token": self._token, "t": round(time.time(), 3), "type": type_, **figures}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        with self._path.open("ab", buffering=0) as handle:
            handle.write(line.encode("utf-8"))


class Progress:
    """Turns work done into `progress` events with an estimate, at most one a second."""

    def __init__(self, events: EventLog, total: float) -> None:
        self._events = events
        self._total = max(1.0, total)
        self._done = 0.0
        self._started = time.monotonic()
        self._told = 0.0

    def add(self, work: float) -> None:
        self._done = min(self._total, self._done + work)
        now = time.monotonic()
        if now - self._told < 1.0 and self._done < self._total:
            return
        self._told = now
        left = (now - self._started) * (self._total - self._done) / self._done
        self._events.write(
            "progress",
            done=round(self._done),
            total=round(self._total),
            eta_seconds=round(left, 1),
        )
