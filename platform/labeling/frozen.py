"""The database's own refusal to change what is frozen: triggers on the `frozen_columns` of models.

They are made after each migration, because SQLite forgets the triggers of a table that a migration
rebuilds. Deleting stays possible, for a tenant that leaves and for erasure; so does losing the
reference to an example that is deleted.
"""

from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

FUNCTION = "labeling_refuse_change"


def install(*, using: str, **_signal: Any) -> None:
    """Receiver of post_migrate: bring the triggers in line with the models."""
    from labeling.models import DatasetVersion, VersionRow

    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in (DatasetVersion, VersionRow):
            if model._meta.db_table in tables:
                _protect(connection, cursor, model, model.frozen_columns)


def _protect(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    model: type[models.Model],
    columns: tuple[str, ...],
) -> None:
    table = model._meta.db_table
    listed = ", ".join(f'"{column}"' for column in columns)
    if connection.vendor == "postgresql":
        cursor.execute(
            f"""
            CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'labeling: a dataset version is frozen'
                USING ERRCODE = 'integrity_constraint_violation'; END $$
            """
        )
        cursor.execute(
            f'CREATE OR REPLACE TRIGGER {table}_frozen BEFORE UPDATE OF {listed} ON "{table}" '
            f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()"
        )
    else:
        cursor.execute(f"DROP TRIGGER IF EXISTS {table}_frozen")
        cursor.execute(
            f'CREATE TRIGGER {table}_frozen BEFORE UPDATE OF {listed} ON "{table}" '
            "BEGIN SELECT RAISE(ABORT, 'labeling: a dataset version is frozen'); END"
        )
