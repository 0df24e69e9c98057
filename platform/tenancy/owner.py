"""PostgreSQL's two roles: the owner, who migrates, and the one that everything else runs as.

A role that is above row security, or owns a tenant's table, makes the second net a decoration. A
process that finds itself connected as one stops with the reason.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from environ import Env

AUDIT_TABLE = "tenancy_auditentry"

_owning: ContextVar[bool] = ContextVar("parley_owning", default=False)
# Roles found to be harmless, by address, database and role; asked once in each process.
_harmless: set[tuple[Any, ...]] = set()


@contextmanager
def as_owner(connection: BaseDatabaseWrapper) -> Iterator[str | None]:
    """Connect as the owner (DATABASE_OWNER_URL) for a while; yields the name of the other role.

    Without DATABASE_OWNER_URL, and on SQLite, the connection stays as it is and the yield is None.
    """
    token = _owning.set(True)
    try:
        if connection.vendor != "postgresql" or not settings.DATABASE_OWNER_URL:
            yield None
            return
        if connection.in_atomic_block:
            raise ImproperlyConfigured("The owner cannot take over in the middle of a transaction.")
        role = role_of(connection)
        before = connection.settings_dict
        owner = Env.db_url_config(settings.DATABASE_OWNER_URL)
        connection.close()
        # A copy: the dictionary itself is shared with every thread's connection.
        connection.settings_dict = before | {
            name: owner.get(name) or "" for name in ("USER", "PASSWORD", "HOST", "PORT")
        }
        connection.settings_dict["OPTIONS"] = dict(owner.get("OPTIONS") or {})
        try:
            yield role
        finally:
            connection.close()
            connection.settings_dict = before
    finally:
        _owning.reset(token)


def role_of(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return cursor.fetchone()[0]


def grant_access(connection: BaseDatabaseWrapper, role: str) -> None:
    """What the other role may do: rows, never tables; the audit log is never changed."""
    name = connection.ops.quote_name(role)
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
        tables = f"ALL TABLES IN SCHEMA {schema}"
        for statement in (
            f"GRANT USAGE ON SCHEMA {schema} TO {name}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {name}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",
            # What may be deleted of it, a trigger says (tenancy.guards).
            f"REVOKE UPDATE ON {AUDIT_TABLE} FROM {name}",
            f"REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {name}",
        ):
            cursor.execute(statement)


def faults_of_role(connection: BaseDatabaseWrapper) -> list[str]:
    """Why row security would not hold for the role that we are connected as; empty if it does."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT rolname, rolsuper, rolbypassrls, (
                SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
                WHERE relrowsecurity AND pg_has_role(current_user, relowner, 'MEMBER')
            )
            FROM pg_roles WHERE rolname = current_user
            """
        )
        name, is_superuser, bypasses, owned = cursor.fetchone()
    faults = []
    if is_superuser:
        faults.append(f"{name} is a superuser")
    if bypasses:
        faults.append(f"{name} has BYPASSRLS")
    if owned and not is_superuser:
        faults.append(f"{name} owns (or is a member of the owner of) {owned}")
    return faults


REMEDY = (
    "Give DATABASE_URL a role with LOGIN and nothing else, put the owner's address into "
    "DATABASE_OWNER_URL, and run `manage.py migrate`: it grants the role what it needs."
)


def refuse_powerful_role(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """On each new connection: ImproperlyConfigured if row security would not hold for its role."""
    if connection.vendor != "postgresql" or _owning.get():
        return
    known = tuple(str(connection.settings_dict[name]) for name in ("HOST", "PORT", "NAME", "USER"))
    known += (str(connection.settings_dict["OPTIONS"]),)
    if known in _harmless:
        return
    faults = faults_of_role(connection)
    if faults:
        connection.close()
        raise ImproperlyConfigured(
            f"Row security does not hold on this connection: {'; '.join(faults)}. {REMEDY}"
        )
    _harmless.add(known)


def check_role(
    app_configs: Any = None, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """System check, with the others that ask a database: `manage.py check --database default`."""
    if _owning.get():
        return []
    found: list[CheckMessage] = []
    token = _owning.set(True)  # to look at a powerful role is not to work as it
    try:
        for alias in databases or []:
            faults = faults_of_role(connections[alias])
            found += [Error(fault, hint=REMEDY, id="tenancy.E001") for fault in faults]
    finally:
        _owning.reset(token)
    return found
