"""Opening a tenant: who may, under which address, and what they find there."""

import pytest
from django.test import Client

from tenancy.models import AuditEntry, Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_member, make_tenant, make_user

pytestmark = pytest.mark.django_db

FORM = {"name": "宏达建设", "slug": "hongda", "language": "zh-hans"}


@pytest.fixture
def newcomer() -> Client:
    client = Client()
    client.force_login(make_user("wang@example.com", name="王芳"))
    return client


def test_who_belongs_nowhere_opens_a_tenant_and_owns_it(newcomer: Client) -> None:
    assert "/new/" in newcomer.get("/").content.decode()
    answer = newcomer.post("/new/", FORM)
    assert answer.headers["Location"] == "/t/hongda/"
    with system_scope("test"):
        tenant = Tenant.objects.get()
    assert (tenant.name, tenant.language) == ("宏达建设", "zh-hans")
    with tenant_scope(tenant):
        assert Membership.objects.get().role == "owner"
        assert AuditEntry.objects.get().action == "tenant.opened"
    assert newcomer.get("/t/hongda/").status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "taken"),
        ("slug", "Großbau"),
        ("slug", "-x"),
        ("slug", "a_b"),
        ("slug", ""),
        ("slug", "x" * 64),
        ("name", ""),
        ("name", "字" * 201),
        ("language", "de"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(
    field: str, value: str, newcomer: Client
) -> None:
    make_tenant("taken")
    page = newcomer.post("/new/", FORM | {field: value})
    assert page.status_code == 400
    assert f'id="id_{field}_error"' in page.content.decode() or "errorlist" in page.content.decode()
    with system_scope("test"):
        assert Tenant.objects.count() == 1


def test_who_belongs_somewhere_opens_another_only_where_the_platform_is_open(
    tenant: Tenant, settings: object
) -> None:
    client = Client()
    client.force_login(make_member(tenant))
    assert client.post("/new/", FORM).status_code == 403
    settings.PARLEY_OPEN_SIGNUP = True  # type: ignore[attr-defined]
    assert client.post("/new/", FORM).headers["Location"] == "/t/hongda/"


def test_a_member_of_a_suspended_tenant_does_not_begin_anew(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_member(tenant))
    with system_scope("test"):
        Tenant.objects.update(state=Tenant.State.SUSPENDED)
    assert client.post("/new/", FORM).status_code == 403


def test_a_stranger_signs_in_first(db: None) -> None:
    assert Client().get("/new/").headers["Location"].startswith("/accounts/login/")
