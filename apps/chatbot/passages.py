"""Articles cut into passages: at their headings first, then between paragraphs, never inside a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What a small model reads well beside two others: about 200 tokens of English.
MOST_CHARACTERS = 900
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_SENTENCE = re.compile(r"(?<=[.!?。！？；;])\s*")


@dataclass(frozen=True)
class Piece:
    heading: str
    text: str


def divided(body: str, *, title: str) -> list[Piece]:
    """Markdown -> pieces in order; each knows the heading that it stands under."""
    found: list[Piece] = []
    for heading, text in _sections(body, title):
        found += [Piece(heading, part) for part in _packed(text)]
    return found


def _sections(body: str, title: str) -> Iterator[tuple[str, str]]:
    heading, lines = title, []
    fenced = False
    for line in body.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        yield heading, "\n".join(lines)
        heading, lines = match.group(1), []
    yield heading, "\n".join(lines)


def _packed(text: str) -> list[str]:
    """Whole paragraphs together as long as they fit; a longer one by its sentences."""
    packed: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for part in _cut(paragraph.strip()):
            if packed and len(packed[-1]) + len(part) + 2 <= MOST_CHARACTERS:
                packed[-1] += "\n\n" + part
            elif part:
                packed.append(part)
    return packed


def _cut(paragraph: str) -> Iterator[str]:
    if len(paragraph) <= MOST_CHARACTERS:
        yield paragraph
        return
    kept = ""
    for sentence in _SENTENCE.split(paragraph):
        if kept and len(kept) + len(sentence) + 1 > MOST_CHARACTERS:
            yield kept
            kept = ""
        while len(sentence) > MOST_CHARACTERS:
            # No end of a sentence far and wide: cut at the last space, or where it must be.
            at = sentence.rfind(" ", 1, MOST_CHARACTERS)
            at = at if at > MOST_CHARACTERS // 2 else MOST_CHARACTERS
            yield sentence[:at].strip()
            sentence = sentence[at:].strip()
        kept = f"{kept} {sentence}".strip() if kept else sentence
    if kept:
        yield kept
