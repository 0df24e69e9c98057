"""What differs between the kinds of supervised work: how to begin, what to read, how to conclude."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from common.errors import ApplicationError
from common.strict_json import loads

from ..dispatch import Failure
from ..models import JobEvent, JobMetric, Supervised, Whose
from .lease import Lease


class WorkError(Exception):
    """An attempt cannot go on, and this is why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.detail}")
        self.failure = failure


@dataclass
class Reading:
    """What a piece of the event file says, as columns and rows."""

    changes: dict[str, Any] = field(default_factory=dict)
    metrics: list[JobMetric] = field(default_factory=list)
    events: list[JobEvent] = field(default_factory=list)
    trained_tokens: int = 0


class Work(ABC):
    """One attempt at one job."""

    EVENTS: ClassVar[str]
    row: Supervised

    def __init__(self, row: Supervised) -> None:
        self.row = row
        self.finished: dict[str, Any] | None = None
        self.failed: dict[str, Any] | None = None
        # Of which the tenant's usage knows by now.
        self.trained_tokens = 0

    @abstractmethod
    def prepare(self) -> Path:
        """Write the job folder; raises WorkError where that cannot be done."""

    @abstractmethod
    def command(self, folder: Path) -> list[str] | None:
        """The next process to run, or None where there is nothing left but to conclude."""

    @abstractmethod
    def read(self, event: dict[str, Any], reading: Reading) -> None:
        """Add what an event says. An event of an earlier attempt may come in: figures stay true,
        what it says of its own end does not concern us."""

    @abstractmethod
    def conclude(self, folder: Path, lease: Lease) -> None:
        """Make the result durable and end the row, in one fenced transaction."""

    def is_mine(self, event: dict[str, Any]) -> bool:
        return event.get("token") == self.row.fencing_token

    def hear_the_end(self, event: dict[str, Any]) -> None:
        if self.is_mine(event):
            if event["type"] == "finished":
                self.finished = event
            elif event["type"] == "failed":
                self.failed = event

    def failure(self, code: int, folder: Path) -> Failure:
        """What an exit status means. What the process itself said is believed before the status."""
        if self.failed is not None:
            said = self.failed
            return Failure(
                text(said.get("code"), "engine_failed"),
                Whose.USER if said.get("whose") == Whose.USER or code == 2 else Whose.SYSTEM,
                text(said.get("detail")),
                whole(said.get("line")),
                text(said.get("pointer")),
            )
        if code < 0:
            return Failure("process_killed", detail=f"signal {-code}")
        return Failure("process_ended", detail=f"exit status {code} without a result")


def engine(module: str, *arguments: str) -> list[str]:
    """The command of an engine process. torch lives there, never in the one that supervises."""
    return [sys.executable, "-m", f"gpt_core.engine.{module}", *arguments]


def json_of(path: Path) -> dict[str, Any]:
    """The object in a file that a process wrote; empty where there is none that can be read."""
    try:
        return mapping(loads(path.read_bytes()))
    except (OSError, ApplicationError):
        return {}


def text(value: Any, otherwise: str = "") -> str:
    return value if isinstance(value, str) and value else otherwise


def whole(value: Any) -> int | None:
    """A count that fits the column; a process may say anything."""
    return value if type(value) is int and 0 <= value < 2**62 else None


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
