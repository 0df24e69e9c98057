"""Keys of companies, and a client that speaks below /v1/ with one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.permissions import SCOPES_OF_KEYS
from accounts.services import create_api_key
from tenancy.models import Tenant
from tenancy.scope import tenant_scope


class Caller:
    """Sends JSON below /v1/ and reads JSON: `status, document = caller.post("files", {...})`."""

    def __init__(self, secret: str | None) -> None:
        self.client = Client(raise_request_exception=False)
        if secret is not None:
            self.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {secret}"

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return _read(self.client.get(f"/v1/{path}", query))

    def post(self, path: str, body: Any = None, **headers: Any) -> tuple[int, Any]:
        text = body if isinstance(body, str | bytes) else json.dumps(body or {})
        return _read(self.client.post(f"/v1/{path}", text, "application/json", **headers))

    def form(self, path: str, fields: dict[str, Any], **headers: Any) -> tuple[int, Any]:
        return _read(self.client.post(f"/v1/{path}", fields, **headers))

    def delete(self, path: str) -> tuple[int, Any]:
        return _read(self.client.delete(f"/v1/{path}"))


def _read(response: Any) -> tuple[int, Any]:
    return response.status_code, json.loads(response.content)


MakeCaller = Callable[..., Caller]


@pytest.fixture
def call(tenant: Tenant) -> MakeCaller:
    """`call()` with every scope, `call(["view"])` with some, `call(tenant=other)` for another."""

    def make(scopes: Any = SCOPES_OF_KEYS, *, tenant: Tenant = tenant) -> Caller:
        with tenant_scope(tenant):
            _key, secret = create_api_key(name="k", scopes=scopes, by=None)
        return Caller(secret)

    return make


@pytest.fixture
def caller(call: MakeCaller, home: Path) -> Caller:
    return call()


def said(document: Any) -> tuple[str, str | None]:
    """Code and parameter of an error, once its shape is OpenAI's to the letter."""
    assert set(document) == {"error"}
    error = document["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    return error["code"], error["param"]
