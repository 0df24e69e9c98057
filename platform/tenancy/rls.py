"""The second net, on PostgreSQL: the database itself shows a tenant's rows in its scope alone.

The scope travels with each statement. In front of its SQL stands a `set_config(..., true)`; both go
to the server as one query, hence in one transaction, so that the value ends with it and a
pooled connection carries nothing from one request to the next, in autocommit too. The role must
not own the tables nor be above row security (tenancy.owner sees to both).
"""

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from psycopg2 import sql as composed

from tenancy.scope import SystemScope, TenantScope, current_scope

SETTING = "parley.scope"
EVERYONE = "*"
SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")

# Each sub-select is evaluated once per statement, not once per row. The text is compared as a
# uuid, so that an index on the column serves; what is no uuid (nothing set, or everyone's sign)
# matches no row.
PREDICATE = """(
    {column} = (
        SELECT CASE WHEN length(s) = 36 THEN s::uuid END
        FROM current_setting('parley.scope', true) AS s
    )
    OR (SELECT current_setting('parley.scope', true)) = '*'
)"""


class EnableRowSecurity(Operation):
    """Migration operation: row security on, forced on the owner as well, one policy for all."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, column: str = "tenant_id") -> None:
        self.model_name = model_name
        self.column = column

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        options = {} if self.column == "tenant_id" else {"column": self.column}
        return self.__class__.__qualname__, [self.model_name], options

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state of the models is as before: only the database learns something."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "postgresql":
            for statement in enabling_statements(model, self.column):
                schema_editor.execute(statement)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "postgresql":
            table = schema_editor.quote_name(model._meta.db_table)
            schema_editor.execute(f"DROP POLICY IF EXISTS parley_tenant ON {table}")
            schema_editor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            schema_editor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")

    def describe(self) -> str:
        return f"Enable row security on {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name.lower()}_row_security"


def enabling_statements(model: type[models.Model], column: str) -> list[str]:
    table = f'"{model._meta.db_table}"'
    predicate = PREDICATE.format(column=f'"{column}"')
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS parley_tenant ON {table}",
        f"CREATE POLICY parley_tenant ON {table} USING {predicate} WITH CHECK {predicate}",
    ]


def scope_on_the_wire() -> str:
    """What the policies compare with: a tenant's id, everyone's sign, or nothing."""
    match current_scope():
        case TenantScope(tenant_id):
            return str(tenant_id)
        case SystemScope():
            return EVERYONE
        case _:
            return ""


def carry_scope(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Execute wrapper: put the scope in front of the statement.

    Outside a transaction nothing was left behind by an earlier statement, so that an unscoped
    one needs no prefix; inside one, it must take back what an earlier statement set.
    """
    if isinstance(sql, str) and sql.startswith(SAVEPOINTS):
        # They touch no row, and after an error PostgreSQL takes ROLLBACK TO and nothing before it.
        return execute(sql, params, many, context)
    value = scope_on_the_wire()
    if value or context["connection"].in_atomic_block:
        prefix = f"SELECT set_config('{SETTING}', '{value}', true); "
        sql = composed.SQL(prefix) + sql if isinstance(sql, composed.Composable) else prefix + sql
    return execute(sql, params, many, context)


def attach(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """On each new connection: from now on every statement carries the scope."""
    if connection.vendor == "postgresql" and carry_scope not in connection.execute_wrappers:
        connection.execute_wrappers.append(carry_scope)
