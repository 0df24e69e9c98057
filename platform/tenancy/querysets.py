"""Queries that see one tenant's rows."""

from typing import Any, TypeVar

from django.db import models

from tenancy.scope import TenantScope, required_scope

Row = TypeVar("Row", bound=models.Model)


class TenantQuerySet(models.QuerySet[Row]):
    """Subclass it, name your queries, and build the manager with TenantManager.from_queryset."""


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Filters by the tenant in scope, shows all in system scope, raises outside any scope.

    It is also the base manager of every tenant's model, so that following a foreign key, save(),
    refresh_from_db() and the related managers are scoped too.
    """

    # In migrations, historical models get this manager as well.
    use_in_migrations = False

    def get_queryset(self) -> Any:
        scope = required_scope()
        rows = super().get_queryset()
        if isinstance(scope, TenantScope):
            column = getattr(self.model, "tenant_column", "tenant_id")
            return rows.filter(**{column: scope.tenant_id})
        return rows
