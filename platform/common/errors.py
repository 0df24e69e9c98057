"""The error that the product raises on purpose: a stable code for machines, a sentence for people."""

from collections.abc import Mapping
from typing import Any


class ApplicationError(Exception):
    """Something the caller asked for cannot be done, and we can say why.

    `code` is stable snake_case and part of the API. `detail` is a (lazily translated) sentence.
    `field` names the input at fault, as a dotted path. `line` is the line of the file as it was
    uploaded, counted from 1. `status_hint` is what an HTTP door should answer; no layer below the
    doors looks at it. `extra` travels into the problem document as it is.
    """

    code = "refused"
    status_hint = 400

    def __init__(
        self,
        code: str,
        detail: Any,
        *,
        field: str | None = None,
        line: int | None = None,
        status_hint: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.line = line
        if status_hint is not None:
            self.status_hint = status_hint
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        where = "".join(
            [
                f" (field {self.field})" if self.field else "",
                f" (line {self.line})" if self.line else "",
            ]
        )
        return f"{self.code}: {self.detail}{where}"


class NotFoundError(ApplicationError):
    """What was named does not exist here. Another tenant's row is exactly as absent as no row."""

    status_hint = 404

    def __init__(self, detail: Any = "Not found.") -> None:
        super().__init__("not_found", detail)


class ConflictError(ApplicationError):
    """The request is right in itself and does not fit the state that the row is in."""

    status_hint = 409
