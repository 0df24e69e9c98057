"""Whose rows may be touched now: one tenant's, every tenant's for a stated reason, or nobody's.

The scope is a context variable. It follows `await` and asgiref's thread hops, it does not follow
into a thread that somebody starts by hand, and a query where there is none raises. The managers
(tenancy.models) and the row-level security of PostgreSQL (tenancy.rls) both read it from here.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class NoScopeError(Exception):
    """A tenant's table was touched where nobody said whose rows are meant: a bug, never input."""


class ForeignRowError(Exception):
    """A row of one tenant was to be written in the scope of another: a bug, never input."""


@dataclass(frozen=True, slots=True)
class TenantScope:
    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class SystemScope:
    reason: str


Scope = TenantScope | SystemScope

_current: ContextVar[Scope | None] = ContextVar("parley_scope", default=None)


def current_scope() -> Scope | None:
    return _current.get()


def required_scope() -> Scope:
    """The scope we are in; NoScopeError where there is none."""
    scope = _current.get()
    if scope is None:
        raise NoScopeError(
            "A tenant's table was touched outside any scope. Enter tenant_scope(tenant), or "
            "system_scope(reason) where every tenant is meant."
        )
    return scope


def current_tenant_id() -> UUID | None:
    """The tenant we act for; None in system scope and outside any scope."""
    scope = _current.get()
    return scope.tenant_id if isinstance(scope, TenantScope) else None


@contextmanager
def tenant_scope(tenant: Any) -> Iterator[UUID]:
    """Act for one tenant, given as a Tenant, a UUID or its text. Nested scopes restore."""
    tenant_id = as_tenant_id(tenant)
    with _entered(TenantScope(tenant_id)):
        yield tenant_id


@contextmanager
def system_scope(reason: str) -> Iterator[None]:
    """Act across tenants, for a reason that is logged: beat, the admin, finding a key's tenant."""
    if not reason.strip():
        raise ValueError("system_scope needs a reason")
    logger.info("system scope: %s", reason)
    with _entered(SystemScope(reason)):
        yield


@contextmanager
def _entered(scope: Scope) -> Iterator[None]:
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


def as_tenant_id(tenant: Any) -> UUID:
    found = getattr(tenant, "pk", tenant)
    return found if isinstance(found, UUID) else UUID(str(found))


def keep_scope(items: Iterable[Item]) -> Iterator[Item]:
    """Iterate later, in the scope of now: for streaming responses, which outlive their view.

    A `with tenant_scope(...)` around a `yield` would leave the scope open in whoever iterates;
    here it is entered for each step and left before the item is handed out.
    """
    scope = required_scope()

    def steps() -> Iterator[Item]:
        iterator = iter(items)
        try:
            while True:
                with _entered(scope):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                with _entered(scope):
                    close()

    return steps()


def keep_scope_async(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """The same for an asynchronous iterator."""
    scope = required_scope()

    async def steps() -> AsyncIterator[Item]:
        iterator = aiter(items)
        try:
            while True:
                with _entered(scope):
                    try:
                        item = await anext(iterator)
                    except StopAsyncIteration:
                        return
                yield item
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                with _entered(scope):
                    await close()

    return steps()
