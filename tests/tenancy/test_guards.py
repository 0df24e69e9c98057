"""What the database refuses by itself, on SQLite and on PostgreSQL."""

import pytest
from django.db import DatabaseError, connection, transaction

from tenancy import audit, guards
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_user


@pytest.fixture
def entry(tenant: Tenant) -> AuditEntry:
    with tenant_scope(tenant):
        return audit.record("dataset.imported", tenant, rows=503)


@pytest.mark.parametrize("change", [{"action": "x"}, {"data": {}}])
def test_the_audit_log_cannot_be_rewritten(entry: AuditEntry, change: dict[str, object]) -> None:
    with system_scope("try"), pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(**change)


def test_the_audit_log_cannot_be_shortened(entry: AuditEntry) -> None:
    with system_scope("try"):
        with pytest.raises(DatabaseError), transaction.atomic():
            entry.delete()
        with pytest.raises(DatabaseError), transaction.atomic():
            AuditEntry.objects.all().delete()
        assert AuditEntry.objects.count() == 1


def test_an_entry_names_tenant_actor_action_and_target(tenant: Tenant) -> None:
    person = make_user()
    with tenant_scope(tenant), audit.acting(audit.Actor("person", str(person.pk))):
        entry = audit.record("tenant.renamed", tenant, before="旧", after="新")
    assert (entry.tenant_id, entry.actor_kind, entry.actor_id) == (
        tenant.pk,
        "person",
        str(person.pk),
    )
    assert (entry.target_type, entry.target_id) == ("tenancy.tenant", str(tenant.pk))
    assert entry.data == {"before": "旧", "after": "新"}


def test_what_the_system_does_to_a_tenant_stands_in_the_tenants_log(tenant: Tenant) -> None:
    with system_scope("suspend"):
        audit.record("tenant.suspended", tenant)
    with tenant_scope(tenant):
        assert AuditEntry.objects.get().actor_kind == "system"


def test_the_trail_outlives_the_tenant(tenant: Tenant, entry: AuditEntry) -> None:
    with system_scope("close a tenant"):
        tenant.delete()
        assert AuditEntry.objects.count() == 1


def test_every_reference_between_tenants_tables_is_guarded(db: None) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f'")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        present = {name for (name,) in cursor.fetchall()}
    for reference in guards.references():
        suffixes = [""] if connection.vendor == "postgresql" else ["_i", "_u"]
        assert {f"{reference.name}{suffix}" for suffix in suffixes} <= present, reference
