"""A guideline's Markdown as blocks and spans, which a template writes: no HTML is made here.

Headings, paragraphs, lists, **strong**, `code`. What is anything else stays the text that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEADING = re.compile(r"#{1,4}\s+(.+)")
_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)])\s+(.+)")
_SPAN = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`")


@dataclass(frozen=True)
class Span:
    """A stretch of text; `kind` is "", "strong" or "code"."""

    text: str
    kind: str = ""


@dataclass
class Block:
    """`kind` is "heading", "list" or "paragraph"; a list has several lines, the others one."""

    kind: str
    lines: list[list[Span]] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """The blocks of a guideline."""
    found: list[Block] = []
    going_on = False
    for line in text.splitlines():
        if not line.strip():
            going_on = False
        elif match := _HEADING.match(line):
            found.append(Block("heading", [list(_spans(match[1]))]))
            going_on = False
        elif match := _ITEM.match(line):
            if not (going_on and found[-1].kind == "list"):
                found.append(Block("list"))
            found[-1].lines.append(list(_spans(match[1])))
            going_on = True
        elif going_on:
            # A broken line goes on where it stopped; Chinese needs no space there.
            found[-1].lines[-1] += [Span(" "), *_spans(line.strip())]
        else:
            found.append(Block("paragraph", [list(_spans(line.strip()))]))
            going_on = True
    return found


def _spans(line: str) -> Iterator[Span]:
    at = 0
    for match in _SPAN.finditer(line):
        if match.start() > at:
            yield Span(line[at : match.start()])
        yield Span(match[1], "strong") if match[1] else Span(match[2], "code")
        at = match.end()
    if at < len(line):
        yield Span(line[at:])
