"""Another company's id answers exactly as an id that nobody has, at every door, for everybody."""

from collections.abc import Callable

import pytest
from django.db import connection

from tests.isolation.routes import FAMILIES, KNOWN, METHODS, every_route, family_of
from tests.isolation.sweep import application_scoping_off, entry_for, places, send, sweep_route
from tests.isolation.world import World

ROUTES = sorted(every_route())
# Doors behind which a tenant's row stands: its id is a part of the address.
DOORS = [
    route for route in ROUTES if route in KNOWN and KNOWN[route].own_answers and KNOWN[route].ids
]


def test_every_route_is_known_to_the_sweep() -> None:
    unknown = [route for route in ROUTES if route not in KNOWN and family_of(route) is None]
    assert unknown == [], "give each of them a line in tests/isolation/routes.py"


def test_the_sweep_knows_no_route_that_is_gone() -> None:
    assert [route for route in KNOWN if route not in ROUTES] == []
    assert [prefix for prefix in FAMILIES if not any(r.startswith(prefix) for r in ROUTES)] == []


@pytest.mark.parametrize("route", ROUTES)
def test_a_foreign_id_answers_as_an_unknown_one_and_changes_nothing(
    route: str, world: World, record_property: Callable[[str, object], None]
) -> None:
    if route not in KNOWN and family_of(route) is None:
        pytest.fail("the sweep does not know this route")
    done = 0
    try:
        done = sweep_route(route, world)
    finally:
        record_property("isolation_pairs", done)


@pytest.mark.parametrize("route", DOORS)
def test_our_own_id_opens_the_door(route: str, world: World) -> None:
    """Else the sweep would be content with a door that is shut to everybody."""
    template = every_route()[route]
    own = next(iter(places(route, template, world))).foreign.path
    entry = entry_for(route, template)
    from tests.isolation.sweep import Knock, _known, _undone

    ids = {name: _known(label, world.ours) for name, label in entry.ids.items()}
    if "slug" in own:
        ids["slug"] = world.ours.tenant.slug
    body = {name: _known(label, world.ours) for name, label in entry.body.items()}
    answers = []
    for method in METHODS:
        if method == "OPTIONS":
            continue
        for who in ("owner", "key"):
            with _undone():
                answers.append(send(template, Knock(path=ids, body=body), method, who, world))
    seen = {answer.status_code for answer in answers}
    assert seen - {401, 403, 404, 405}, seen
    assert max(seen) < 500, seen


@pytest.mark.postgres
@pytest.mark.parametrize("route", DOORS)
def test_the_database_alone_keeps_the_companies_apart(
    route: str, world: World, record_property: Callable[[str, object], None]
) -> None:
    done = 0
    try:
        with application_scoping_off():
            done = sweep_route(route, world, who=["owner", "key"], only="path")
    finally:
        record_property("isolation_pairs_database_alone", done)


@pytest.mark.parametrize("route", DOORS)
def test_the_sweep_notices_when_scoping_is_gone(route: str, world: World) -> None:
    """A test of the test: without the first net, and with no second one, each door leaks."""
    if connection.vendor == "postgresql":
        pytest.skip("on PostgreSQL the second net holds; see the test above")
    with application_scoping_off(), pytest.raises(AssertionError):
        sweep_route(route, world, who=["owner", "key"], only="path")
