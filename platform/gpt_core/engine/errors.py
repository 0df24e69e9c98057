"""The engine's one error: a stable code and figures. Sentences for people are made elsewhere."""

from __future__ import annotations

from typing import Any


class EngineError(Exception):
    """Something the engine refuses or cannot do.

    `code` is stable snake_case and is what callers translate; `detail` is English for logs;
    `line` is the line of the file as uploaded; `pointer` is a JSON pointer into that row.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        line: int | None = None,
        pointer: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.line = line
        self.pointer = pointer

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON; absent figures are left out."""
        document: dict[str, Any] = {"code": self.code, "detail": self.detail}
        if self.line is not None:
            document["line"] = self.line
        if self.pointer is not None:
            document["pointer"] = self.pointer
        return document
