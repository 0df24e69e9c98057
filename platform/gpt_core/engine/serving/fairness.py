"""Whose turn it is: a virtual token counter per group (VTC, OSDI 2024), work-conserving.

A group is a tenant: the one that the gateway names, else the part of an adapter's name before the first dot.
Each is charged what it is served; of those that wait, the one served least comes next. A group that was away
is lifted to the least of those present, so that silence earns no credit.
"""

from __future__ import annotations

from collections import deque

from .requests import Request

# Reading a prompt token is cheaper than writing one.
_READING = 1.0
_WRITING = 2.0


class FairQueue:
    """Requests that wait, one line per group."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Request]] = {}
        self._served: dict[str, float] = {}
        self._present: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def add(self, request: Request) -> None:
        """Put a request at the end of its group's line."""
        group = request.group
        if not self._present.get(group):
            floor = min((self._served[name] for name in self._present), default=0.0)
            self._served[group] = max(self._served.get(group, 0.0), floor)
        self._present[group] = self._present.get(group, 0) + 1
        self._lines.setdefault(group, deque()).append(request)

    def next(self) -> Request | None:
        """The request whose turn it is, still in its line; None if nobody waits."""
        if not self._lines:
            return None
        group = min(self._lines, key=lambda name: self._served[name])
        return self._lines[group][0]

    def take(self, request: Request) -> None:
        """Remove a request that is served now, or was cancelled."""
        line = self._lines[request.group]
        line.remove(request)
        if not line:
            del self._lines[request.group]

    def waiting(self) -> list[Request]:
        """All that wait."""
        return [request for line in self._lines.values() for request in line]

    def charge(self, group: str, *, read: int = 0, written: int = 0) -> None:
        """Count what a group was served."""
        self._served[group] = self._served.get(group, 0.0) + _READING * read + _WRITING * written

    def leave(self, request: Request) -> None:
        """A request of the group is done. The counters of groups that are gone are kept only while others stay."""
        group = request.group
        self._present[group] -= 1
        if not self._present[group]:
            del self._present[group]
        if not self._present:
            self._served.clear()
