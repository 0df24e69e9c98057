"""What a reader hands on: a value with the place it came from, before anybody asks what it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labeling.faults import Fault, Figures, pointer_to


@dataclass(frozen=True, slots=True)
class RawRow:
    """`line` is where the row begins in the file as uploaded; `at` is the pointer to it there.

    `names` says, for a table, which column each key of `value` was read from.
    """

    line: int
    value: Any
    at: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    def fault(self, code: str, steps: tuple[str | int, ...], figures: Figures) -> Fault:
        """A fault of this row, at a place inside its value."""
        if steps and steps[0] in self.names:
            steps = (self.names[str(steps[0])], *steps[1:])
        return Fault(code, self.line, self.at + pointer_to(*steps), figures)
