"""The trail: `record("checkpoint.promoted", checkpoint, reason=...)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models

from tenancy.models import AuditEntry
from tenancy.scope import SystemScope, current_tenant_id, required_scope


@dataclass(frozen=True, slots=True)
class Actor:
    kind: str  # person, key or system
    id: str = ""


SYSTEM = Actor("system")

_actor: ContextVar[Actor] = ContextVar("parley_actor", default=SYSTEM)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Whoever is at the door: entered with the scope, so that no service carries the actor along."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> Actor:
    return _actor.get()


def record(
    action: str, target: models.Model | None = None, *, actor: Any = None, **data: Any
) -> AuditEntry:
    """Add one line to the trail, in the transaction of what it tells.

    `action` is noun.verb; `actor` (a User) only where it is another than the one at the door;
    `data` must be JSON: ids and figures. In system scope the line belongs to the target's tenant.
    """
    who = current_actor() if actor is None else Actor("person", str(actor.pk))
    tenant_id = current_tenant_id()
    if isinstance(required_scope(), SystemScope):
        tenant_id = getattr(target, getattr(target, "tenant_column", "tenant_id"), None)
    return AuditEntry.objects.create(
        tenant_id=tenant_id,
        actor_kind=who.kind,
        actor_id=who.id,
        action=action,
        target_type=target._meta.label_lower if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        data=data,
    )
