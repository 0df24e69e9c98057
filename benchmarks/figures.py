"""How every benchmark ends: a table for people and one JSON object, the last line, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table with aligned columns."""
    texts = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(head))]
    for row in texts:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def print_figures(figures: Mapping[str, object]) -> None:
    """The last line."""
    print(json.dumps(figures, ensure_ascii=False), flush=True)


def _text(cell: object) -> str:
    return (
        f"{cell:.3g}"
        if isinstance(cell, float) and abs(cell) < 10
        else (f"{cell:.0f}" if isinstance(cell, float) else str(cell))
    )
