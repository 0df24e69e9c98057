"""JSON that wraps its rows: {"tickets": [...], "users": [...]}, as the answers of most APIs do."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from common import strict_json
from labeling.faults import Fault
from labeling.readers.jsonl import Array
from labeling.readers.lines import Piece
from labeling.readers.raw import RawRow

DEEPEST = 2
LONGEST_KEY = 1_000
_TOKEN = re.compile(r'"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*(?P<closed>"?)|[\[\]{},:]')


def read_json_sections(
    pieces: Iterable[Piece], wanted: Collection[str], *, limit: int
) -> Iterator[RawRow | Fault]:
    """The elements of the arrays that stand under one of these keys, at most DEEPEST objects deep.

    Whatever else the objects hold is passed over. `at` of a row begins with the key of its section;
    pages written one behind another are read one after another. `limit` is characters an element.
    """
    scan = _Sections(pieces, wanted)
    while (found := scan.next_section()) is not None:
        key, first = found
        array = Array(limit, (key,))
        yield from array.read(scan.pieces_from(first))
        scan.go_on(array.remainder)
        if array.remainder is None:
            return


def has_sections(pieces: Iterable[Piece], wanted: Collection[str], within: int) -> bool:
    """Whether such an array begins within so many characters."""
    return _Sections(_head(pieces, within), wanted).next_section() is not None


def _head(pieces: Iterable[Piece], within: int) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        within -= len(piece.text)
        if within < 0:
            return


class _Sections:
    """Walks over the tokens outside the wanted arrays, holding no more than one string."""

    def __init__(self, pieces: Iterable[Piece], wanted: Collection[str]) -> None:
        self._pieces = iter(pieces)
        self._wanted = wanted
        self._open: list[str] = []  # the brackets that we stand in
        self._key = ""  # the key whose value comes next, as it is written
        self._last = ""  # the string before a colon
        self._rest: Piece | None = None

    def pieces_from(self, first: Piece) -> Iterator[Piece]:
        # Not a generator: closing one would close the pieces behind it.
        return chain((first,), self._pieces)

    def go_on(self, rest: Piece | None) -> None:
        self._rest = rest
        self._key = ""

    def next_section(self) -> tuple[str, Piece] | None:
        """The key of the next wanted array and the text from its bracket on; None at the end."""
        while (piece := self._next()) is not None:
            position = 0
            text = piece.text
            while (token := _TOKEN.search(text, position)) is not None:
                sign = token.group()
                if sign[0] == '"' and not token["closed"] and not piece.ends_line:
                    following = next(self._pieces, None)
                    if following is None:
                        return None
                    # The string goes on; what is too long for a key is not kept.
                    begun = sign if len(sign) <= LONGEST_KEY else '"'
                    piece = Piece(piece.number, begun + following.text)
                    text, position = piece.text, 0
                    continue
                position = token.end()
                if sign == "[" and self._is_wanted():
                    return _text_of(self._key), Piece(piece.number, text[token.start() :])
                self._note(sign)
        return None

    def _next(self) -> Piece | None:
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        return next(self._pieces, None)

    def _is_wanted(self) -> bool:
        only_objects = len(self._open) <= DEEPEST and set(self._open) == {"{"}
        return only_objects and _text_of(self._key) in self._wanted

    def _note(self, sign: str) -> None:
        if sign[0] == '"':
            self._last = sign
        elif sign == ":":
            self._key = self._last
        else:
            self._key = ""
            if sign in "[{":
                self._open.append(sign)
            elif sign in "]}" and self._open:
                self._open.pop()


def _text_of(sign: str) -> str:
    try:
        return str(strict_json.loads(sign)) if sign else ""
    except strict_json.StrictJsonError:
        return ""
