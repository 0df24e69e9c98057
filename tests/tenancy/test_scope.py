"""A query says whose rows it means, or it raises."""

import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from accounts.models import ApiKey
from tenancy.models import AuditEntry, Invitation, Membership, Tenant
from tenancy.scope import (
    ForeignRowError,
    NoScopeError,
    current_scope,
    current_tenant_id,
    keep_scope,
    keep_scope_async,
    system_scope,
    tenant_scope,
)
from tests.factories import make_member, make_user


def names(tenant: Tenant) -> list[str]:
    with tenant_scope(tenant):
        return list(ApiKey.objects.values_list("name", flat=True))


def make_key(tenant: Tenant, name: str) -> ApiKey:
    with tenant_scope(tenant):
        return ApiKey.objects.create(name=name, hash=f"{tenant.pk}{name}"[:64], prefix="x")


@pytest.mark.parametrize("model", [Tenant, Membership, Invitation, AuditEntry, ApiKey])
def test_a_query_outside_any_scope_raises(db: None, model: type) -> None:
    with pytest.raises(NoScopeError):
        model.objects.all()


def test_a_tenant_sees_its_own_rows_alone(tenant: Tenant, other_tenant: Tenant) -> None:
    make_key(tenant, "客服密钥")
    make_key(other_tenant, "theirs")
    assert names(tenant) == ["客服密钥"]
    assert names(other_tenant) == ["theirs"]


def test_the_system_sees_every_row_and_says_why(
    tenant: Tenant, other_tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    make_key(tenant, "a")
    make_key(other_tenant, "b")
    with caplog.at_level("INFO", logger="tenancy.scope"), system_scope("count the keys"):
        assert ApiKey.objects.count() == 2
    assert "count the keys" in caplog.text


def test_system_scope_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        with system_scope(" "):
            pass


def test_a_tenant_sees_itself_alone_among_tenants(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        assert list(Tenant.objects.all()) == [tenant]


def test_nested_scopes_restore_what_was_before(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        with tenant_scope(other_tenant):
            assert current_tenant_id() == other_tenant.pk
        with system_scope("in between"):
            assert current_tenant_id() is None
        with pytest.raises(RuntimeError):
            with tenant_scope(other_tenant):
                raise RuntimeError
        assert current_tenant_id() == tenant.pk
    assert current_scope() is None


def test_a_new_row_belongs_to_the_tenant_in_scope(tenant: Tenant) -> None:
    key = ApiKey(name="built outside", hash="h")
    with tenant_scope(tenant):
        key.save()
    assert key.tenant_id == tenant.pk


def test_the_system_must_say_whose_the_new_row_is(tenant: Tenant) -> None:
    with system_scope("make a key"):
        with pytest.raises(Exception, match=r"(?i)null"):
            ApiKey.objects.create(name="nobody's", hash="h")


@pytest.mark.parametrize(
    "write",
    [
        lambda key: key.save(),
        lambda key: key.delete(),
        lambda key: ApiKey.objects.create(name="n", hash="n", tenant_id=key.tenant_id),
        lambda key: ApiKey.objects.bulk_create(
            [ApiKey(name="n", hash="n", tenant_id=key.tenant_id)]
        ),
        lambda key: ApiKey.objects.update(tenant=key.tenant_id),
    ],
    ids=["save", "delete", "create", "bulk_create", "update"],
)
def test_a_row_of_another_tenant_cannot_be_written(
    tenant: Tenant, other_tenant: Tenant, write: object
) -> None:
    theirs = make_key(other_tenant, "theirs")
    make_key(tenant, "ours")
    with tenant_scope(tenant), pytest.raises(ForeignRowError), transaction.atomic():
        write(theirs)  # type: ignore[operator]
    assert names(other_tenant) == ["theirs"]


def test_a_row_cannot_change_hands_by_bulk_update(tenant: Tenant, other_tenant: Tenant) -> None:
    ours = make_key(tenant, "ours")
    ours.tenant_id = other_tenant.pk
    with tenant_scope(tenant), pytest.raises(ForeignRowError):
        ApiKey.objects.bulk_update([ours], ["tenant"])


def test_following_and_refreshing_stay_in_the_scope(tenant: Tenant, other_tenant: Tenant) -> None:
    theirs = make_key(other_tenant, "theirs")
    with tenant_scope(tenant):
        with pytest.raises(ApiKey.DoesNotExist):
            theirs.refresh_from_db()
        with pytest.raises(Tenant.DoesNotExist):
            _ = ApiKey(tenant_id=other_tenant.pk).tenant


def test_related_rows_are_scoped_too(tenant: Tenant, other_tenant: Tenant) -> None:
    person = make_user()
    with system_scope("a person in two companies"):
        for company in (tenant, other_tenant):
            Membership.objects.create(tenant=company, user=person, role="viewer")
    with tenant_scope(tenant):
        assert [m.tenant_id for m in person.memberships.all()] == [tenant.pk]
    with pytest.raises(NoScopeError):
        person.memberships.all()


def test_a_thread_started_by_hand_has_no_scope(in_tenant: Tenant) -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(current_scope()))
    thread.start()
    thread.join()
    assert seen == [None]


def test_the_scope_follows_through_async_and_back(in_tenant: Tenant) -> None:
    async def deeper() -> object:
        return await sync_to_async(current_tenant_id)()

    assert async_to_sync(deeper)() == in_tenant.pk


def test_two_coroutines_never_share_a_scope(tenant: Tenant, other_tenant: Tenant) -> None:
    import asyncio

    async def visit(company: Tenant) -> bool:
        with tenant_scope(company):
            for _ in range(20):
                await asyncio.sleep(0)
                if current_tenant_id() != company.pk:
                    return False
        return True

    async def both() -> list[bool]:
        return await asyncio.gather(*(visit(c) for c in (tenant, other_tenant) * 10))

    assert all(async_to_sync(both)())


def test_a_stream_keeps_its_scope_and_gives_none_away(tenant: Tenant) -> None:
    closed: list[object] = []

    def rows() -> object:
        try:
            while True:
                yield current_tenant_id()
        finally:
            closed.append(current_tenant_id())

    with tenant_scope(tenant):
        stream = keep_scope(rows())  # type: ignore[arg-type]
    assert next(stream) == tenant.pk
    assert current_scope() is None
    stream.close()  # type: ignore[attr-defined]
    assert closed == [tenant.pk]


def test_an_asynchronous_stream_does_the_same(tenant: Tenant) -> None:
    async def rows() -> object:
        for _ in range(3):
            yield current_tenant_id()

    async def read() -> list[object]:
        with tenant_scope(tenant):
            stream = keep_scope_async(rows())  # type: ignore[arg-type]
        seen = []
        async for item in stream:
            seen.append(item)
            seen.append(current_scope())
        return seen

    assert async_to_sync(read)() == [tenant.pk, None] * 3


def test_members_are_made_in_their_tenant(tenant: Tenant, other_tenant: Tenant) -> None:
    make_member(tenant)
    with tenant_scope(other_tenant):
        assert not Membership.objects.exists()
