"""Lines of a file of any size in bounded memory, numbered as an editor numbers them."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from labeling.readers.encodings import CHUNK, Encoding, as_utf_8, line_codec
from labeling.rows import MAX_ROW_BYTES


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its line end. `text` is None where it could not be read: `code` says why."""

    number: int
    text: str | None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A line or a part of one. Bytes that could not be read stand in it as lone surrogates."""

    number: int
    text: str

    @property
    def ends_line(self) -> bool:
        return self.text.endswith(("\n", "\r"))


class TextSource:
    """The bytes of one file and what they mean. `consumed` counts the bytes read so far."""

    def __init__(self, stream: BinaryIO, encoding: Encoding) -> None:
        self.encoding = encoding
        self.consumed = 0
        self._stream = stream

    def chunks(self) -> Iterator[bytes]:
        self._stream.seek(self.encoding.mark)
        while chunk := self._stream.read(CHUNK):
            self.consumed += len(chunk)
            yield chunk

    def lines(self, limit: int = MAX_ROW_BYTES) -> Iterator[Line]:
        """Whole lines; one longer than `limit` bytes is skipped without ever being held.

        A line ends at LF, CR LF or a lone CR, and nowhere else: U+2028 or a vertical tab inside a
        text belongs to the text.
        """
        codec = line_codec(self.encoding)
        for number, data in enumerate(self._split(limit), start=1):
            if data is None:
                yield Line(number, None, "line_too_long")
                continue
            try:
                yield Line(number, data.decode(codec))
            except UnicodeDecodeError:
                yield Line(number, None, "line_not_readable")

    def _split(self, limit: int) -> Iterator[bytes | None]:
        """Each line with its end; None for one that is too long."""
        pending = b""
        skipping = False
        for chunk in as_utf_8(self.chunks(), self.encoding):
            # bytes.splitlines knows exactly LF, CR and CR LF; str.splitlines knows too many.
            lines = (pending + chunk).splitlines(keepends=True)
            # The last one may go on in the next chunk; so may a CR whose LF has not come yet.
            pending = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            for line in lines:
                if skipping or len(line) > limit:
                    skipping = False
                    yield None
                else:
                    yield line
            if len(pending) > limit:
                skipping = True
                # Keep the last byte: it may be the CR of a CR LF.
                pending = pending[-1:]
        if skipping:
            yield None
        elif pending:
            yield pending

    def pieces(self) -> Iterator[Piece]:
        """All of the text, cut at line ends and wherever a chunk ended, for lines of any length.

        No piece ends between a backslash and what it escapes, nor between CR and LF.
        """
        decoder = codecs.getincrementaldecoder(line_codec(self.encoding))("surrogateescape")
        number = 1
        held = ""
        for chunk in as_utf_8(self.chunks(), self.encoding):
            text = held + decoder.decode(chunk)
            held = text[len(text.rstrip("\\")) :] or ("\r" if text.endswith("\r") else "")
            for piece in _cut(text[: len(text) - len(held)], number):
                yield piece
                number += piece.ends_line
        yield from _cut(held + decoder.decode(b"", final=True), number)


_LINE_OR_PART = re.compile(r"[^\r\n]+(?:\r\n|\r|\n)?|\r\n|\r|\n")


def _cut(text: str, number: int) -> Iterator[Piece]:
    for found in _LINE_OR_PART.finditer(text):
        piece = Piece(number, found.group())
        yield piece
        number += piece.ends_line
