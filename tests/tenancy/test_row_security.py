"""The second net: PostgreSQL shows and takes a tenant's rows in its scope alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey
from tenancy import audit, guards, owner, rls
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_tenant

pytestmark = pytest.mark.postgres


def make_key(tenant: Tenant, name: str) -> ApiKey:
    with tenant_scope(tenant):
        return ApiKey.objects.create(name=name, hash=f"{tenant.pk}{name}"[:64], prefix="x")


def raw(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else [(cursor.rowcount,)]


COUNT = "SELECT count(*) FROM accounts_apikey"


@pytest.fixture
def two(tenant: Tenant, other_tenant: Tenant) -> tuple[Tenant, Tenant]:
    for company, number in ((tenant, 2), (other_tenant, 3)):
        for i in range(number):
            make_key(company, f"键{i}")
    return tenant, other_tenant


def test_the_tests_run_as_a_role_that_owns_nothing(db: None) -> None:
    assert owner.faults_of_role(connection) == []
    assert raw("SELECT current_user") == [("parley_test_app",)]


def test_raw_sql_sees_the_scope_alone(two: tuple[Tenant, Tenant]) -> None:
    ours, theirs = two
    with tenant_scope(ours):
        assert raw(COUNT) == [(2,)]
    with tenant_scope(theirs):
        assert raw(COUNT) == [(3,)]
        assert raw(f"{COUNT} WHERE tenant_id = %s", ours.pk) == [(0,)]
    with system_scope("count"):
        assert raw(COUNT) == [(5,)]
    assert raw(COUNT) == [(0,)]


def test_an_earlier_statement_of_the_transaction_leaves_nothing(two: tuple[Tenant, Tenant]) -> None:
    with transaction.atomic():
        with tenant_scope(two[0]):
            raw(COUNT)
        assert raw(COUNT) == [(0,)]
        assert raw("SELECT current_setting('parley.scope', true)") == [("",)]


def test_raw_writes_stay_in_the_scope(two: tuple[Tenant, Tenant]) -> None:
    ours, theirs = two
    with tenant_scope(ours):
        assert raw("UPDATE accounts_apikey SET name = 'taken'") == [(2,)]
        assert raw("DELETE FROM accounts_apikey WHERE tenant_id = %s", theirs.pk) == [(0,)]
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            raw("UPDATE accounts_apikey SET tenant_id = %s", theirs.pk)
    with tenant_scope(theirs):
        assert not ApiKey.objects.filter(name="taken").exists()


@contextmanager
def application_scoping_off() -> Iterator[None]:
    from django.db import models

    from tenancy.fields import TenantField
    from tenancy.querysets import TenantManager

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TenantManager, "get_queryset", models.Manager.get_queryset)
        patch.setattr(TenantField, "get_db_prep_save", models.ForeignKey.get_db_prep_save)
        yield


def test_the_orm_without_its_scoping_sees_no_foreign_row(two: tuple[Tenant, Tenant]) -> None:
    ours, theirs = two
    with application_scoping_off(), tenant_scope(ours):
        assert {key.tenant_id for key in ApiKey.objects.all()} == {ours.pk}
        assert list(Tenant.objects.all()) == [ours]
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            ApiKey.objects.create(name="planted", hash="p", tenant=theirs)
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            ApiKey.objects.bulk_create([ApiKey(name="planted", hash="p", tenant=theirs)])


def test_every_way_to_run_sql_carries_the_scope(two: tuple[Tenant, Tenant]) -> None:
    from psycopg2 import sql

    ours, _theirs = two
    with tenant_scope(ours), transaction.atomic():
        assert "InitPlan" in ApiKey.objects.order_by("name").explain()
        assert len(list(ApiKey.objects.iterator(chunk_size=1))) == 2
        assert len(list(ApiKey.objects.raw("SELECT * FROM accounts_apikey"))) == 2
        with transaction.atomic():
            ApiKey.objects.update(name="%s 百分之百 %")
        point = transaction.savepoint()
        ApiKey.objects.all().delete()
        transaction.savepoint_rollback(point)
        assert ApiKey.objects.filter(name="%s 百分之百 %").count() == 2
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE accounts_apikey SET name = %s WHERE name <> %s", [("a", "b"), ("c", "d")]
            )
            cursor.execute("UPDATE accounts_apikey SET name = 'e' RETURNING tenant_id")
            assert {row[0] for row in cursor.fetchall()} == {ours.pk}
            cursor.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("accounts_apikey"))
            )
            assert cursor.fetchone() == (2,)


def test_one_query_is_sent_for_one_query(two: tuple[Tenant, Tenant]) -> None:
    with tenant_scope(two[0]), CaptureQueriesContext(connection) as queries:
        list(ApiKey.objects.all())
    assert len(queries) == 1
    assert queries[0]["sql"].startswith("SELECT set_config")


@pytest.mark.django_db(transaction=True)
def test_nothing_stays_on_the_connection_in_autocommit() -> None:
    ours = make_tenant()
    make_key(ours, "k")
    with tenant_scope(ours):
        assert raw(COUNT) == [(1,)]
    assert raw("SELECT coalesce(current_setting('parley.scope', true), '')") == [("",)]
    assert raw(COUNT) == [(0,)]


@pytest.mark.django_db(transaction=True)
def test_two_connections_serve_ten_tenants_without_a_mix_up() -> None:
    tenants = [make_tenant() for _ in range(10)]
    for company in tenants:
        make_key(company, str(company.pk))

    def visit(turn: int) -> bool:
        company = tenants[turn % 10]
        with tenant_scope(company):
            seen = {tenant_id for (tenant_id,) in raw("SELECT tenant_id FROM accounts_apikey")}
        return seen == {company.pk} and raw(COUNT) == [(0,)]

    def leave() -> None:
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(visit, range(2000)))
        for _ in range(4):
            pool.submit(leave)


# --- What the catalog says -------------------------------------------------------------------


def test_every_table_of_a_tenant_is_under_forced_row_security(db: None) -> None:
    tables = {model._meta.db_table for model in guards.tenant_models()} | {"tenancy_tenant"}
    secured = raw(
        """
        SELECT c.relname, p.polname, p.polcmd, p.polpermissive, p.polroles,
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
        FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
        WHERE c.relrowsecurity AND c.relforcerowsecurity
        """
    )
    assert {row[0] for row in secured} == tables
    for table, name, command, permissive, roles, using, check in secured:
        # One policy each, for all commands and everybody: another permissive one would widen it.
        assert (name, command, permissive, roles) == ("parley_tenant", "*", True, [0]), table
        assert "parley.scope" in using
        assert using == check


def test_no_view_and_no_function_reaches_past_row_security(db: None) -> None:
    assert (
        raw(
            "SELECT viewname FROM pg_views WHERE schemaname = current_schema() "
            "UNION SELECT matviewname FROM pg_matviews WHERE schemaname = current_schema()"
        )
        == []
    )
    assert (
        raw(
            "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace"
        )
        == []
    )


def test_the_role_may_change_rows_and_nothing_else(db: None) -> None:
    for statement in (
        "CREATE TABLE mine (id int)",
        "TRUNCATE accounts_apikey",
        "ALTER TABLE accounts_apikey DISABLE ROW LEVEL SECURITY",
        "DROP POLICY parley_tenant ON accounts_apikey",
        "DELETE FROM django_migrations",
        "UPDATE tenancy_auditentry SET action = 'x'",
        # Of the audit log a row may go where a trigger lets it, and the trigger is out of reach.
        "TRUNCATE tenancy_auditentry",
        "ALTER TABLE tenancy_auditentry DISABLE TRIGGER parley_audit",
        "DROP TRIGGER parley_audit ON tenancy_auditentry",
        "DROP FUNCTION parley_refuse() CASCADE",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(DatabaseError, match=r"permission denied|must be owner"):
            with transaction.atomic():
                raw(statement)


DELETE = "DELETE FROM tenancy_auditentry WHERE action = %s"


def test_raw_sql_shortens_nobodys_trail(tenant: Tenant, other_tenant: Tenant) -> None:
    for company in (tenant, other_tenant):
        with tenant_scope(company):
            audit.record("dataset.imported", company, name="客服", rows=503)
    for scope in (tenant_scope(tenant), system_scope("test: everybody's trail")):
        with scope, pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            raw(DELETE, "dataset.imported")
    # Outside any scope there is nothing to delete.
    assert raw(DELETE, "dataset.imported") == [(0,)]


def test_only_the_trail_of_a_company_whose_time_is_over_goes_and_never_that_of_its_end(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    for company in (tenant, other_tenant):
        with tenant_scope(company):
            audit.record("dataset.imported", company, rows=503)
            audit.record("tenant.closing_begun", company)
    with system_scope("test: one leaves, the other has time left"):
        for company, days in ((tenant, -1), (other_tenant, 1)):
            Tenant.objects.filter(pk=company.pk).update(
                state=Tenant.State.CLOSING, closes_at=timezone.now() + timedelta(days=days)
            )
    with tenant_scope(other_tenant), pytest.raises(DatabaseError, match="append-only"):
        with transaction.atomic():
            raw(DELETE, "dataset.imported")
    with tenant_scope(tenant):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            raw(DELETE, "tenant.closing_begun")
        assert raw(DELETE, "dataset.imported") == [(1,)]


def test_a_process_connected_as_a_powerful_role_is_stopped(db: None) -> None:
    raw("SET ROLE NONE")
    try:
        faults = owner.faults_of_role(connection)
        assert any("superuser" in fault for fault in faults)
        assert {error.id for error in owner.check_role(databases=["default"])} == {"tenancy.E001"}
    finally:
        raw("SET ROLE parley_test_app")


def test_a_new_connection_as_the_owner_is_closed_and_refused(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "_harmless", set())
    copy = connection.copy()
    copy.settings_dict = connection.settings_dict | {"OPTIONS": {}}
    with pytest.raises(ImproperlyConfigured, match="DATABASE_OWNER_URL"):
        copy.ensure_connection()
    assert copy.connection is None


def test_row_security_can_be_taken_back() -> None:
    operation = rls.EnableRowSecurity("Tenant", column="id")
    assert operation.deconstruct() == ("EnableRowSecurity", ["Tenant"], {"column": "id"})
    assert operation.reversible
