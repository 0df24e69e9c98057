"""What every test may ask for. On PostgreSQL the tests run as a role that owns nothing."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from environ import Env

from tenancy import owner
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests import factories

ROLE = "parley_test_app"


def missing_service(reason: str) -> None:
    """Skip where somebody works without the service; fail where CI says that it must be there."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _postgres_where_it_is_named(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("postgres") and "postgresql" not in str(
        settings.DATABASES["default"]["ENGINE"]
    ):
        missing_service("DATABASE_URL names no PostgreSQL; `make test-services` does")


# --- The database --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """The test database is made, and at the end destroyed, by the owner."""
    if "postgresql" in str(settings.DATABASES["default"]["ENGINE"]):
        address = Env.db_url_config(os.environ["DATABASE_URL"])
        try:
            with socket.create_connection((address["HOST"], address["PORT"] or 5432), timeout=5):
                pass
        except OSError as error:
            missing_service(f"DATABASE_URL names a PostgreSQL that does not answer: {error}")
    token = owner._owning.set(True)
    yield
    owner._owning.reset(token)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """From here on as a role with no rights but to rows, as in production."""
    if connection.vendor != "postgresql":
        yield
        return
    settings.DATABASE_OWNER_URL = os.environ["DATABASE_URL"]
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            # Several workers prepare at once; the role belongs to the whole server.
            cursor.execute(
                f"""DO $$ BEGIN CREATE ROLE {ROLE} NOLOGIN;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
            )
        owner.grant_access(connection, ROLE)
        connection.close()
    connection.settings_dict["OPTIONS"]["options"] = f"-c role={ROLE}"
    token = owner._owning.set(False)
    yield
    owner._owning.reset(token)
    connection.settings_dict["OPTIONS"].pop("options")
    with django_db_blocker.unblock():
        connection.close()


# --- Tenants ---------------------------------------------------------------------------------


@pytest.fixture
def tenant(db: None) -> Tenant:
    return factories.make_tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return factories.make_tenant()


@pytest.fixture
def in_tenant(tenant: Tenant) -> Iterator[Tenant]:
    """The test runs in the scope of `tenant`."""
    with tenant_scope(tenant):
        yield tenant


# --- Figures -----------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The isolation sweep in one line: routes swept of routes known, and how many pairs of requests."""
    for name, title in (
        ("isolation_pairs", "Isolation sweep"),
        ("isolation_pairs_database_alone", "Isolation sweep, row security alone"),
    ):
        swept, failed = [], 0
        for outcome in ("passed", "failed"):
            for report in terminalreporter.stats.get(outcome, []):
                pairs = dict(getattr(report, "user_properties", [])).get(name)
                if pairs is not None:
                    swept.append(pairs)
                    failed += outcome == "failed"
        if swept:
            routes = f"{len(swept) - failed} of {len(swept)} routes"
            terminalreporter.write_line(f"{title}: {routes}, {sum(swept)} pairs of requests")
