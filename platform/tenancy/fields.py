"""The column that says whose row it is."""

from typing import Any
from uuid import UUID

from django.db import models

from tenancy.scope import ForeignRowError, TenantScope, current_tenant_id, required_scope


class TenantField(models.ForeignKey):
    """A foreign key to Tenant: filled with the tenant in scope, refused when it is another one.

    The check stands where Django turns the value into SQL, so that save(), bulk_create(),
    bulk_update() and QuerySet.update() all pass it, without a single save() override.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options["to"] = "tenancy.Tenant"
        options.setdefault("on_delete", models.CASCADE)
        options.setdefault("default", current_tenant_id)
        options.setdefault("editable", False)
        options.setdefault("related_name", "+")
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, options = super().deconstruct()
        options.pop("to", None)
        return name, path, args, options

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        # A row built before the scope was entered still learns whose it is.
        if add and getattr(model_instance, self.attname) is None:
            setattr(model_instance, self.attname, current_tenant_id())
        return super().pre_save(model_instance, add)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        scope = required_scope()
        if isinstance(scope, TenantScope) and not _same(value, scope.tenant_id):
            raise ForeignRowError(
                f"A row of tenant {value} was to be written in the scope of {scope.tenant_id}."
            )
        return super().get_db_prep_save(value, connection)


def _same(value: Any, tenant_id: UUID) -> bool:
    if hasattr(value, "resolve_expression"):
        return False
    return str(value) == str(tenant_id)
