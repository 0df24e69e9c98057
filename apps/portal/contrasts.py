"""Two answers to one question, side by side: what went and what came, word by word or sign by sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from apps.portal.comparison import MOST_PIECES, prompt_of, words_in

# Below this much in common two texts are not one text changed: marks on everything would say nothing.
LEAST_ALIKE = 0.15


@dataclass(frozen=True)
class Stretch:
    """A part of a text; `change` is "" where the other text has it too, else "gone" or "new"."""

    text: str
    change: str = ""


@dataclass(frozen=True)
class Contrast:
    """One question: the answer before, the answer after, and what people would have answered."""

    prompt: str
    reference: str
    before: list[Stretch]
    after: list[Stretch]
    alike: bool


def contrasts_of(report: Mapping[str, Any], *, before: str) -> list[Contrast]:
    """Every stored sample; `before` is "base", "champion" or "reference"."""
    found = []
    for sample in report.get("samples", []):
        old, new = str(sample.get(before, "")), str(sample.get("candidate", ""))
        went, came, alike = apart(old, new)
        found.append(
            Contrast(prompt_of(sample), str(sample.get("reference", "")), went, came, alike)
        )
    return found


def apart(before: str, after: str) -> tuple[list[Stretch], list[Stretch], bool]:
    """Both texts cut where they differ, and whether they are alike enough for that to say anything.

    Words are compared where words are written with spaces, and signs one by one in Chinese.
    """
    old, new = words_in(before), words_in(after)
    if not old or not new or max(len(old), len(new)) > MOST_PIECES:
        return _whole(before), _whole(after), False
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < LEAST_ALIKE:
        return _whole(before), _whole(after), False
    went: list[Stretch] = []
    came: list[Stretch] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        _add(went, "".join(old[a:b]), "" if kind == "equal" else "gone")
        _add(came, "".join(new[c:d]), "" if kind == "equal" else "new")
    return _bridged(went), _bridged(came), True


def _add(stretches: list[Stretch], text: str, change: str) -> None:
    if text:
        stretches.append(Stretch(text, change))


def _bridged(stretches: list[Stretch]) -> list[Stretch]:
    """A space or a comma between two changes belongs to them: one mark instead of two and a gap."""
    joined: list[Stretch] = []
    for at, one in enumerate(stretches):
        change = one.change
        inside = 0 < at < len(stretches) - 1
        if inside and not change and not any(sign.isalnum() for sign in one.text):
            change = stretches[at - 1].change
        if joined and joined[-1].change == change:
            joined[-1] = Stretch(joined[-1].text + one.text, change)
        else:
            joined.append(Stretch(one.text, change))
    return joined


def _whole(text: str) -> list[Stretch]:
    return [Stretch(text)] if text else []
