"""The one JSON reader: what it returns can be stored, hashed and sent on without a second look."""

import json
import math
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError

MAX_DEPTH = 64


class StrictJsonError(ApplicationError):
    """The text is not JSON that we take. `line` and `column` count from 1 within the text."""

    def __init__(
        self, code: str, detail: Any, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(code, detail, line=line)
        self.column = column


def loads(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON value. Raises StrictJsonError for anything doubtful, never another error.

    Refused beyond malformed text: another encoding than UTF-8 (a byte order mark is skipped),
    NaN and infinities (also as 1e999), a key given twice, nesting deeper than `max_depth`,
    numbers of thousands of digits, and strings with NUL or half a surrogate pair, which no
    database stores and no UTF-8 carries.
    """
    text = _decoded(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        raise StrictJsonError(
            "json_malformed",
            _("This is not valid JSON: %(reason)s.") % {"reason": error.msg},
            line=error.lineno,
            column=error.colno,
        ) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError:  # an integer of more digits than Python converts
        raise StrictJsonError("json_number", _("A number has too many digits.")) from None
    if text.count("[") + text.count("{") > max_depth or "\\u" in text:
        _inspect(value, max_depth)
    return value


def _decoded(text: str | bytes) -> str:
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise StrictJsonError("json_encoding", _("The text is not UTF-8."), line=line) from None
    if not text.isascii():
        _inspect(text, MAX_DEPTH)
    return text.removeprefix("\ufeff")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _value in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise StrictJsonError(
            "json_duplicate_key",
            _("The key “%(key)s” is given twice in one object.") % {"key": twice[:80]},
        )
    return found


def _refuse_constant(name: str) -> Any:
    raise StrictJsonError("json_number", _("%(name)s is not a JSON number.") % {"name": name})


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise StrictJsonError("json_number", _("A number is too large."))
    return number


def _inspect(value: Any, max_depth: int) -> None:
    """Walk the whole value without recursion: depth, and strings that cannot be stored."""
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_string(item)
            elif isinstance(item, dict):
                _check_strings(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        # A scalar at the bottom is not a level of nesting.
        if depth > max_depth and any(isinstance(item, dict | list) for item in level):
            raise _too_deep(max_depth)
        level = below


def _check_strings(strings: Iterable[str]) -> None:
    for string in strings:
        _check_string(string)


def _check_string(string: str) -> None:
    if "\x00" in string:
        raise StrictJsonError("json_nul", _("A string contains the character NUL."))
    if not string.isascii():
        try:
            string.encode("utf-8")
        except UnicodeEncodeError:
            raise StrictJsonError(
                "json_surrogate", _("A string contains half of a surrogate pair.")
            ) from None


def _too_deep(max_depth: int) -> StrictJsonError:
    return StrictJsonError(
        "json_too_deep",
        _("The JSON is nested deeper than %(limit)d levels.") % {"limit": max_depth},
    )
