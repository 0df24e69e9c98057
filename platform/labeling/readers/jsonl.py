"""JSON files: one object a line, or one array of objects laid out as its writer liked."""

import re
from collections.abc import Iterable, Iterator

from common import strict_json
from labeling.faults import Fault, pointer_to
from labeling.readers.lines import Line, Piece
from labeling.readers.raw import RawRow
from labeling.rows import MAX_ROW_BYTES

BLANK = " \t\r\n\ufeff"


def read_json_lines(lines: Iterable[Line]) -> Iterator[RawRow | Fault]:
    """One JSON value a line; blank lines are skipped, a bad line costs only itself."""
    rest = iter(lines)
    for line in rest:
        if line.text is None or line.text.strip(BLANK) != "{":
            yield from _value_on(line)
            continue
        # Either one damaged line, or an object that somebody laid out over many lines: then no
        # line can be a row, and one fault says it better than thousands.
        following = next(
            (line for line in rest if line.text is None or line.text.strip(BLANK)), None
        )
        if following is not None and not (following.text or "{").lstrip(BLANK).startswith("{"):
            yield Fault("json_over_many_lines", line.number)
            return
        yield from _value_on(line)
        if following is not None:
            yield from _value_on(following)


def _value_on(line: Line) -> Iterator[RawRow | Fault]:
    if line.text is None:
        yield Fault(line.code, line.number, figures={"limit": MAX_ROW_BYTES})
        return
    text = line.text.strip(BLANK)
    if text:
        yield parsed(text, line.number)


def parsed(text: str, line: int, at: str = "") -> RawRow | Fault:
    """One JSON value as a row, or the fault that it is."""
    try:
        return RawRow(line, strict_json.loads(text), at)
    except strict_json.StrictJsonError as error:
        if error.code == "json_malformed":
            on = line + (error.line or 1) - 1
            return Fault(error.code, on, at, {"column": error.column or 1})
        return Fault(error.code, line, at)


def read_json_array(
    pieces: Iterable[Piece], *, limit: int = MAX_ROW_BYTES
) -> Iterator[RawRow | Fault]:
    """The elements of the array that the text begins with, each with the line it begins on.

    What follows the end of the array is read as JSON Lines, so that a stray `[]` on the first line
    hides nothing below it. An element that never ends takes what stands behind it along; the
    fault says from which line on.
    """
    rest = iter(pieces)
    array = Array(limit)
    yield from array.read(rest)
    remainder = array.remainder
    if remainder is not None and remainder.text.strip(BLANK):
        yield Fault("json_after_array", remainder.number)
        # It has been reported; its line end must still count.
        remainder = Piece(remainder.number, "\n" if remainder.ends_line else "")
    yield from read_json_lines(_whole_lines(rest, remainder, limit))


def _whole_lines(pieces: Iterator[Piece], first: Piece | None, limit: int) -> Iterator[Line]:
    """Put the pieces of each line together again; one that is too long is skipped."""
    held: list[str] = []
    size = 0
    for piece in (piece for piece in _chained(first, pieces)):
        size += len(piece.text)
        if size <= limit:
            held.append(piece.text)
        if piece.ends_line:
            yield _line(piece.number, "".join(held), size > limit)
            held, size = [], 0
    if size:
        yield _line(piece.number, "".join(held), size > limit)


def _chained(first: Piece | None, pieces: Iterator[Piece]) -> Iterator[Piece]:
    if first is not None:
        yield first
    yield from pieces


def _line(number: int, text: str, is_too_long: bool) -> Line:
    if is_too_long:
        return Line(number, None, "line_too_long")
    if any("\udc80" <= character <= "\udcff" for character in text):
        return Line(number, None, "line_not_readable")
    return Line(number, text)


# All that matters to find where an element ends: whole strings, brackets and commas. A string that
# its line does not close is none in JSON; the parser will say so.
_TOKEN = re.compile(r'"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*(?P<closed>"?)|[\[\]{},]')
_STRING_GOES_ON = re.compile(r'[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*(?P<closed>"?)')


class Array:
    """Cuts a JSON array into the texts of its elements, never holding more than one."""

    def __init__(self, limit: int = MAX_ROW_BYTES, at: tuple[str | int, ...] = ()) -> None:
        self.remainder: Piece | None = None  # what stands behind the end of the array
        self._limit = limit
        self._at = at
        self._index = 0
        self._depth = -1  # 0 between the brackets of the array, more inside an element
        self._in_string = False
        self._after_comma = False
        self._begin()

    def _begin(self) -> None:
        self._held: list[str] = []
        self._size = 0
        self._line = 0

    def read(self, pieces: Iterator[Piece]) -> Iterator[RawRow | Fault]:
        number = 1
        for piece in pieces:
            number = piece.number
            yield from self._scan(piece)
            if self.remainder is not None:
                return
        broken_from = self._line or number
        if self._size:
            yield self._element()
        yield Fault("json_array_open", broken_from)

    def _scan(self, piece: Piece) -> Iterator[RawRow | Fault]:
        text = piece.text
        kept = position = 0
        if self._in_string:
            goes_on = _STRING_GOES_ON.match(text)
            assert goes_on is not None  # it matches the empty text, too
            self._in_string = not goes_on["closed"] and not piece.ends_line
            position = goes_on.end()
        for token in _TOKEN.finditer(text, position):
            sign = token.group()
            if sign[0] == '"':
                self._in_string = not token["closed"] and token.end() == len(text)
            elif sign in "[{":
                self._depth += 1
                if not self._depth:
                    kept = token.end()  # the bracket of the array itself
            elif self._depth and sign in "]}":
                self._depth -= 1
            elif not self._depth and sign in ",]":
                self._keep(text[kept : token.start()], piece.number)
                kept = token.end()
                if sign == "," or self._size or self._after_comma:
                    self._line = self._line or piece.number
                    yield self._element()
                self._after_comma = sign == ","
                if sign == "]":
                    self.remainder = Piece(piece.number, text[kept:])
                    return
        self._keep(text[kept:], piece.number)

    def _keep(self, text: str, number: int) -> None:
        if not self._size and not text.strip(BLANK):
            return
        self._line = self._line or number
        self._size += len(text)
        if self._size > self._limit:
            self._held.clear()
        else:
            self._held.append(text)

    def _element(self) -> RawRow | Fault:
        at = pointer_to(*self._at, self._index)
        text, size, line = "".join(self._held), self._size, self._line
        self._index += 1
        self._begin()
        if size > self._limit:
            return Fault("line_too_long", line, at, {"limit": self._limit})
        # The first line of the text counts, so blanks in front of it must not hide line ends.
        found = parsed(text.strip(BLANK), line, at)
        if isinstance(found, Fault) and any("\udc80" <= sign <= "\udcff" for sign in text):
            return Fault("line_not_readable", line, at)
        return found
