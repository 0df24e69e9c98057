"""The tokens as a reader with tired eyes meets them: enough contrast, in light and in dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[1] / "static" / "css" / "tokens.css"
SURFACES = ("ground", "paper", "raised", "sunken", "hover")
WORDS = ("ink", "ink-soft", "ink-faint", "accent", "good", "warn", "bad")
ON_THEIR_OWN = ("accent", "good", "warn", "bad")


def tokens(scheme: int) -> dict[str, str]:
    """{name: "#rrggbb"} of the light (0) or the dark (1) scheme."""
    text = TOKENS.read_text()
    both = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    return {name: (light, dark)[scheme] for name, light, dark in both} | {"on-accent": "#ffffff"}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("surface", SURFACES)
def test_words_can_be_read_on_every_surface(word: str, surface: str, scheme: int) -> None:
    found = tokens(scheme)
    assert contrast(found[word], found[surface]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("word", ON_THEIR_OWN)
def test_a_state_can_be_read_on_its_own_tint(word: str, scheme: int) -> None:
    found = tokens(scheme)
    assert contrast(found[word], found[f"{word}-soft"]) >= 4.5
    assert contrast(found["ink"], found[f"{word}-soft"]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_buttons_fields_and_lines_of_a_chart_stand_out(scheme: int) -> None:
    found = tokens(scheme)
    for fill in ("accent-fill", "accent-fill-hover"):
        assert contrast(found["on-accent"], found[fill]) >= 4.5
    for line in ("field-line", "data-base", "data-champion", "focus"):
        assert contrast(found[line], found["paper"]) >= 3
