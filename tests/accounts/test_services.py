"""People come by invitation, keys do no more than their makers, and an owner always stays."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import services
from accounts.access import Credential, credential_of
from accounts.models import ApiKey, User
from accounts.permissions import CAPABILITIES_OF_ROLE, SCOPES_OF_KEYS
from common.errors import ApplicationError
from tenancy.models import AuditEntry, Invitation, Membership, Role, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_member, make_user


def credential(tenant: Tenant, role: str) -> Credential:
    user = make_member(tenant, role)
    with system_scope("test"):
        return credential_of(Membership.objects.select_related("tenant").get(user=user))


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("created_at").values_list("action", flat=True))


# --- People ----------------------------------------------------------------------------------


def test_an_address_is_one_person_in_any_spelling(db: None) -> None:
    user = User.objects.create_user(" Wang.Fang@Example.COM ", "密码")
    assert user.email == "wang.fang@example.com"
    assert User.objects.get_by_natural_key("WANG.FANG@example.com") == user
    assert user.password.startswith("md5")  # the tests' quick hasher


def test_the_product_hashes_passwords_with_argon2() -> None:
    from config import settings

    assert settings.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")


def test_a_tenant_is_opened_with_its_owner(db: None) -> None:
    owner = make_user()
    tenant = services.open_tenant(name="萨拉戈萨建筑", slug="zaragoza", owner=owner)
    with tenant_scope(tenant):
        assert Membership.objects.get().role == Role.OWNER
        assert actions() == ["tenant.opened"]
    with pytest.raises(ValidationError):
        services.open_tenant(name="again", slug="zaragoza")
    with pytest.raises(ValidationError):
        services.open_tenant(name="odd", slug="Not An Address")


# --- Keys ------------------------------------------------------------------------------------


def test_a_key_is_kept_as_its_hash_alone(in_tenant: Tenant) -> None:
    key, secret = services.create_api_key(name="网站", scopes=["view", "generate"], by=None)
    key.refresh_from_db()
    assert secret.startswith(key.prefix)
    assert secret not in str(vars(key))
    assert key.scopes == ["generate", "view"]
    assert len(secret) >= 43


@pytest.mark.parametrize("scopes", [[], ["everything"], ["view", "override"]])
def test_a_key_has_scopes_that_exist(in_tenant: Tenant, scopes: list[str]) -> None:
    with pytest.raises(ApplicationError, match="unknown_scope"):
        services.create_api_key(name="k", scopes=scopes, by=None)


def test_a_key_cannot_do_more_than_its_maker(tenant: Tenant) -> None:
    admin = credential(tenant, Role.ADMIN)
    with tenant_scope(tenant):
        with pytest.raises(ApplicationError, match="not_yours_to_give"):
            services.create_api_key(
                name="k",
                scopes=["train"],
                by=Credential(tenant, frozenset({"view", "manage"}), admin.actor),
            )
        services.create_api_key(name="k", scopes=SCOPES_OF_KEYS, by=admin)


def test_a_key_is_taken_back_once(in_tenant: Tenant) -> None:
    key, _secret = services.create_api_key(name="k", scopes=["view"], by=None)
    services.revoke_api_key(key=key)
    services.revoke_api_key(key=key)
    assert actions() == ["key.created", "key.revoked"]
    assert not ApiKey.objects.get().is_valid


def test_a_key_cannot_end_before_it_begins(in_tenant: Tenant) -> None:
    with pytest.raises(ApplicationError, match="in_the_past"):
        services.create_api_key(name="k", scopes=["view"], by=None, expires_at=timezone.now())


# --- Invitations -----------------------------------------------------------------------------


def test_an_invitation_is_taken_once_by_the_invited(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        invitation, token = services.invite(email="Li@Example.com", role="annotator", by=None)
        assert token not in str(vars(invitation))
    li = make_user("li@example.com")
    membership = services.accept_invitation(token=token, user=li)
    assert (membership.tenant_id, membership.role) == (tenant.pk, "annotator")
    with pytest.raises(ApplicationError, match="invitation_not_valid"):
        services.accept_invitation(token=token, user=li)
    with tenant_scope(tenant):
        assert actions() == ["invitation.made", "member.joined"]


def test_every_invitation_that_does_not_hold_is_refused_alike(tenant: Tenant) -> None:
    guest, stranger = make_user("guest@example.com"), make_user()
    with tenant_scope(tenant):
        late, late_token = services.invite(email=guest.email, role="viewer", by=None)
        Invitation.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(1))
        back, back_token = services.invite(email=guest.email, role="viewer", by=None)
        services.revoke_invitation(invitation=back)
        _open, open_token = services.invite(email=guest.email, role="viewer", by=None)
    refusals = set()
    for token, user in (
        (late_token, guest),
        (back_token, guest),
        (open_token, stranger),
        ("no such token", guest),
        ("令牌", guest),
    ):
        with pytest.raises(ApplicationError) as caught:
            services.accept_invitation(token=token, user=user)
        refusals.add((caught.value.code, str(caught.value.detail), caught.value.status_hint))
    assert len(refusals) == 1
    with tenant_scope(tenant):
        assert not Membership.objects.exists()


def test_an_invitation_gives_no_more_than_the_inviter_has(tenant: Tenant) -> None:
    admin = credential(tenant, Role.ADMIN)
    with tenant_scope(tenant):
        with pytest.raises(ApplicationError, match="not_yours_to_give"):
            services.invite(email="x@example.com", role="owner", by=admin)
        services.invite(email="x@example.com", role="admin", by=admin)


def test_a_member_is_not_invited_again(tenant: Tenant) -> None:
    member = make_member(tenant, "viewer")
    with tenant_scope(tenant), pytest.raises(ApplicationError, match="already_member"):
        services.invite(email=member.email.upper(), role="admin", by=None)


# --- Roles -----------------------------------------------------------------------------------


def test_one_owner_always_stays(tenant: Tenant) -> None:
    owner = credential(tenant, Role.OWNER)
    assert owner.membership is not None
    with tenant_scope(tenant):
        with pytest.raises(ApplicationError, match="last_owner"):
            services.change_role(membership=owner.membership, role="viewer", by=owner)
        with pytest.raises(ApplicationError, match="last_owner"):
            services.remove_member(membership=owner.membership, by=owner)
    second = credential(tenant, Role.OWNER)
    with tenant_scope(tenant):
        services.change_role(membership=owner.membership, role="viewer", by=second)
        assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_an_admin_neither_makes_nor_unmakes_an_owner(tenant: Tenant) -> None:
    owner, admin = credential(tenant, Role.OWNER), credential(tenant, Role.ADMIN)
    credential(tenant, Role.OWNER)
    assert owner.membership
    assert admin.membership
    with tenant_scope(tenant):
        for act in (
            lambda: services.change_role(membership=admin.membership, role="owner", by=admin),
            lambda: services.change_role(membership=owner.membership, role="viewer", by=admin),
            lambda: services.remove_member(membership=owner.membership, by=admin),
        ):
            with pytest.raises(ApplicationError, match="not_yours_to_give"):
                act()


def test_each_role_can_do_what_the_one_below_can() -> None:
    # Agents speak to visitors and annotators label: neither does the other's work.
    for below, above in (
        ("viewer", "agent"),
        ("viewer", "annotator"),
        ("agent", "admin"),
        ("annotator", "admin"),
        ("admin", "owner"),
    ):
        assert CAPABILITIES_OF_ROLE[below] < CAPABILITIES_OF_ROLE[above]
    assert set(CAPABILITIES_OF_ROLE) == set(Role.values)
