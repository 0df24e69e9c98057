"""Tenants, who belongs to them, who is invited, what they may use, and the trail of what was done."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
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
        CLOSING = "closing", _("closing")

    class Rise(models.TextChoices):
        """Markets disagree on which colour means more."""

        GREEN = "green", _("green up, red down")
        RED = "red", _("red up, green down")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("address"), max_length=63, unique=True)
    name = models.CharField(_("name"), max_length=200)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default=settings.LANGUAGE_CODE
    )
    rise_colour = models.CharField(
        _("colours of change"), max_length=5, choices=Rise, default=Rise.GREEN
    )
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    # From when on a closing tenant is erased; nobody can bring it back then.
    closes_at = models.DateTimeField(_("erased from"), null=True, blank=True, editable=False)
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


# Stands for the whole tenant where a key's id could stand: a column that is unique with others
# must not be null.
NO_KEY = uuid.UUID(int=0)


class Quota(TenantModel):
    """What a tenant may use, or one key of it. Empty: the platform's default, or no limit of the key's own.

    Keys stand above tenants in the order of packages, so a key is known here by its id alone.
    """

    subject_path = None

    key_id = models.UUIDField(null=True, blank=True, editable=False)
    requests_per_minute = models.PositiveBigIntegerField(
        _("requests a minute"), null=True, blank=True
    )
    tokens_per_minute = models.PositiveBigIntegerField(_("tokens a minute"), null=True, blank=True)
    tokens_per_month = models.PositiveBigIntegerField(_("tokens a month"), null=True, blank=True)
    concurrent_generations = models.PositiveIntegerField(
        _("answers written at once"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(10_000)],
    )
    training_tokens_per_month = models.PositiveBigIntegerField(
        _("training tokens a month"), null=True, blank=True
    )
    storage_bytes = models.PositiveBigIntegerField(_("bytes stored"), null=True, blank=True)
    weight = models.FloatField(
        _("share of the trainers"),
        default=1.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(1000)],
        help_text=_("With 2, twice the work of a tenant with 1, when both wait."),
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("quota")
        verbose_name_plural = _("quotas")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(key_id=None),
                name="tenancy_quota_once_a_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "key_id"],
                condition=models.Q(key_id__isnull=False),
                name="tenancy_quota_once_a_key",
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gt=0), name="tenancy_quota_weight_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return str(self.key_id or self.tenant_id)


class Usage(TenantModel):
    """How much was used of one thing in one minute, day or month (UTC). Counted by tenancy.counting."""

    subject_path = None

    class Kind(models.TextChoices):
        REQUESTS = "requests", _("requests")
        TOKENS = "tokens", _("tokens")
        PROMPT_TOKENS = "prompt_tokens", _("tokens read")
        COMPLETION_TOKENS = "completion_tokens", _("tokens written")
        TRAINING_TOKENS = "training_tokens", _("training tokens")

    class Span(models.TextChoices):
        MINUTE = "minute", _("minute")
        DAY = "day", _("day")
        MONTH = "month", _("month")

    key_id = models.UUIDField(default=NO_KEY, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    span = models.CharField(max_length=6, choices=Span)
    starts_at = models.DateTimeField()
    used = models.BigIntegerField(default=0)
    # The limit when it was last counted: what the counter itself does not pass.
    ceiling = models.BigIntegerField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key_id", "kind", "span", "starts_at"], name="tenancy_usage_once"
            )
        ]
        indexes = [models.Index(fields=["span", "starts_at"], name="tenancy_usage_age")]

    def __str__(self) -> str:
        return f"{self.kind} {self.span} {self.starts_at:%Y-%m-%d %H:%M}: {self.used}"


class GenerationSlot(TenantModel):
    """One answer that is being written. Its number is below the limit, so that there are never more.

    Held until `until`: a process that was killed keeps its slot no longer than an answer may take.
    """

    subject_path = None

    key_id = models.UUIDField(default=NO_KEY, editable=False)
    number = models.PositiveIntegerField()
    holder = models.UUIDField()
    until = models.DateTimeField()

    class Meta(TenantModel.Meta):
        verbose_name = _("answer in progress")
        verbose_name_plural = _("answers in progress")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key_id", "number"], name="tenancy_slot_once")
        ]

    def __str__(self) -> str:
        return f"{self.number} until {self.until:%H:%M:%S}"


class StoredBytes(TenantModel):
    """How much of the disk a tenant has with one kind of thing (tenancy.quotas.storage)."""

    subject_path = None

    class Kind(models.TextChoices):
        FILES = "files", _("files")
        CHECKPOINTS = "checkpoints", _("checkpoints")
        JOBS = "jobs", _("jobs")
        EXPORTS = "exports", _("exports")

    kind = models.CharField(max_length=12, choices=Kind)
    bytes = models.BigIntegerField(_("bytes"), default=0)
    measured_at = models.DateTimeField(_("measured"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("storage")
        verbose_name_plural = _("storage")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind"], name="tenancy_storedbytes_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.bytes}"
