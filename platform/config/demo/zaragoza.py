"""Zaragoza AB: a real construction company's 503 questions and answers (CC BY 4.0)."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.utils.translation import gettext as _

from .company import LANGUAGE, Company
from .story import StoryError

PACKAGE = "zaragoza_construction_faq"


def _file() -> Path:
    """Where pip put the FAQ. Found without importing the package: only its data is wanted."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StoryError(_("The demo's data is not installed. Run: make install"))
    return Path(spec.submodule_search_locations[0]) / "data" / "faq-en.csv"


def _history() -> IO[bytes]:
    return _file().open("rb")


def _articles() -> Iterator[dict[str, Any]]:
    with _file().open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            yield {
                "external_id": row["id"],
                "title": row["q"],
                "body": row["a"],
                "language": LANGUAGE,
                "tags": [row["category"]],
            }


ZARAGOZA = Company(
    slug="zaragoza",
    name="Zaragoza AB",
    about="Zaragoza's FAQ, CC BY 4.0",
    greeting="Hello! Ask about permits, renovation, prices and times.",
    history=_history,
    filename="faq-en.csv",
    mapping={"external_id": "id", "question": "q", "answer": "a", "group": "id"},
    articles=_articles,
    # Its lessons teach one thing, to answer from what stands beside the question, and are long: a part of
    # them is enough, and so is a smaller test, which still has the rows that the gate wants.
    shares=(0.83, 0.1, 0.07),
    hyperparameters={"epochs": 0.75},
)
