"""What the engine's tests share: tiny bases, made once a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from gpt_core.engine.bases import Base
from tests.tiny import tiny_base


@pytest.fixture(scope="session")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Base]:
    """The tiny base of an architecture."""

    @lru_cache
    def make(architecture: str) -> Base:
        return tiny_base(tmp_path_factory.mktemp(architecture), architecture)

    return make


@pytest.fixture(scope="session")
def llama(base_of: Callable[[str], Base]) -> Base:
    return base_of("llama")


@pytest.fixture(scope="session")
def hostile_files() -> Path:
    """The folder of hostile files, where the machine has it."""
    root = Path(__file__).parents[3]
    data = Path(os.environ.get("PARLEY_DATA", root / "../shared/data"))
    folder = data / "badinput" / "generated"
    if not folder.is_dir():
        pytest.skip("PARLEY_DATA has no badinput/generated here")
    return folder
