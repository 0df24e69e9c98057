"""Reading the events that a process writes, a piece at a time and never a line twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import ApplicationError
from common.strict_json import loads

PIECE = 1 << 20
MOST_BYTES = 256 << 20


class Tail:
    """The events after `offset`. The caller keeps the offset where the events were kept."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        # A shorter file is another file: the folder was made anew on this machine.
        self.offset = offset if offset <= self._size() else 0

    @property
    def is_flooded(self) -> bool:
        return self._size() > MOST_BYTES

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """The whole lines of the next piece, and the offset behind them. Moves nothing by itself."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                piece = file.read(PIECE)
        except FileNotFoundError:
            return [], self.offset
        end = piece.rfind(b"\n") + 1
        if not end and len(piece) == PIECE:
            end = PIECE  # a line without end is no event
        return list(_events(piece[:end])), self.offset + end

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def _events(piece: bytes) -> Iterator[dict[str, Any]]:
    for line in piece.split(b"\n"):
        if not line.strip():
            continue
        try:
            event = loads(line)
        except ApplicationError:
            # A line torn by a kill; the process that resumed says everything after it again.
            continue
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            yield event
