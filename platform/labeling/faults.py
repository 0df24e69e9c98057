"""What is wrong with a row: where it stands, a stable code, and the figures of its sentence.

Readers make faults without knowing any language; the sentences are made when somebody reads them
(labeling.fault_text), so that a stored report can be read in English and in Chinese.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FAULTS_KEPT = 100

Figures = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that somebody has to put right in the file.

    `line` counts from 1 in the file as it was uploaded; None means the file as a whole.
    `pointer` is a JSON pointer (RFC 6901) into the document on that line, "" the document itself;
    in a table it names the column.
    """

    code: str
    line: int | None = None
    pointer: str = ""
    figures: Figures = field(default_factory=dict)

    @property
    def message(self) -> str:
        from labeling.fault_text import message

        return message(self.code, self.figures)

    @property
    def fix(self) -> str:
        from labeling.fault_text import fix

        return fix(self.code, self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For people: with its sentences, in the language that is active now."""
        return {
            "line": self.line,
            "pointer": self.pointer,
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
        }

    def as_record(self) -> dict[str, Any]:
        """For keeping: without sentences. `from_record` reads it back."""
        return {
            "line": self.line,
            "pointer": self.pointer,
            "code": self.code,
            "figures": dict(self.figures),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Fault":
        return cls(record["code"], record["line"], record["pointer"], record["figures"])


class FaultLog:
    """Counts every fault and keeps the first hundred, so that a hopeless file costs no memory."""

    def __init__(self, limit: int = FAULTS_KEPT) -> None:
        self.limit = limit
        self.kept: list[Fault] = []
        self.by_code: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.by_code.total()

    def add(self, fault: Fault) -> None:
        self.by_code[fault.code] += 1
        if len(self.kept) < self.limit:
            self.kept.append(fault)

    def add_all(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.add(fault)


def excerpt(text: str, length: int = 40) -> str:
    """A short piece of the user's text, fit to stand inside a sentence."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return "".join(character if character.isprintable() else "�" for character in cut)


def pointer_to(*steps: str | int) -> str:
    """A JSON pointer from its steps, escaped as RFC 6901 asks."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
