"""Which of four encodings a text file is in, decided by evidence from the whole file.

A byte order mark settles it. Without one:

1. UTF-16 shows itself by zero bytes: text of any language has ASCII line ends, commas and quotes.
2. Otherwise each line that is not pure ASCII votes. UTF-8 is so regular that other text hardly
   ever passes for it, so the file is UTF-8 when at least half of those lines are; a damaged UTF-8
   file therefore stays UTF-8, with its damaged lines reported.
3. GB18030 reads almost anything, so being readable proves nothing. Real Chinese text keeps to the
   3,755 common characters and the punctuation of GB 2312; the file is GB18030 when at least four
   fifths of its two-byte characters do. Latin-1 and Big5 read as GB18030 scatter outside.
4. Otherwise we call it UTF-8 and let every bad line be reported.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 1 << 18
HEAD = 1 << 16
VOTING_BYTES = 1 << 26

UTF_8 = "utf-8"
UTF_16_LE = "utf-16-le"
UTF_16_BE = "utf-16-be"
GB18030 = "gb18030"

_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, UTF_16_LE),
    (codecs.BOM_UTF16_BE, UTF_16_BE),
    (b"\x84\x31\x95\x33", GB18030),
)
_UTF_32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)

_SIGNS = frozenset(b'\n\r\t,"')
_FOUR_BYTES = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]")
_TWO_BYTES = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_COMMON_TWO_BYTES = re.compile(rb"[\xa1-\xa9\xb0-\xd7][\xa1-\xfe]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` is Python's; `mark` is the length in bytes of the byte order mark at the start."""

    name: str
    mark: int = 0

    @property
    def label(self) -> str:
        return f"{self.name} (BOM)" if self.mark else self.name


class EncodingError(Exception):
    """The file is in none of the encodings that we read."""


def sniff(stream: BinaryIO) -> Encoding:
    """Find the encoding of a seekable stream and leave it at its start.

    Reads at most VOTING_BYTES. Raises EncodingError for UTF-32.
    """
    head = stream.read(HEAD)
    try:
        if head.startswith(_UTF_32_MARKS):
            raise EncodingError("utf-32")
        for mark, name in _MARKS:
            if head.startswith(mark):
                return Encoding(name, len(mark))
        wide = _wide(head)
        if wide is not None:
            return Encoding(wide)
        stream.seek(0)
        return Encoding(_voted(stream))
    finally:
        stream.seek(0)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark, or None. A stray NUL in an 8-bit file is not enough."""
    zeros = head.count(0)
    if not zeros:
        return None
    if _is_utf_8(head) and zeros * 4 < len(head):
        return None
    even = head[: len(head) & ~1]
    little, big = _structure(even[0::2], even[1::2]), _structure(even[1::2], even[0::2])
    paired = max(little, big)
    alone = sum(head.count(sign) for sign in _SIGNS) - paired
    # In Chinese UTF-16 some bytes look like signs by chance; in damaged 8-bit text nearly all do.
    if not paired or paired * 4 < alone:
        return None
    return UTF_16_LE if little >= big else UTF_16_BE


def _structure(low: bytes, high: bytes) -> int:
    """How many byte pairs are one of the ASCII signs that every CSV and JSON file is full of."""
    return sum(1 for sign, zero in zip(low, high, strict=True) if zero == 0 and sign in _SIGNS)


def _is_utf_8(piece: bytes) -> bool:
    """Whether a piece reads as UTF-8, where its end may cut a character in two."""
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(piece)
    except UnicodeDecodeError:
        return False
    return True


def _voted(stream: BinaryIO) -> str:
    utf_8 = other = pairs = common = 0
    for line in _pieces(stream):
        if line.isascii():
            continue
        if _is_utf_8(line):
            utf_8 += 1
            continue
        other += 1
        if pairs < 1_000_000:
            two_bytes = _TWO_BYTES.findall(_FOUR_BYTES.sub(b"", line))
            pairs += len(two_bytes)
            common += sum(1 for pair in two_bytes if _COMMON_TWO_BYTES.fullmatch(pair))
    if utf_8 >= other or not pairs:
        return UTF_8
    return GB18030 if common * 5 >= pairs * 4 else UTF_8


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, but never longer than a chunk: good enough to vote on."""
    seen = 0
    while seen < VOTING_BYTES and (line := stream.readline(CHUNK)):
        seen += len(line)
        yield line


def as_utf_8(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """The same text as UTF-8 bytes, so that one line splitter serves all.

    UTF-8 and GB18030 pass unchanged: in both, the bytes of line ends stand for nothing else. What
    UTF-16 cannot mean (half a pair, half a unit at the end) becomes bytes that are not UTF-8, so
    that the line which holds it is refused, not the file.
    """
    if encoding.name not in (UTF_16_LE, UTF_16_BE):
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding.name)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode(UTF_8, "surrogatepass")
    try:
        yield decoder.decode(b"", final=True).encode(UTF_8, "surrogatepass")
    except UnicodeDecodeError:
        yield b"\xff"


def line_codec(encoding: Encoding) -> str:
    """How a line that came through `as_utf_8` is decoded."""
    return GB18030 if encoding.name == GB18030 else UTF_8
