"""A tenant with a story, and its people at the door."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from tenancy.models import Tenant
from tests.apps.portal import desk_scene, scenes
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


# --- The agents' desk ---------------------------------------------------------------------------


@pytest.fixture
def agent(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="wang@example.com", name="王芳")


@pytest.fixture
def browser(agent: User) -> Client:
    client = Client()
    client.force_login(agent)
    return client


@pytest.fixture
def scene(tenant: Tenant, agent: User) -> desk_scene.Desk:
    return desk_scene.tell(tenant, agent)
