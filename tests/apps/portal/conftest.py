"""A tenant with a story, and its people at the door."""

from collections.abc import Callable

import pytest
from django.test import Client

from tenancy.models import Tenant
from tests.apps.portal import scenes
from tests.factories import make_member

Door = Callable[[str], Client]


@pytest.fixture
def story(tenant: Tenant) -> scenes.Story:
    return scenes.tell(tenant)


@pytest.fixture
def door(tenant: Tenant) -> Door:
    """`door("viewer")`: a browser in which a new person with this role is signed in."""

    def open_as(role: str) -> Client:
        client = Client()
        client.force_login(make_member(tenant, role))
        return client

    return open_as
