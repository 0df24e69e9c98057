"""A tenant's page opens for its members, in its scope, and is nowhere for anybody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import RequestFactory

from accounts.access import memberships_of, tenant_page
from accounts.models import User
from accounts.permissions import can_manage, can_train
from tenancy.audit import current_actor
from tenancy.models import Membership, Tenant
from tenancy.scope import current_scope, current_tenant_id, system_scope
from tests.factories import make_member, make_user


def request_of(user: User | AnonymousUser) -> Any:
    request: Any = RequestFactory().get("/t/somewhere/")
    request.user = user

    async def auser() -> User | AnonymousUser:
        return user

    request.auser = auser
    return request


@tenant_page()
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.tenant.name} {current_tenant_id()} {current_actor().kind}")  # type: ignore[attr-defined]


def test_a_member_sees_the_page_in_the_tenants_scope(tenant: Tenant) -> None:
    answer = page(request_of(make_member(tenant, "viewer")), slug=tenant.slug)
    assert answer.content.decode() == f"{tenant.name} {tenant.pk} person"
    assert current_scope() is None


def test_a_stranger_is_sent_to_sign_in(tenant: Tenant) -> None:
    for slug in (tenant.slug, "no-such"):
        answer = page(request_of(AnonymousUser()), slug=slug)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/")


def test_a_foreign_and_an_unknown_address_are_both_nowhere(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    member = make_member(tenant)
    for slug in (other_tenant.slug, "no-such"):
        with pytest.raises(Http404):
            page(request_of(member), slug=slug)


@pytest.mark.parametrize("allowed", [("owner", "admin"), (can_train,), (can_manage, "agent")])
def test_a_page_may_ask_for_roles_or_predicates(tenant: Tenant, allowed: Any) -> None:
    guarded = tenant_page(*allowed)(lambda request: HttpResponse())
    assert guarded(request_of(make_member(tenant, "admin")), slug=tenant.slug).status_code == 200
    with pytest.raises(PermissionDenied):
        guarded(request_of(make_member(tenant, "viewer")), slug=tenant.slug)


def test_a_template_is_rendered_inside_the_scope(tenant: Tenant) -> None:
    class Late(TemplateResponse):
        @property
        def rendered_content(self) -> str:
            return str(current_tenant_id())

    view = tenant_page()(lambda request: Late(request, "404.html"))
    answer = view(request_of(make_member(tenant)), slug=tenant.slug)
    assert answer.content.decode() == str(tenant.pk)


def test_a_stream_goes_on_in_the_scope_after_the_view_has_ended(tenant: Tenant) -> None:
    def rows() -> Iterator[str]:
        for membership in Membership.objects.all():
            yield str(membership.tenant_id)

    view = tenant_page()(lambda request: StreamingHttpResponse(rows()))
    answer = view(request_of(make_member(tenant)), slug=tenant.slug)
    assert current_scope() is None
    assert answer.getvalue().decode() == str(tenant.pk)


def test_an_asynchronous_page_and_its_stream_do_the_same(tenant: Tenant) -> None:
    member = make_member(tenant)

    @tenant_page()
    async def events(request: HttpRequest) -> StreamingHttpResponse:
        async def rows() -> Any:
            for _turn in range(3):
                yield f"{await sync_to_async(Membership.objects.count)()} {current_tenant_id()};"

        return StreamingHttpResponse(rows())

    async def read() -> str:
        answer = await events(request_of(member), slug=tenant.slug)
        assert current_scope() is None
        return "".join([part.decode() async for part in answer])

    assert async_to_sync(read)() == f"1 {tenant.pk};" * 3


def test_people_see_the_companies_they_belong_to(tenant: Tenant, other_tenant: Tenant) -> None:
    person = make_user()
    with system_scope("test"):
        Membership.objects.create(tenant=tenant, user=person, role="viewer")
    assert [m.tenant for m in memberships_of(person)] == [tenant]
