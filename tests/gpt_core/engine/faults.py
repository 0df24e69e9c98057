"""A file system that fails, or kills its process, at the n-th request."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest


class Faults:
    """Counts what publication asks of the file system, and lets the n-th request fail or kill."""

    def __init__(self, at: int, *, kill: bool) -> None:
        self.at, self.kill = at, kill
        self.count = 0

    def strike(self, call: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count == self.at and not self.kill:
            raise OSError(errno.EIO, "broken disk")
        mine = self.count
        try:
            return call()
        finally:
            if mine == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for owner, name in (
            (os, "open"),
            (os, "fsync"),
            (os, "rename"),
            (os, "mkdir"),
            (os, "close"),
        ):
            patch.setattr(owner, name, self._wrap(getattr(owner, name)))
        opening = io.open

        def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            handle = self.strike(lambda: opening(file, mode, *args, **kwargs))
            return FaultyHandle(handle, self) if "w" in mode else handle

        patch.setattr(io, "open", open_)

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.strike(lambda: call(*args, **kwargs))


class FaultyHandle:
    """A file open for writing, whose writes and closing count."""

    def __init__(self, handle: Any, faults: Faults) -> None:
        self._handle, self._faults = handle, faults

    def write(self, content: bytes) -> int:
        half = len(content) // 2
        if self._faults.count + 1 == self._faults.at:
            # A disk that breaks has often taken a part.
            self._handle.write(content[:half])
            self._handle.flush()
        return int(self._faults.strike(lambda: self._handle.write(content)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def __enter__(self) -> FaultyHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self._handle.close()
