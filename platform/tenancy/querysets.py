"""Queries that see one tenant's rows."""

from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db import models
from django.db.models.functions import Now

from tenancy.scope import TenantScope, required_scope

Row = TypeVar("Row", bound=models.Model)


def seconds_from_now(seconds: float) -> models.Expression:
    """A moment by the database's clock."""
    return models.ExpressionWrapper(
        Now() + models.Value(timedelta(seconds=seconds)), output_field=models.DateTimeField()
    )


class TenantQuerySet(models.QuerySet[Row]):
    """Subclass it, name your queries, and build the manager with TenantManager.from_queryset."""

    def active_tenants(self) -> list[UUID]:
        """Whose rows these are, each once, those at rest left out. Needs a system scope."""
        rows = self.filter(tenant__state="active").order_by()
        return list(rows.values_list("tenant_id", flat=True).distinct())


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
