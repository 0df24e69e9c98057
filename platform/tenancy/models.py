"""Tenants, who belongs to them, who is invited, and the trail of what was done."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy.fields import TenantField
from tenancy.querysets import TenantManager
from tenancy.scope import ForeignRowError, TenantScope, required_scope


class TenantModel(models.Model):
    """A table in which every row belongs to one tenant.

    A subclass adds `EnableRowSecurity("Name")` (tenancy.rls) to the migration that creates it and
    declares `subject_path`: the lookup from a row to the person whose data it holds, such as
    "subject" or "example__subject", or None where it holds nobody's. Erasure follows it.
    """

    subject_path: ClassVar[str | None]
    tenant_column: ClassVar[str] = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = TenantField()
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def delete(self, *args: object, **options: object) -> tuple[int, dict[str, int]]:
        """Django deletes an instance in hand by its key, past the manager; the scope is asked here."""
        scope = required_scope()
        if isinstance(scope, TenantScope) and getattr(self, self.tenant_column) != scope.tenant_id:
            raise ForeignRowError(
                f"{self._meta.label} {self.pk} belongs to another tenant than the scope."
            )
        return super().delete(*args, **options)  # type: ignore[arg-type]


class Tenant(models.Model):
    """A company. Its own row is scoped too: inside its scope a tenant sees itself alone."""

    subject_path: ClassVar[str | None] = None
    tenant_column: ClassVar[str] = "id"

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("address"), max_length=63, unique=True)
    name = models.CharField(_("name"), max_length=200)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default=settings.LANGUAGE_CODE
    )
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantManager()

    class Meta:
        base_manager_name = "objects"
        ordering = ["slug"]
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        constraints = [
            models.CheckConstraint(
                name="tenancy_tenant_slug_is_a_label",
                # Also a part of checkpoint names and of paths.
                condition=models.Q(slug__regex=r"^[a-z0-9][a-z0-9-]{0,62}$"),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    ADMIN = "admin", _("admin")
    ANNOTATOR = "annotator", _("annotator")
    AGENT = "agent", _("agent")
    VIEWER = "viewer", _("viewer")


class Membership(TenantModel):
    """One person's place in one tenant."""

    subject_path = "user"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role)

    class Meta(TenantModel.Meta):
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="tenancy_membership_once"),
            models.CheckConstraint(
                name="tenancy_membership_role_known", condition=models.Q(role__in=Role.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class Invitation(TenantModel):
    """A place offered to an e-mail address; whoever holds the token takes it, once, in time."""

    subject_path = "email"

    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=10, choices=Role)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return f"{self.email} {self.role}"

    @property
    def is_open(self) -> bool:
        return (
            self.accepted_at is None
            and self.revoked_at is None
            and self.expires_at > timezone.now()
        )


class AuditEntry(TenantModel):
    """What was done, by whom, to what. Rows are added and read, never changed (tenancy.guards).

    The tenant and the actor are kept as bare ids: the trail outlives both. A null tenant is the
    platform's own doing. `data` holds ids and figures, not people's words.
    """

    subject_path = "actor_id"

    tenant = TenantField(  # type: ignore[assignment]
        null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False
    )
    actor_kind = models.CharField(max_length=20)  # person, key, system
    actor_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64, db_index=True)
    target_type = models.CharField(max_length=100, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.action}"
