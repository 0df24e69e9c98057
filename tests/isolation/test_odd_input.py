"""Whatever stands where a value is expected, the answer is a refusal and never an accident."""

import json
from typing import Any

import pytest
from django.test import Client
from rest_framework import serializers

from tests.isolation.routes import KNOWN, Route, every_route
from tests.isolation.sweep import _known, _undone
from tests.isolation.test_models import _all_below, _is_ours
from tests.isolation.world import World

API = sorted(route for route in every_route() if route.startswith("api/"))
ADDRESSES = sorted(route for route in every_route() if route in KNOWN)

# As they stand in the body. The first are refused by the reader of the body, whatever the field.
NO_JSON_OF_OURS = {
    "nul": '"a\\u0000b"',
    "half a pair": '"\\ud800"',
    "not a number": "NaN",
    "nothing": "",
}
ODD_VALUES = {
    "object": '{"a": {"b": []}}',
    "array": '[[1, "二"], null]',
    "number": "12345678901234567890123",
    "fraction": "-1.5e300",
    "boolean": "true",
    "null": "null",
    "empty": '""',
    "long": json.dumps("长" * 20_000),
    "sql": '"\'; DROP TABLE accounts_user; -- %s %(x)s"',
    "path": '"../../etc/passwd"',
}
ODD_QUERIES = [
    "",
    "-1",
    "1e9",
    "%D9%A3",
    "%F0%9F%98%80",
    "%FF",
    "a" * 3000,
    "[]",
    "true",
    "'--",
    "%25s",
]


def fields_of_ours() -> list[str]:
    """Every field that some serializer of ours reads."""
    names = set()
    for cls in filter(_is_ours, _all_below(serializers.Serializer)):
        if issubclass(cls, serializers.ModelSerializer) and not hasattr(cls, "Meta"):
            continue
        names |= {name for name, field in cls().fields.items() if not field.read_only}
    return sorted(names)


def address(route: str, world: World) -> tuple[str, Route]:
    entry = KNOWN[route]
    values = {name: _known(label, world.ours) for name, label in entry.ids.items()}
    values["slug"] = world.ours.tenant.slug
    return every_route()[route] % values, entry


def body_with(entry: Route, world: World, **odd: str) -> bytes:
    sound = {name: json.dumps(_known(value, world.ours)) for name, value in entry.body.items()}
    pairs = ", ".join(f"{json.dumps(name)}: {value}" for name, value in (sound | odd).items())
    return f"{{{pairs}}}".encode()


def knock(client: Client, method: str, path: str, body: bytes, what: str) -> Any:
    """Send it, take it back, and see that the answer is an answer."""
    with _undone():
        answer = client.generic(method, path, body, "application/json")
    assert answer.status_code < 500, f"{method} {path}: {what}"
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json", what
        assert {"code", "detail", "status", "title", "type"} <= set(answer.json()), what
    return answer


def reads(answer: Any, name: str) -> bool:
    """Whether the door looked into this field, going by its refusal of an object there."""
    faults = answer.json().get("errors", []) if answer.status_code == 400 else []
    return any(fault["field"].split(".")[0] == name for fault in faults) and not any(
        fault["detail"] == "There is no such field." for fault in faults
    )


@pytest.mark.parametrize("route", API)
def test_an_odd_value_in_a_body_is_refused(route: str, world: World) -> None:
    path, entry = address(route, world)
    client: Client = world.clients["owner"]
    for method in ("POST", "PATCH", "PUT"):
        with _undone():
            answer = client.generic(method, path, "{}", "application/json")
        if answer.status_code in {403, 405}:
            continue
        for what, odd in (ODD_VALUES | NO_JSON_OF_OURS).items():
            knock(client, method, path, odd.encode(), f"the whole body: {what}")
        for name in fields_of_ours():
            first = knock(client, method, path, body_with(entry, world, **{name: "{}"}), name)
            if name not in entry.body and not reads(first, name):
                continue
            for what, odd in (ODD_VALUES | NO_JSON_OF_OURS).items():
                body = body_with(entry, world, **{name: odd})
                knock(client, method, path, body, f"{name}: {what}")


@pytest.mark.parametrize("route", ADDRESSES)
def test_an_odd_value_in_the_query_is_no_accident(route: str, world: World) -> None:
    path, entry = address(route, world)
    names = [
        "page",
        "cursor",
        "limit",
        "state",
        "split",
        "after",
        "after_step",
        "seen",
        "q",
        "next",
    ]
    for odd in ODD_QUERIES:
        query = "&".join(f"{name}={odd}" for name in [*names, *entry.query])
        with _undone():
            answer = world.clients["owner"].get(path, QUERY_STRING=query)
        assert answer.status_code < 500, f"{path}: {odd}"


@pytest.mark.parametrize("route", ["api/v1/keys/", "api/v1/jobs/", "api/v1/datasets/"])
def test_a_body_of_ten_megabytes_is_too_large(route: str, world: World) -> None:
    path, _entry = address(route, world)
    body = b'{"name": "' + b"x" * 10_000_000 + b'"}'
    answer = world.clients["owner"].generic("POST", path, body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_odd_values_in_forms_of_pages_are_no_accident(world: World) -> None:
    odd: list[Any] = ["", "x" * 20_000, "NaN", "[]", "'--", "\x00", "￿", "{{ 7*7 }}"]
    for route in (r for r in ADDRESSES if r.startswith("t/")):
        path, entry = address(route, world)
        sound = {name: _known(value, world.ours) for name, value in entry.body.items()}
        for name in sound or {"reason": ""}:
            for value in odd:
                with _undone():
                    answer = world.clients["owner"].post(path, sound | {name: value})
                assert answer.status_code < 500, f"{path}: {name}={value[:20]!r}"
