"""What the workers do for webhooks. A message only says "look"."""

import time
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from tenancy.tasks import SystemTask
from tenancy.webhooks.delivery import deliver_next
from tenancy.webhooks.doorbell import ring
from tenancy.webhooks.models import WebhookDelivery, WebhookEvent

KEPT_FOR = timedelta(days=30)
# A worker does other things as well; what is left then gets a new message.
SECONDS = 30.0


@shared_task(base=SystemTask, reason="delivers what waits for the webhooks of every tenant")
def deliver_waiting() -> int:
    """Try whatever is due, one after another; how many."""
    tried = 0
    until = time.monotonic() + SECONDS
    while deliver_next():
        tried += 1
        if time.monotonic() > until:
            ring()
            break
    return tried


@shared_task(base=SystemTask, reason="rings where a webhook of any tenant is due")
def look() -> None:
    """The safety net under the broker, and the clock of the retries."""
    if WebhookDelivery.objects.due().exists():
        ring()


@shared_task(base=SystemTask, reason="forgets what was told to every tenant's webhooks a month ago")
def forget_old() -> int:
    """Events with their deliveries and attempts."""
    return WebhookEvent.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]
