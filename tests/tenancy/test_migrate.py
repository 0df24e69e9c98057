"""The owner migrates, another role works, and the guards are there however one got here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from tenancy import audit
from tenancy.scope import system_scope

ROOT = Path(__file__).resolve().parents[2]


def the_audit_log_is_guarded() -> bool:
    with system_scope("try"):
        entry = audit.record("platform.started")
        try:
            with transaction.atomic():
                entry.delete()
        except DatabaseError:
            return True
    return False


@pytest.mark.django_db(transaction=True)
def test_emptying_and_migrating_again_leave_the_guards_standing() -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert the_audit_log_is_guarded()
    call_command("migrate", verbosity=0)
    assert the_audit_log_is_guarded()


@pytest.mark.django_db(transaction=True)
def test_every_migration_of_ours_can_be_taken_back_and_made_again() -> None:
    for app in ("gpt_core", "labeling"):
        call_command("migrate", app, "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        assert {"labeling_dataset", "gpt_core_checkpoint"} <= set(
            connection.introspection.table_names(cursor)
        )


@pytest.mark.django_db(transaction=True)
def test_looking_at_the_plan_changes_nothing() -> None:
    call_command("migrate", plan=True, verbosity=0)
    call_command("migrate", check_unapplied=True, verbosity=0)


# --- Two roles, as in production ---------------------------------------------------------------


def manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **variables}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.postgres
def test_the_owner_migrates_and_the_other_role_works(production: dict[str, str]) -> None:
    migrated = manage("migrate", "-v", "0", **production)
    assert migrated.returncode == 0, migrated.stderr
    work = (
        "from tests.factories import make_tenant, make_member; t = make_tenant('a'); "
        "make_member(t); from tenancy.scope import tenant_scope; "
        "from tenancy.models import Membership\n"
        "with tenant_scope(t): print('members', Membership.objects.count())"
    )
    worked = manage("shell", "-c", work, **production)
    assert "members 1" in worked.stdout, worked.stderr
    assert manage("check", "--database", "default", **production).returncode == 0


@pytest.mark.postgres
def test_a_process_that_connects_as_the_owner_does_not_start(production: dict[str, str]) -> None:
    assert manage("migrate", "-v", "0", **production).returncode == 0
    as_owner = production | {"DATABASE_URL": production["DATABASE_OWNER_URL"]}
    checked = manage("check", "--database", "default", **as_owner)
    assert checked.returncode != 0
    assert "tenancy.E001" in checked.stderr
    look = "from accounts.models import User; print(User.objects.count())"
    worked = manage("shell", "-c", look, **as_owner)
    assert worked.returncode != 0
    assert "DATABASE_OWNER_URL" in worked.stderr
