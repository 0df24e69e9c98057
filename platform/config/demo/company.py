"""A company of the demo: what it is called, what it answered so far, and what it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

# Its one deployment, dataset and inbox are called the same everywhere.
DEPLOYMENT = "support"
LANGUAGE = "en"


@dataclass(frozen=True)
class Company:
    """`history` opens a CSV of questions and answers with the columns of `mapping`; `articles` are what
    knowledge.publish_articles takes."""

    slug: str
    name: str
    about: str
    greeting: str
    history: Callable[[], IO[bytes]]
    filename: str
    mapping: dict[str, str]
    articles: Callable[[], Iterator[dict[str, Any]]]
    # Of what is frozen: to train, to validate, to test. The gate wants 30 rows to test.
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    hyperparameters: dict[str, Any] | None = None
