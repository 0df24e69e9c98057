"""The committed description of the native API is what the views are, and is complete."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from accounts.api import NativeViewSet
from config.reference import FILE
from tests.isolation.routes import every_route

SCHEMA: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
OPERATIONS = [
    (path, method, operation)
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
]


def test_the_committed_file_is_what_the_views_say(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--lang", "en", "--validate", "--fail-on-warn", "--file", str(made))
    assert made.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8"), (
        "the API has changed: run `make schema` and commit the file"
    )


def test_it_is_openapi_3_1() -> None:
    assert SCHEMA["openapi"].startswith("3.1.")


def test_every_route_of_the_native_api_is_in_it() -> None:
    described = {path.replace("{id}", "<uuid:pk>").lstrip("/") for path in SCHEMA["paths"]}
    routes = {route for route in every_route() if route.startswith("api/v1/")}
    assert routes - described == {"api/v1/schema/", "api/v1/docs/"}
    assert described <= routes


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_says_who_may_and_how_it_refuses(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["security"] == [{"key": []}, {"session": [], "tenant": []}]
    assert operation["x-capability"]
    refusals = {status for status, said in operation["responses"].items() if "$ref" in said}
    assert {"400", "401", "403", "404", "429"} <= refusals
    names = {one["name"] for one in operation.get("parameters", [])}
    assert ("Idempotency-Key" in names) == (method == "post")


def test_every_view_of_the_native_api_reads_its_input_strictly() -> None:
    from django.urls import get_resolver

    def views(patterns: Any, prefix: str) -> Any:
        for entry in patterns:
            here = prefix + str(entry.pattern)
            if hasattr(entry, "url_patterns"):
                yield from views(entry.url_patterns, here)
            elif here.startswith("api/v1/") and hasattr(entry.callback, "cls"):
                yield entry.callback.cls

    found = set(views(get_resolver().url_patterns, ""))
    loose = {cls.__name__ for cls in found if not issubclass(cls, NativeViewSet)}
    assert loose == {"SchemaFile", "Reference"}


def test_it_is_served_as_it_was_committed_to_everybody(client: Client, db: None) -> None:
    answer = client.get("/api/v1/schema/")
    assert answer["Content-Type"] == "application/yaml"
    assert b"".join(answer) == FILE.read_bytes()  # type: ignore[arg-type]
    page = client.get("/api/v1/docs/")
    assert page.status_code == 200
    assert "unsafe" not in page["Content-Security-Policy"]
    assert b"<script>" not in page.content
    assert client.post("/api/v1/docs/").status_code == 405
