"""Parts of the test split that deserve figures of their own: by label, length and language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..formats import reference_of
from .words import language_of, words_of

#: Below this a slice's figures say more about luck than about the model.
LEAST_ROWS = 10
#: A set with hundreds of labels gets figures for its most frequent ones.
MOST_LABELS = 30
# Words of the reference (characters where no spaces are written): a sentence, a paragraph, more.
_SHORT, _MEDIUM = 20, 80


def slices_of(
    rows: Sequence[Mapping[str, Any]], kinds: Iterable[str] = ("label", "length", "language")
) -> dict[str, dict[str, list[int]]]:
    """kind -> value -> positions of the rows, for every value that enough rows share.

    A value that all rows share is left out: its figures are the report's own.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for kind in kinds:
        values: dict[str, list[int]] = {}
        for position, row in enumerate(rows):
            for value in _VALUES[kind](row):
                values.setdefault(value, []).append(position)
        counted = Counter({value: len(positions) for value, positions in values.items()})
        kept = sorted(
            (value for value, count in counted.items() if LEAST_ROWS <= count < len(rows)),
            key=lambda value: (-counted[value], value),
        )[:MOST_LABELS]
        if kept:
            found[kind] = {value: values[value] for value in kept}
    return found


def length_of(reference: str) -> str:
    words = len(words_of(reference))
    return "short" if words <= _SHORT else "medium" if words <= _MEDIUM else "long"


def _labels(row: Mapping[str, Any]) -> list[str]:
    return sorted(set(row.get("labels") or ()))


def _length(row: Mapping[str, Any]) -> list[str]:
    return [length_of(reference_of(row))]


def _language(row: Mapping[str, Any]) -> list[str]:
    return [language_of(question_of(row) + reference_of(row))]


_VALUES = {"label": _labels, "length": _length, "language": _language}


def question_of(row: Mapping[str, Any]) -> str:
    """What the row asks, as a page shows it: the last question alone, or the conversation up to
    the answer with its roles where there is more than one turn."""
    if "messages" not in row:
        return str(row.get("prompt", row.get("text", "")))
    messages = list(row["messages"])
    answers = [number for number, message in enumerate(messages) if message["role"] in _ANSWERING]
    before = messages[: answers[-1]] if answers else messages
    asked = [message for message in before if message["role"] != "system"]
    if len(asked) == 1:
        return str(asked[0]["content"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in asked)


_ANSWERING = ("assistant", "agent")
