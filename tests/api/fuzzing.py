"""Every operation of the native API, asked with what its description allows and with what it forbids.

In process, as a key that may do everything, in a tenant that has a row of everything; each case is
undone before the next. Half of the cases stand on real ids, so that they get past the door.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from django.apps import apps
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import services
from accounts.permissions import SCOPES_OF_KEYS
from labeling.services import write_example
from tenancy import guards
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tenancy.webhooks.services import create_endpoint, send_test
from tests.apps.portal import scenes
from tests.factories import make_member
from tests.isolation.routes import KNOWN

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]


@dataclass
class Figures:
    """What came of a run, for a person to read."""

    operations: int = 0
    cases: int = 0
    accepted: int = 0
    server_errors: int = 0
    violations: int = 0
    ignored_auth: int = 0
    told: list[str] = field(default_factory=list)

    def count(self, failure: Failure, operation: str) -> None:
        name = type(failure).__name__
        if name == "ServerError":
            self.server_errors += 1
        elif "Auth" in name:
            self.ignored_auth += 1
        else:
            self.violations += 1
        self.told.append(f"{operation}: {name}: {failure}")


@dataclass
class Furnished:
    """The tenant, its key, and the ids of its rows by table."""

    headers: dict[str, str]
    ids: dict[str, list[str]]


def furnish(tenant: Tenant) -> Furnished:
    """A tenant with a row of everything, as the product itself makes it."""
    make_member(tenant, "owner")
    viewer = make_member(tenant, "viewer")
    story = scenes.tell(tenant)
    with tenant_scope(tenant):
        _key, secret = services.create_api_key(name="K", scopes=SCOPES_OF_KEYS, by=None)
        services.create_api_key(name="另一把", scopes=["view"], by=None)
        services.invite(email="li@example.com", role="viewer", by=None)
        endpoint, _secret = create_endpoint(url="https://example.com/parley")
        send_test(endpoint=endpoint)
        for text, label in (("退货要多久？", "退货"), ("发票在哪里？", "发票")):
            content = {"text": text}
            write_example(dataset=story.dataset, content=content, labels=[label])
        from labeling.queue.setup import create_task

        create_task(dataset=story.dataset, name="第一轮", created_by=viewer, mode="review")
        ids = {
            model._meta.label: [
                str(pk) for pk in model._default_manager.values_list("pk", flat=True)
            ]
            for model in [*guards.tenant_models(), apps.get_model("gpt_core.BaseModel")]
        }
    return Furnished({"Authorization": f"Bearer {secret}"}, ids)


def load() -> Any:
    """The description as it is served."""
    return schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())


def fuzz(operation: Any, furnished: Furnished, examples: int, figures: Figures) -> list[str]:
    """Ask one operation so many times; what was wrong with its answers."""
    before = len(figures.told)
    figures.operations += 1
    chance = random.Random(operation.label)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        is_real=st.booleans(),
    )
    def ask(case: Any, is_real: bool) -> None:
        if is_real:
            _stand_on_real_ids(case, furnished, chance)
        case.headers.pop("X-Tenant", None)
        figures.cases += 1
        with transaction.atomic():
            try:
                response = case.call_and_validate(headers=furnished.headers, checks=CHECKS)
                figures.accepted += 200 <= response.status_code < 300
            except FailureGroup as group:
                for failure in group.exceptions:
                    figures.count(failure, operation.label)
            except Failure as failure:
                figures.count(failure, operation.label)
            transaction.set_rollback(True)

    ask()
    return figures.told[before:]


def _stand_on_real_ids(case: Any, furnished: Furnished, chance: random.Random) -> None:
    """Put ids of the tenant's rows wherever an id can stand."""
    route = KNOWN[case.operation.path.replace("{id}", "<uuid:pk>").lstrip("/")]

    def one_of(label: str) -> str | None:
        found = furnished.ids.get(label, [])
        return chance.choice(found) if found else None

    if case.path_parameters and "id" in case.path_parameters:
        label = route.ids["pk"] if "bases" not in case.operation.path else "gpt_core.BaseModel"
        case.path_parameters = {"id": one_of(label) or case.path_parameters["id"]}
    for given_values, references in ((case.query, route.query), (case.body, route.body)):
        if isinstance(given_values, dict):
            for name, label in references.items():
                if name in given_values and not label.startswith("="):
                    given_values[name] = one_of(label) or given_values[name]
