"""The one way from a person or a key to a tenant's scope."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from accounts.models import ApiKey, User
from accounts.permissions import capabilities_of
from tenancy.audit import Actor, acting
from tenancy.models import Membership, Tenant
from tenancy.scope import keep_scope, keep_scope_async, system_scope, tenant_scope


@dataclass(frozen=True, slots=True)
class Credential:
    """Who is at the door, of which tenant, and what they may do there. DRF's `request.auth`."""

    tenant: Tenant
    capabilities: frozenset[str]
    actor: Actor
    membership: Membership | None = None
    key: ApiKey | None = None

    @property
    def key_id(self) -> UUID | None:
        return self.key.pk if self.key else None


@contextmanager
def scope_of(credential: Credential) -> Iterator[None]:
    """Act as this credential: its tenant's rows, its name in the audit log and in the log."""
    structlog.contextvars.bind_contextvars(
        tenant=str(credential.tenant.pk), actor=f"{credential.actor.kind}:{credential.actor.id}"
    )
    with tenant_scope(credential.tenant), acting(credential.actor):
        yield


def membership_of(
    user: User | AnonymousUser, slug: str, *, states: tuple[str, ...] = (Tenant.State.ACTIVE,)
) -> Membership | None:
    """The person's membership of the active tenant at this address, tenant loaded; else None."""
    if not user.is_authenticated:
        return None
    with system_scope("find a person's membership"):
        return (
            Membership.objects.select_related("tenant")
            .filter(user_id=user.pk, tenant__slug=slug, tenant__state__in=states)
            .first()
        )


def closing_memberships_of(user: User) -> list[Membership]:
    """Of every tenant of the person's that is about to be erased, by name."""
    with system_scope("list a person's closing memberships"):
        return list(
            Membership.objects.select_related("tenant")
            .filter(user_id=user.pk, tenant__state=Tenant.State.CLOSING)
            .order_by("tenant__name", "id")
        )


def memberships_of(user: User) -> list[Membership]:
    """Every active tenant that the person belongs to, by name."""
    with system_scope("list a person's memberships"):
        return list(
            Membership.objects.select_related("tenant")
            .filter(user_id=user.pk, tenant__state=Tenant.State.ACTIVE)
            .order_by("tenant__name", "id")
        )


def credential_of(membership: Membership) -> Credential:
    return Credential(
        tenant=membership.tenant,
        capabilities=capabilities_of(membership),
        actor=Actor("person", str(membership.user_id)),
        membership=membership,
    )


Allowed = str | Callable[[Membership], bool]


# The one page of a tenant that is closing (apps.portal).
CLOSING_NOTICE = "portal:closing"
OPEN = (Tenant.State.ACTIVE,)
OPEN_OR_CLOSING = (Tenant.State.ACTIVE, Tenant.State.CLOSING)


def tenant_page(
    *allowed: Allowed, states: tuple[str, ...] = OPEN
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A page under /t/<slug>/: for members, with one of these roles or passing these predicates.

    `@tenant_page()` any member, `@tenant_page("owner", "admin")`, `@tenant_page(can_train)`. The
    view gets no slug; it finds request.tenant, request.membership, and runs in the tenant's scope,
    its streaming response too. An unknown address and a foreign one are the same 404; so is a tenant
    that is suspended, or closing, but for the pages that say otherwise by `states`.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def page(request: HttpRequest, slug: str, **values: Any) -> HttpResponseBase:
                user = await request.auser()  # type: ignore[attr-defined]
                membership = await sync_to_async(membership_of)(user, slug, states=states)
                if not user.is_authenticated:
                    return redirect_to_login(request.get_full_path())
                if membership is None and await sync_to_async(_is_closing)(request, user, slug):
                    return redirect(CLOSING_NOTICE, slug)
                credential = _admitted(request, membership, allowed)
                with scope_of(credential):
                    return in_scope_while_streaming(await view(request, **values))

        else:

            @functools.wraps(view)
            def page(request: HttpRequest, slug: str, **values: Any) -> HttpResponseBase:
                if not request.user.is_authenticated:
                    return redirect_to_login(request.get_full_path())
                membership = membership_of(request.user, slug, states=states)
                if membership is None and _is_closing(request, request.user, slug):
                    return redirect(CLOSING_NOTICE, slug)
                credential = _admitted(request, membership, allowed)
                with scope_of(credential):
                    response = view(request, **values)
                    # A TemplateResponse asks the database while it renders.
                    if hasattr(response, "render") and callable(response.render):
                        response = response.render()
                    return in_scope_while_streaming(response)

        page.allowed = allowed  # type: ignore[attr-defined]
        return page

    return decorate


def _is_closing(request: HttpRequest, user: Any, slug: str) -> bool:
    """Whether a member looks for a page of a tenant that is closing, and finds the notice instead."""
    looks = request.method in ("GET", "HEAD")
    return looks and membership_of(user, slug, states=(Tenant.State.CLOSING,)) is not None


def _admitted(
    request: HttpRequest, membership: Membership | None, allowed: tuple[Allowed, ...]
) -> Credential:
    if membership is None:
        raise Http404
    if allowed and not any(
        rule(membership) if callable(rule) else rule == membership.role for rule in allowed
    ):
        raise PermissionDenied
    request.tenant = membership.tenant  # type: ignore[attr-defined]
    request.membership = membership  # type: ignore[attr-defined]
    return credential_of(membership)


def in_scope_while_streaming(response: HttpResponseBase) -> HttpResponseBase:
    if isinstance(response, StreamingHttpResponse):
        parts: Any = response.streaming_content
        kept = keep_scope_async(aiter(parts)) if response.is_async else keep_scope(parts)
        response.streaming_content = kept
    return response
