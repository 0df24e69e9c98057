"""Whatever is sent, the answer is one that the description promised, and never an accident.

A few cases of each operation here; `python -m benchmarks.schema_fuzz --examples 100` for all.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from tenancy.models import Tenant
from tests.api.fuzzing import Figures, furnish, fuzz, load
from tests.api.test_schema import OPERATIONS

EXAMPLES = int(os.environ.get("PARLEY_FUZZ_EXAMPLES", "4"))
# An address of each operation, and one for its every part.
PARTS = sorted({path.split("/")[3] for path, _method, _operation in OPERATIONS})
FIGURES = Figures()


@pytest.fixture
def quiet(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.PARLEY_HOME = tmp_path
    settings.GPT_ENGINES = {}
    settings.ALLOWED_HOSTS = ["*"]
    settings.QUOTAS = settings.QUOTAS | {"requests_per_minute": 10**9}
    # The cases go to the application itself; as the test client does, they leave open the connection
    # that holds the test's transaction.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_as_it_is_described(quiet: None, tenant: Tenant, part: str) -> None:
    furnished = furnish(tenant)
    schema = load()
    wrong: list[str] = []
    for path, methods in schema.raw_schema["paths"].items():
        if path.split("/")[3] != part:
            continue
        for method in methods:
            wrong += fuzz(schema[path][method.upper()], furnished, EXAMPLES, FIGURES)
    assert wrong == []


@pytest.mark.parametrize(("path", "method", "_operation"), OPERATIONS)
def test_no_operation_answers_without_a_key_or_with_a_wrong_one(
    client: Client, db: None, path: str, method: str, _operation: Any
) -> None:
    address = path.replace("{id}", "8e03978e-40d5-43dd-bc93-6894a57f9324")
    for headers in ({}, {"Authorization": "Bearer parley_wrong"}, {"X-Tenant": "acme"}):
        answer = client.generic(method.upper(), address, "{}", "application/json", headers=headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"]
