"""Health for whoever restarts and routes, figures for whoever holds the token, nothing for others."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config import health
from gpt_core.client import EngineUnavailableError
from gpt_core.models import State
from tenancy.models import Tenant
from tests.apps.portal import scenes

TOKEN = {"Authorization": "Bearer internal-token-1"}


@pytest.fixture
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = "internal-token-1"


@pytest.fixture
def engines_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_options: Any) -> None:
        raise EngineUnavailableError(cause="nobody there")

    monkeypatch.setattr(health.client, "loaded_models", away)


@pytest.fixture(autouse=True)
def _unmigrated() -> Iterator[None]:
    health._migrated.clear()
    yield
    health._migrated.clear()


def test_alive_is_answered_without_a_database(client: Client) -> None:
    """No `db` fixture: a query would fail this test."""
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert client.post("/health/live").status_code == 405


def test_ready_tells_a_stranger_one_word(client: Client, db: None, token: None) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    wrong = client.get("/health/ready", headers={"Authorization": "Bearer wrong"})
    assert wrong.json() == {"status": "ready"}


def test_ready_tells_the_token_what_is_degraded(
    client: Client, db: None, token: None, engines_away: None
) -> None:
    answer = client.get("/health/ready", headers=TOKEN)
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    checks = answer.json()["checks"]
    assert checks["database"] == {"ok": True}
    assert checks["engine smollm2-135m-instruct"] == {"ok": False, "fault": "engine_unavailable"}


def test_no_database_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> str:
        raise ConnectionError("secret host 10.1.2.3")

    monkeypatch.setattr(health, "database", away)
    monkeypatch.setattr(health, "migrations", lambda: "")
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


def test_migrations_that_wait_are_not_ready(
    client: Client, db: None, token: None, engines_away: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        health.MigrationExecutor, "migration_plan", lambda self, targets: [("one", False)]
    )
    answer = client.get("/health/ready", headers=TOKEN)
    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["checks"]["migrations"]["fault"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "秘"}])
def test_figures_are_for_the_token_alone(
    header: dict[str, str], client: Client, db: None, settings: Any
) -> None:
    assert client.get("/metrics", headers=header).status_code == 404
    settings.METRICS_TOKEN = "internal-token-1"
    assert client.get("/metrics", headers=header).status_code == 401


def figures(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers=TOKEN)
    assert answer.status_code == 200
    return {
        (sample.name, *sorted(f"{k}={v}" for k, v in sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_figures_come_from_the_database_and_name_no_tenant(
    client: Client, tenant: Tenant, token: None
) -> None:
    scenes.tell(tenant)
    client.get("/accounts/login/")
    found = figures(client)
    assert found[("parley_jobs", "kind=training", f"state={State.RUNNING}")] == 1
    assert found[("parley_queue_depth", "kind=training")] >= 1
    assert found[("parley_queue_oldest_seconds", "kind=training")] > 0
    assert found[("parley_leases", "kind=training")] == 1
    assert found[("parley_tenants", "state=active")] == 1
    route = "route=accounts/login/"
    assert found[("parley_request_seconds_count", "method=GET", route, "status=200")] >= 1
    text = client.get("/metrics", headers=TOKEN).content.decode()
    assert tenant.slug not in text
    assert str(tenant.pk) not in text


def test_an_address_is_counted_by_its_route_and_no_address_is_a_series(
    client: Client, db: None, token: None
) -> None:
    for number in range(3):
        client.get(f"/nowhere/{number}")
        client.generic("BREW", "/nowhere/")
    found = figures(client)
    assert not [name for name in found if "nowhere" in str(name)]
    assert [name for name in found if "method=other" in name]
