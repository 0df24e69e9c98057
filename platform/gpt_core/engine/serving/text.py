"""From tokens to text as it grows: whole characters only, and never a part of a stop string."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Any, Protocol

# A model may write NUL, which no database keeps and no strict reader of JSON takes.
_READABLE = {0: "\ufffd"}


class TokenText(Protocol):
    """The text of one sequence, token by token. NUL becomes U+FFFD, as half a character does."""

    def push(self, token: int) -> str:
        """The characters that are complete after `token`."""
        ...

    def finish(self) -> str:
        """What is left at the end; half a character becomes U+FFFD."""
        ...


class Detokenizer:
    """Makes TokenText for a tokenizer. Control tokens have no text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._backend = tokenizer.backend_tokenizer
        self._bytes = _bytes_by_token(self._backend)

    def start(self) -> TokenText:
        """The text of a new sequence."""
        if self._bytes is not None:
            return _ByteText(self._bytes)
        return _StreamText(self._backend)

    def token(self, token: int) -> tuple[str, list[int]]:
        """(text, UTF-8 bytes) of a token by itself, as log-probabilities show it; control tokens by name."""
        raw = self._bytes[token] if self._bytes is not None and token < len(self._bytes) else b""
        if not raw:
            name = str(self._tokenizer.decode([token], skip_special_tokens=False))
            return name, list(name.encode())
        return raw.decode("utf-8", errors="replace").translate(_READABLE), list(raw)


class _ByteText:
    """Byte-level vocabularies: bytes go through an incremental UTF-8 decoder."""

    def __init__(self, table: list[bytes]) -> None:
        self._table = table
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        raw = self._table[token] if token < len(self._table) else b""
        return self._decoder.decode(raw).translate(_READABLE)

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


class _StreamText:
    """Other vocabularies: the tokenizer's own incremental decoder."""

    def __init__(self, backend: Any) -> None:
        from tokenizers.decoders import DecodeStream

        self._backend = backend
        self._stream = DecodeStream(skip_special_tokens=True)
        self._tokens: list[int] = []
        self._given = 0

    def push(self, token: int) -> str:
        self._tokens.append(token)
        piece = self._stream.step(self._backend, token) or ""
        self._given += len(piece)
        return piece.translate(_READABLE)

    def finish(self) -> str:
        rest = self._backend.decode(self._tokens, skip_special_tokens=True)[self._given :]
        return str(rest).translate(_READABLE)


class StopStrings:
    """Holds back what may become a stop string, and cuts the text where one begins."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = strings
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """(text that is safe to show, whether a stop string has come)."""
        if not self._strings:
            return text, False
        text = self._held + text
        found = [place for string in self._strings if (place := text.find(string)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = max(_overlap(text, string) for string in self._strings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, string: str) -> int:
    """The length of the longest end of `text` that begins `string`."""
    longest = min(len(text), len(string) - 1)
    return next((size for size in range(longest, 0, -1) if string.startswith(text[-size:])), 0)


def _bytes_by_token(backend: Any) -> list[bytes] | None:
    """The bytes of every token of a byte-level vocabulary; None for other kinds."""
    if "ByteLevel" not in repr(backend.decoder):
        return None
    size = backend.get_vocab_size(with_added_tokens=True)
    added = backend.get_added_tokens_decoder()
    byte_of = _byte_alphabet()
    table = []
    for token in range(size):
        word = backend.id_to_token(token)
        if token in added:
            # A control token has no text; an ordinary word that was added later has its own.
            table.append(b"" if added[token].special else added[token].content.encode())
        elif word is None or any(letter not in byte_of for letter in word):
            table.append(b"")
        else:
            table.append(bytes(byte_of[letter] for letter in word))
    return table


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's writing of bytes as visible characters, reversed."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in shown}
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return alphabet | {chr(256 + place): byte for place, byte in enumerate(hidden)}
