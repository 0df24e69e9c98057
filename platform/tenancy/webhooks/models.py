"""Where a tenant wants to be told, what there is to tell, and how the telling went."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenancy.models import TenantModel
from tenancy.querysets import TenantManager, TenantQuerySet


class WebhookEndpoint(TenantModel):
    """An address that is told. Its secret is shown once and kept sealed, for it must sign again."""

    subject_path = None

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        DISABLED = "disabled", _("disabled")

    class Reason(models.TextChoices):
        BY_HAND = "by_hand", _("switched off by hand")
        FAILING = "failing", _("nothing arrived for days")
        GONE = "gone", _("the receiver answered that it is gone (410)")

    url = models.CharField(_("address"), max_length=2000)
    description = models.CharField(_("description"), max_length=200, blank=True)
    # Types of events; none named means all of them.
    events = models.JSONField(_("events"), default=list, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ACTIVE)
    disabled_reason = models.CharField(_("why"), max_length=10, choices=Reason, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    # Since when nothing has arrived; null while it does.
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    sealed_secret = models.TextField(editable=False)
    sealed_previous = models.TextField(editable=False, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.url

    @property
    def is_active(self) -> bool:
        return self.state == self.State.ACTIVE

    def wants(self, event_type: str) -> bool:
        return not self.events or event_type in self.events


class WebhookEvent(TenantModel):
    """What happened, written in the transaction of what it tells. `data` holds ids and figures."""

    subject_path = None

    type = models.CharField(_("event"), max_length=64)
    data = models.JSONField(_("data"), default=dict)

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")

    def __str__(self) -> str:
        return self.type


class DeliveryQuerySet(TenantQuerySet["WebhookDelivery"]):
    def due(self) -> Self:
        """What is to be tried now, and that nobody is trying."""
        now = timezone.now()
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lt=now),
            state=WebhookDelivery.State.WAITING,
            endpoint__state=WebhookEndpoint.State.ACTIVE,
            next_attempt_at__lte=now,
        )

    def under_way(self) -> Self:
        return self.filter(state=WebhookDelivery.State.WAITING, lease_until__gte=timezone.now())


class DeliveryManager(TenantManager.from_queryset(DeliveryQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of DeliveryQuerySet."""


class WebhookDelivery(TenantModel):
    """One event on its way to one address. The row is the truth; a message only says "look".

    It is held by a lease and a token that grows with each attempt, so that of two workers one tries
    and one that was only slow writes nothing any more.
    """

    subject_path = None

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    # Attempts of this round; a replay by hand begins a new one. All of them are in `attempts`.
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    token = models.PositiveIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[DeliveryManager] = DeliveryManager()

    class Meta(TenantModel.Meta):
        ordering = ["-created_at"]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="webhooks_delivery_once")
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="webhooks_delivery_due",
                condition=Q(state="waiting"),
            ),
            models.Index(fields=["endpoint", "-created_at"], name="webhooks_delivery_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"


class WebhookAttempt(TenantModel):
    """One try: what the receiver answered, or why no answer came. Rows are added, never changed."""

    subject_path = None

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(_("number"))
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    # A code of common.fetch, where no answer came.
    error = models.CharField(_("error"), max_length=40, blank=True)
    latency_ms = models.PositiveIntegerField(_("milliseconds"))
    excerpt = models.TextField(_("answer"), blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["created_at"]
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="webhooks_attempt_once")
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.status or self.error}"

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300
