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
from tests.live import Platform, running_platform
from tests.postgres import own_database

ROLE = "parley_test_app"


def missing_service(reason: str) -> None:
    """Skip where somebody works without the service; fail where CI says that it must be there."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What reads or writes the database is marked, however it asks for it: `make test-services` runs
    that, and what needs nothing of it runs in `make test` alone."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db"}:
            item.add_marker("database")


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


@pytest.fixture
def production() -> Iterator[dict[str, str]]:
    """A database of its own, with an owner and a role that owns nothing; their addresses."""
    with own_database(os.environ["DATABASE_URL"]) as addresses:
        yield addresses


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


# --- A whole platform ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A whole platform with a tiny base, running; OpenAI's clients need nothing less."""
    with running_platform(tmp_path_factory.mktemp("platform")) as found:
        yield found


# --- Figures -----------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The isolation sweep in one line: routes swept of routes known, and how many pairs of requests;
    the calls of OpenAI's clients and the script vectors in others."""
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
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, figures in getattr(report, "user_properties", []):
                if name.startswith("calls of "):
                    terminalreporter.write_line(
                        f"{name.removeprefix('calls of ')}: {figures} calls"
                    )
    for report in terminalreporter.stats.get("passed", []):
        seen = dict(getattr(report, "user_properties", []))
        if "vector_places" in seen:
            where = f"{seen['vector_places']} places on {seen['vector_pages']} pages"
            terminalreporter.write_line(f"Script vectors: 0 of {seen['vectors']} ran in {where}")
