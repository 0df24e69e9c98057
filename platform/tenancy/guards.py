"""What the database itself refuses: a reference to another tenant's row, a change of the audit log.

Brought about after each `migrate`, from the models as they are, so that no migration can forget
them. On PostgreSQL a reference is a composite foreign key (tenant_id, other_id), which row security
does not hide anything from. SQLite cannot add constraints; there it is triggers, taken down while
migrations rebuild tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from tenancy.fields import TenantField
from tenancy.owner import AUDIT_TABLE

PREFIX = "parley_"
# What the audit log keeps of a company that was erased. Everything else of it may be deleted once
# its time of grace is over, and not a moment before.
KEPT_OF_THE_ERASED = ("tenant.closing_begun", "tenant.closing_undone", "tenant.erased")


class Reference(NamedTuple):
    """`table.column` points at a row of `target`; both tables belong to tenants."""

    table: str
    column: str
    target: str
    target_column: str | None

    @property
    def name(self) -> str:
        digest = sha256(f"{self.table}.{self.column}".encode()).hexdigest()[:8]
        return f"{PREFIX}ref_{self.table[:30]}_{digest}"


def tenant_models() -> list[type[models.Model]]:
    """Every model with a tenant's column, tables made for many-to-many fields among them."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if _tenant_field(model) is not None and model._meta.managed and not model._meta.proxy
    ]


def _tenant_field(model: type[models.Model]) -> TenantField | None:
    return next((f for f in model._meta.local_fields if isinstance(f, TenantField)), None)


def references() -> list[Reference]:
    return [
        Reference(
            model._meta.db_table,
            field.column,
            field.related_model._meta.db_table,
            field.target_field.column,
        )
        for model in tenant_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.ForeignKey)
        and getattr(field, "db_constraint", True)
        and not isinstance(field, TenantField)
        and _tenant_field(field.related_model) is not None
    ]


def install(connection: BaseDatabaseWrapper) -> None:
    """Bring the guards in line with the models and tables that are there."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        wanted = [r for r in references() if _is_there(connection, cursor, r, tables)]
        if connection.vendor == "postgresql":
            _install_on_postgresql(cursor, wanted, tables)
        else:
            _install_on_sqlite(cursor, wanted, tables)


def _is_there(
    connection: BaseDatabaseWrapper, cursor: Any, reference: Reference, tables: set[str]
) -> bool:
    """Migrations may have been run only in part; the models are always the newest."""
    if not {reference.table, reference.target} <= tables:
        return False
    columns = connection.introspection.get_table_description(cursor, reference.table)
    return reference.column in {column.name for column in columns}


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without SQLite's triggers for a while: a table cannot be rebuilt, nor emptied, under them."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            _remove_from_sqlite(cursor)
    try:
        yield
    finally:
        install(connection)


# --- PostgreSQL --------------------------------------------------------------------------------


def _install_on_postgresql(cursor: Any, wanted: list[Reference], tables: set[str]) -> None:
    cursor.execute("SELECT conname FROM pg_constraint WHERE starts_with(conname, %s)", [PREFIX])
    present = {name for (name,) in cursor.fetchall()}
    for target, column in sorted({(r.target, r.target_column) for r in wanted}):
        unique = f"{PREFIX}own_{target}"[:63]
        if unique not in present:
            cursor.execute(
                f'ALTER TABLE "{target}" ADD CONSTRAINT "{unique}" UNIQUE (tenant_id, "{column}")'
            )
    for reference in wanted:
        if reference.name not in present:
            cursor.execute(
                f'ALTER TABLE "{reference.table}" ADD CONSTRAINT "{reference.name}" '
                f'FOREIGN KEY (tenant_id, "{reference.column}") '
                f'REFERENCES "{reference.target}" (tenant_id, "{reference.target_column}") '
                "DEFERRABLE INITIALLY DEFERRED"
            )
    if AUDIT_TABLE in tables:
        cursor.execute(
            """
            CREATE OR REPLACE FUNCTION parley_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'DELETE' AND OLD.action <> ALL (%s) AND EXISTS (
                    SELECT 1 FROM tenancy_tenant AS t
                    WHERE t.id = OLD.tenant_id AND t.state = 'closing' AND t.closes_at <= now()
                ) THEN RETURN OLD; END IF;
                RAISE EXCEPTION 'parley: the audit log is append-only'
                    USING ERRCODE = 'integrity_constraint_violation';
            END $$
            """,
            [list(KEPT_OF_THE_ERASED)],
        )
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER parley_audit BEFORE UPDATE OR DELETE ON {AUDIT_TABLE} "
            "FOR EACH ROW EXECUTE FUNCTION parley_refuse()"
        )


# --- SQLite ------------------------------------------------------------------------------------

TRIGGER = """
CREATE TRIGGER "{ref.name}_{suffix}" BEFORE {event} ON "{ref.table}"
WHEN EXISTS (
    SELECT 1 FROM "{ref.target}" AS target
    WHERE target."{ref.target_column}" = NEW."{ref.column}" AND target.tenant_id <> NEW.tenant_id
)
BEGIN SELECT RAISE(ABORT, 'parley: a reference to another tenant''s row'); END
"""


def _install_on_sqlite(cursor: Any, wanted: list[Reference], tables: set[str]) -> None:
    _remove_from_sqlite(cursor)
    for reference in wanted:
        on_update = f'UPDATE OF "{reference.column}", tenant_id'
        for event, suffix in (("INSERT", "i"), (on_update, "u")):
            cursor.execute(TRIGGER.format(ref=reference, suffix=suffix, event=event))
    if AUDIT_TABLE in tables:
        kept = ", ".join(f"'{action}'" for action in KEPT_OF_THE_ERASED)
        is_erased = (
            "EXISTS (SELECT 1 FROM tenancy_tenant AS t WHERE t.id = OLD.tenant_id "
            "AND t.state = 'closing' AND t.closes_at <= strftime('%Y-%m-%d %H:%M:%f', 'now'))"
        )
        for event, condition in (
            ("UPDATE", ""),
            ("DELETE", f"WHEN OLD.action IN ({kept}) OR NOT {is_erased} "),
        ):
            cursor.execute(
                f"CREATE TRIGGER {PREFIX}audit_{event.lower()} BEFORE {event} ON {AUDIT_TABLE} "
                f"{condition}BEGIN SELECT RAISE(ABORT, 'parley: the audit log is append-only'); END"
            )


def _remove_from_sqlite(cursor: Any) -> None:
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, 7) = %s",
        [PREFIX],
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'DROP TRIGGER "{name}"')
