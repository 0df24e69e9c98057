"""Open a tenant, invite people, change what they may do, give keys to programs and take them back.

`by` is the credential of whoever asks; None is the platform itself (the command line). Nobody
gives away more than they hold.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.access import Credential
from accounts.authentication import hash_of
from accounts.models import ApiKey, User
from accounts.permissions import ANSWER, SCOPES_OF_KEYS, capabilities_of
from common.errors import ApplicationError, ConflictError
from tenancy import audit, quotas
from tenancy.models import Invitation, Membership, Role, Tenant
from tenancy.scope import system_scope, tenant_scope

INVITATION_LASTS = timedelta(days=7)
KEY_BEGINS_WITH = "parley_"
SHOWN = 12


def open_tenant(*, name: str, slug: str, owner: User | None = None, language: str = "en") -> Tenant:
    """A new tenant, with its first owner. ValidationError for an address that is taken or odd."""
    tenant = Tenant(name=name, slug=slug, language=language)
    with system_scope("open a tenant"), transaction.atomic():
        tenant.full_clean()
        tenant.save()
        audit.record("tenant.opened", tenant)
    with tenant_scope(tenant):
        if owner is not None:
            Membership.objects.create(user=owner, role=Role.OWNER)
    return tenant


@transaction.atomic
def change_tenant(*, tenant: Tenant, name: str, language: str, rise_colour: str) -> Tenant:
    """What the tenant is called and how it speaks; its address is a part of names and stays."""
    before = {field: getattr(tenant, field) for field in ("language", "rise_colour")}
    renamed = tenant.name != name
    tenant.name, tenant.language, tenant.rise_colour = name, language, rise_colour
    tenant.full_clean()
    tenant.save(update_fields=["name", "language", "rise_colour"])
    changed = [field for field, value in before.items() if getattr(tenant, field) != value]
    if renamed or changed:
        audit.record("tenant.changed", tenant, fields=["name"] * renamed + changed)
    return tenant


# --- Keys ----------------------------------------------------------------------------------------


@transaction.atomic
def create_api_key(
    *,
    name: str,
    scopes: Iterable[str],
    by: Credential | None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A key of the tenant in scope, and its secret, which nobody can read again."""
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES_OF_KEYS]
    if unknown or not wanted:
        raise ApplicationError(
            "unknown_scope",
            _("A key needs scopes out of: %(known)s.") % {"known": ", ".join(SCOPES_OF_KEYS)},
            field="scopes",
        )
    if by is not None and not set(wanted) <= by.capabilities:
        raise ApplicationError(
            "not_yours_to_give",
            _("A key cannot do more than whoever makes it."),
            field="scopes",
            status_hint=403,
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise ApplicationError("in_the_past", _("This time is over."), field="expires_at")
    secret = KEY_BEGINS_WITH + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        name=name,
        prefix=secret[:SHOWN],
        hash=hash_of(secret),
        scopes=wanted,
        expires_at=expires_at,
        created_by_id=by.membership.user_id if by and by.membership else None,
    )
    audit.record("key.created", key, scopes=wanted)
    return key, secret


@transaction.atomic
def revoke_api_key(*, key: ApiKey) -> None:
    """From the next request on the key is nothing; doing it twice changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record("key.revoked", key)


@transaction.atomic
def limit_api_key(*, key: ApiKey, **limits: int | None) -> quotas.Limits:
    """Limits of this key beside the tenant's; None leaves the tenant's alone. Saying the same again
    changes nothing."""
    before = quotas.limits_of(key.pk)[1]
    now = quotas.set_key_limits(key.pk, **limits)
    if now != before:
        audit.record("key.limited", key, **limits)
    return now


# --- Invitations -----------------------------------------------------------------------------


@transaction.atomic
def invite(*, email: str, role: str, by: Credential | None) -> tuple[Invitation, str]:
    """Offer a place in the tenant in scope. The token is shown once and opens it once."""
    _refuse_beyond(by, role)
    email = User.objects.normalize_email(email)
    if Membership.objects.filter(user__email=email).exists():
        raise ConflictError("already_member", _("This person is a member already."), field="email")
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        email=email,
        role=role,
        token_hash=hash_of(token),
        invited_by_id=by.membership.user_id if by and by.membership else None,
        expires_at=timezone.now() + INVITATION_LASTS,
    )
    audit.record("invitation.made", invitation, role=role)
    return invitation, token


@transaction.atomic
def renew_invitation(*, invitation: Invitation, by: Credential | None) -> str:
    """A new token, and the whole time again. The one before opens nothing any more."""
    _refuse_beyond(by, invitation.role)
    if Membership.objects.filter(user__email=invitation.email).exists():
        raise ConflictError("already_member", _("This person is a member already."), field="email")
    token = secrets.token_urlsafe(32)
    until = timezone.now() + INVITATION_LASTS
    renewed = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
        token_hash=hash_of(token), expires_at=until
    )
    if not renewed:
        raise ConflictError("invitation_over", _("This invitation was used or withdrawn."))
    invitation.refresh_from_db()
    audit.record("invitation.renewed", invitation)
    return token


def open_invitation(token_hash: str) -> Invitation | None:
    """The invitation behind this hash, its tenant and inviter loaded; None if it opens nothing."""
    with system_scope("find the tenant of an invitation"):
        return (
            Invitation.objects.select_related("tenant", "invited_by")
            .filter(
                token_hash=token_hash,
                accepted_at=None,
                revoked_at=None,
                expires_at__gt=timezone.now(),
                tenant__state=Tenant.State.ACTIVE,
            )
            .first()
        )


def accept_invitation(*, token: str, user: User) -> Membership:
    """Take the offered place. A token that is unknown, used, withdrawn, late or another person's
    is refused with one and the same error.
    """
    return accept_invitation_by_hash(token_hash=hash_of(token), user=user)


def accept_invitation_by_hash(*, token_hash: str, user: User) -> Membership:
    """The same for whoever showed the token before they signed in: a session keeps only its hash."""
    refused = ApplicationError(
        "invitation_not_valid",
        _(
            "This invitation is not valid: it was used, withdrawn, ran out, or is for another address."
        ),
        status_hint=404,
    )
    invitation = open_invitation(token_hash)
    if invitation is None or invitation.email != user.email:
        raise refused
    with tenant_scope(invitation.tenant_id), transaction.atomic():
        # One UPDATE decides, so that of two clicks at once one takes the place.
        taken = Invitation.objects.filter(
            pk=invitation.pk, accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()
        ).update(accepted_at=timezone.now())
        if not taken:
            raise refused
        membership, is_new = Membership.objects.get_or_create(
            user=user, defaults={"role": invitation.role}
        )
        if is_new:
            audit.record("member.joined", membership, actor=user, role=membership.role)
        return membership


@transaction.atomic
def revoke_invitation(*, invitation: Invitation) -> None:
    taken_back = Invitation.objects.filter(
        pk=invitation.pk, accepted_at=None, revoked_at=None
    ).update(revoked_at=timezone.now())
    if taken_back:
        audit.record("invitation.revoked", invitation)


# --- Members -----------------------------------------------------------------------------------


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: Credential | None) -> Membership:
    """Owners are made and unmade by owners alone, and one always stays."""
    _refuse_beyond(by, role)
    _refuse_beyond(by, membership.role)
    if membership.role != role:
        _refuse_losing_the_last_owner(membership)
        before, membership.role = membership.role, role
        membership.save(update_fields=["role"])
        audit.record("member.role_changed", membership, before=before, after=role)
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, by: Credential | None) -> None:
    _refuse_beyond(by, membership.role)
    _refuse_losing_the_last_owner(membership)
    audit.record("member.removed", membership, role=membership.role, user=str(membership.user_id))
    membership.delete()


@transaction.atomic
def leave_tenant(*, membership: Membership) -> None:
    """Anybody may go but the last owner; whoever stays can invite them again."""
    _refuse_losing_the_last_owner(membership)
    audit.record("member.left", membership, role=membership.role, user=str(membership.user_id))
    membership.delete()


def _refuse_beyond(by: Credential | None, role: str) -> None:
    # No key speaks to visitors itself; one that manages names who does all the same.
    if by is not None and not capabilities_of(role) - {ANSWER} <= by.capabilities:
        raise ApplicationError(
            "not_yours_to_give",
            _("Only somebody with this role, or a higher one, can give it or take it."),
            field="role",
            status_hint=403,
        )


def _refuse_losing_the_last_owner(membership: Membership) -> None:
    if membership.role != Role.OWNER:
        return
    # Locked, so that two owners cannot take leave of each other at once.
    owners = Membership.objects.select_for_update().filter(role=Role.OWNER)
    if len(owners) < 2:
        raise ConflictError("last_owner", _("A tenant keeps at least one owner."), field="role")
