"""The world of the sweep."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.db import transaction

from tests.isolation.world import World, make_world


@pytest.fixture(scope="module")
def standing_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once for all tests of a module, in a transaction around theirs: two companies with a row in
    every table cost more than most knocks, and each test's own transaction undoes what it did."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def world(standing_world: World, db: None, settings: Any) -> Iterator[World]:
    # No engine is asked, and no door counts how often it was knocked at.
    settings.GPT_ENGINES = {}
    settings.ACCOUNT_RATE_LIMITS = False
    settings.ALLOWED_HOSTS = ["testserver"]
    # Whoever is signed out by a knock is in again for the next test.
    cookies = {name: deepcopy(client.cookies) for name, client in standing_world.clients.items()}
    yield standing_world
    for name, client in standing_world.clients.items():
        client.cookies = cookies[name]
