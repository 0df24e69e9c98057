"""Where a text names a person, in Chinese and English. Names have no form; their surroundings do."""

from labeling.naming.chinese import chinese_names
from labeling.naming.english import english_names

__all__ = ["find_names"]

Span = tuple[int, int]


def find_names(text: str) -> list[Span]:
    """Where names stand, from left to right; none overlaps another. A title is no part of a name."""
    spans: list[Span] = []
    for start, end in sorted((*chinese_names(text), *english_names(text))):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
