"""What the tests of gpt_core's Django side may ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpt_core import dispatch
from gpt_core.supervision import evaluation, export, training

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    """A PARLEY_HOME of its own, so that no job folder is shared."""
    settings.PARLEY_HOME = tmp_path / "home"
    settings.PARLEY_HOME.mkdir()
    settings.JOB_RETRY_SECONDS = 0
    return settings.PARLEY_HOME


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the doorbell was rung; no broker hears it."""
    heard: list[int] = []
    monkeypatch.setattr(dispatch, "_ring", lambda *_task: heard.append(1))
    return heard


@pytest.fixture
def engine_that(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`engine_that("crash")`: from now on the engine's processes are stand-ins that do so."""

    def behave(how: str) -> None:
        def command(module: str, *arguments: str) -> list[str]:
            return [sys.executable, str(STAND_IN), how, module, *arguments]

        monkeypatch.setattr(training, "engine", command)
        monkeypatch.setattr(evaluation, "engine", command)
        monkeypatch.setattr(export, "engine", command)

    return behave
