"""Every door answers a refusal in the same shape."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions, serializers
from rest_framework.request import Request

from common.api import Pages, problem, problem_document
from common.errors import ApplicationError, ConflictError, NotFoundError
from common.strict_json import StrictJsonError


def answer(error: Exception) -> dict[str, Any]:
    document = problem_document(error)
    assert document is not None
    return document


def test_an_application_error_carries_code_field_and_line() -> None:
    found = answer(ApplicationError("row_empty", "第三行是空的", field="messages", line=3))
    assert (found["status"], found["code"], found["line"]) == (400, "row_empty", 3)
    assert found["errors"] == [{"field": "messages", "code": "row_empty", "detail": "第三行是空的"}]


def test_an_application_error_may_carry_more_but_never_loses_its_code() -> None:
    assert answer(ConflictError("taken", "x", extra={"position": 4}))["position"] == 4
    assert answer(ConflictError("taken", "x"))["status"] == 409


@pytest.mark.parametrize(
    "error", [Http404("No Dataset matches"), exceptions.NotFound("secret"), NotFoundError()]
)
def test_not_found_is_one_body_whatever_the_reason(error: Exception) -> None:
    assert answer(error) == answer(Http404())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PermissionDenied("why"), 403, "permission_denied"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (exceptions.AuthenticationFailed(), 401, "authentication_failed"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("a/b"), 415, "unsupported_media_type"),
        (exceptions.Throttled(3), 429, "throttled"),
        (ValidationError("no"), 400, "invalid"),
        (StrictJsonError("json_number", "x", line=2, column=5), 400, "json_number"),
    ],
)
def test_each_refusal_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    found = answer(error)
    assert (found["status"], found["code"]) == (status, code)
    assert set(found) >= {"type", "title", "status", "detail", "code"}


def test_a_bug_is_no_problem_document() -> None:
    assert problem(KeyError("x"), {}) is None


def test_nested_field_errors_become_a_flat_list_of_paths() -> None:
    class Line(serializers.Serializer[Any]):
        words = serializers.ListField(child=serializers.CharField(max_length=3))

    class Form(serializers.Serializer[Any]):
        name = serializers.CharField()
        lines = Line(many=True)

    form = Form(data={"lines": [{"words": ["好"]}, {"words": ["ok", "too long"]}]})
    assert not form.is_valid()
    found = answer(exceptions.ValidationError(form.errors))
    assert [(e["field"], e["code"]) for e in found["errors"]] == [
        ("name", "required"),
        ("lines.1.words.1", "max_length"),
    ]


def test_an_unknown_address_of_the_api_is_a_problem_and_of_the_pages_a_page(
    client: Client, db: None
) -> None:
    of_api = client.get("/api/v1/no-such-thing")
    assert of_api.status_code == 404
    assert of_api["Content-Type"] == "application/problem+json"
    assert json.loads(of_api.content)["code"] == "not_found"
    of_pages = client.get("/no-such-page")
    assert of_pages.status_code == 404
    assert of_pages["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("address", ["/api/v1/members?q=%00", "/t/a%00b/", "/%00"])
def test_an_address_with_nul_is_refused_at_the_door(client: Client, address: str) -> None:
    assert client.get(address).status_code == 400


@pytest.mark.parametrize("cursor", ["x", "cD0xMjM=", "cD0lMDA=", "cD15ZXN0ZXJkYXk=", "%00", "é"])
def test_a_cursor_made_by_hand_is_refused_by_its_name(cursor: str) -> None:
    request = Request(RequestFactory().get("/", {"cursor": cursor}))
    with pytest.raises(exceptions.ValidationError, match="cursor"):
        Pages().paginate_queryset(_Nothing(), request, view=SimpleNamespace())  # type: ignore[arg-type]


class _Nothing(list[Any]):
    """Enough of a query set to be asked for an order."""

    ordered = True

    def order_by(self, *_names: str) -> "_Nothing":
        return self
