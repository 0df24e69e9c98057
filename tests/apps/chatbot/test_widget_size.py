"""What a customer's page has to carry, after gzip."""

import gzip
from pathlib import Path

WIDGET = Path(__file__).resolve().parents[3] / "static" / "widget"
PANEL = sorted(path.name for path in WIDGET.glob("*.js") if path.name != "loader.js")


def packed(*names: str) -> int:
    return len(gzip.compress(b"".join((WIDGET / name).read_bytes() for name in names), 9))


def test_the_loader_has_at_most_8_kilobytes() -> None:
    assert packed("loader.js") <= 8 * 1024


def test_the_panel_has_at_most_60_kilobytes() -> None:
    assert packed("panel.css", *PANEL) <= 60 * 1024


def test_the_panel_makes_no_markup_of_a_text() -> None:
    for name in ("loader.js", *PANEL):
        source = (WIDGET / name).read_text()
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert sink not in source
