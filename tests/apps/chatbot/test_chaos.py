"""Web, worker and engine are killed while visitors write, and nothing is lost, doubled or said twice."""

from __future__ import annotations

import os
import sys

import pytest

from tests.benchmark import figures_of

NEVER = (
    "lost", "unasked", "doubled", "answers_that_differ", "answers_of_5xx", "gaps", "misheard", "unanswered",
    "answered_twice",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.database
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="its processes die with it on Linux alone")
def test_ten_kills_lose_and_double_nothing_of_five_hundred_sends() -> None:
    figures = figures_of(
        "chaos", "--sends", "500", "--answered", "25", "--kills", "10", "--seed", "1",
        "--database", os.environ.get("PARLEY_TEST_POSTGRES_URL", ""),
    )  # fmt: skip
    wrong = {key: figures[key] for key in NEVER}
    assert wrong == dict.fromkeys(NEVER, 0)
    assert (figures["sends"], figures["questions"], figures["kills"]) == (500, 25, 10)
