"""No table and no field for an id is forgotten."""

import uuid
from typing import Any

import pytest
from django import forms
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from rest_framework import serializers
from rest_framework.relations import RelatedField

from tenancy import guards
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager
from tenancy.scope import NoScopeError, system_scope, tenant_scope
from tests.isolation.routes import KNOWN
from tests.isolation.world import World

OURS = {"tenancy", "webhooks", "accounts", "labeling", "gpt_core", "portal", "chatbot"}

# Tables of ours in which a row belongs to no tenant, and why.
EVERYBODYS = {
    "tenancy.Tenant": "is the tenant; its row is scoped by its own id",
    "accounts.User": "a person may belong to several tenants",
    "accounts.User_groups": "Django's own; not used",
    "accounts.User_user_permissions": "Django's own; staff only",
    "gpt_core.Sighting": "a process of the platform; nothing of a tenant",
    "gpt_core.BaseModel": "a base model is shared by every tenant, and holds nobody's data",
}

MODELS = [m for m in apps.get_models(include_auto_created=True) if m._meta.app_label in OURS]
OF_TENANTS = guards.tenant_models()


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label)
def test_every_table_is_a_tenants_or_says_why_not(model: type[models.Model]) -> None:
    assert issubclass(model, TenantModel) != (model._meta.label in EVERYBODYS)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label)
def test_every_table_says_whose_personal_data_it_holds(model: type[models.Model]) -> None:
    if model._meta.auto_created:
        pytest.skip("a table between two others")
    path = model.subject_path  # type: ignore[attr-defined]
    if path is None:
        return
    here: Any = model
    for part in path.split("__"):
        found = here._meta.pk if part == "pk" else here._meta.get_field(part)
        here = found.related_model


@pytest.mark.parametrize("model", OF_TENANTS, ids=lambda m: m._meta.label)
def test_every_manager_of_a_tenants_table_is_scoped(model: type[models.Model], db: None) -> None:
    assert model._meta.base_manager_name == "objects"
    for manager in (*model._meta.managers, model._base_manager):
        assert isinstance(manager, TenantManager)
        with pytest.raises(NoScopeError):
            manager.all()


def test_every_table_of_a_tenant_is_in_the_world(world: World) -> None:
    for company in (world.ours, world.theirs):
        assert {model._meta.label for model in OF_TENANTS} <= set(company.rows)


@pytest.mark.parametrize("reference", guards.references(), ids=lambda r: f"{r.table}.{r.column}")
def test_no_row_can_refer_to_another_tenants_row(reference: guards.Reference, world: World) -> None:
    model = next(m for m in OF_TENANTS if m._meta.db_table == reference.table)
    column = next(f for f in model._meta.local_concrete_fields if f.column == reference.column)
    ours = world.ours.row(model._meta.label)
    foreign = world.theirs.row(column.related_model._meta.label)
    for enter in (lambda: tenant_scope(world.ours.tenant), lambda: system_scope("test")):
        with enter(), pytest.raises(DatabaseError), transaction.atomic():
            _refer(reference, ours.pk, foreign.pk)


def _refer(reference: guards.Reference, row: Any, other: Any) -> None:
    """Straight to the table, as a careless update would; then what is checked at the commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{reference.table}" SET "{reference.column}" = %s WHERE "id" = %s',
            [_raw(other), _raw(row)],
        )
    connection.check_constraints()


def _raw(pk: Any) -> Any:
    """A key as the table holds it."""
    if not isinstance(pk, uuid.UUID):
        return pk
    return str(pk) if connection.features.has_native_uuid_field else pk.hex


# --- Ids in bodies -------------------------------------------------------------------------------


def _all_below(base: type) -> set[type]:
    found = set(base.__subclasses__())
    return found | {deeper for below in found for deeper in _all_below(below)}


def _is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] in OURS | {"apps"}


def test_every_field_that_takes_an_id_is_swept() -> None:
    """A serializer or a form that reads an id stands, by the field's name, in a `body` of KNOWN."""
    from tests.isolation.routes import every_route

    every_route()  # loads every view, and with it every serializer and form
    swept = {
        name for route in KNOWN.values() for name, value in route.body.items() if value[0] != "="
    }
    swept |= {name for route in KNOWN.values() for name in route.query}
    missing = []
    for cls in filter(_is_ours, _all_below(serializers.Serializer)):
        if issubclass(cls, serializers.ModelSerializer) and not hasattr(cls, "Meta"):
            continue  # a base of others
        for name, found in cls().fields.items():
            takes_id = isinstance(
                found, serializers.UUIDField | RelatedField | serializers.ManyRelatedField
            )
            if takes_id and not found.read_only and name not in swept:
                missing.append(f"{cls.__name__}.{name}")
    for form in filter(_is_ours, _all_below(forms.BaseForm)):
        for name, field in getattr(form, "base_fields", {}).items():
            if isinstance(field, forms.UUIDField | forms.ModelChoiceField) and name not in swept:
                missing.append(f"{form.__name__}.{name}")
    assert missing == []
