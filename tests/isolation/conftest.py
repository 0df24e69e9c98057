"""The world of the sweep."""

from typing import Any

import pytest

from tests.isolation.world import World, make_world


@pytest.fixture
def world(db: None, settings: Any) -> World:
    # No engine is asked, and no door counts how often it was knocked at.
    settings.GPT_ENGINES = {}
    settings.ACCOUNT_RATE_LIMITS = False
    settings.ALLOWED_HOSTS = ["testserver"]
    return make_world()
