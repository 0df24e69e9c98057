"""kill -9 of whatever takes part in a training, at random moments, and nothing is lost."""

from __future__ import annotations

import sys

import pytest

from tests.benchmark import figures_of


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="finds its victims in /proc")
def test_three_kills_lose_nothing_and_the_weights_are_those_of_an_undisturbed_run() -> None:
    figures = figures_of("kill_training", "--kills", "3", "--seed", "1")
    wrong = {key: figures[key] for key in ("lost", "corrupt", "duplicated", "inexact")}
    assert wrong == dict.fromkeys(wrong, 0)
    assert figures["kills"] == 3
