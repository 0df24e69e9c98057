"""What the workers do for the doors."""

from celery import shared_task

from accounts import idempotency
from tenancy.tasks import SystemTask


@shared_task(base=SystemTask, reason="forgets the answers of every tenant that are a day old")
def forget_old_answers() -> int:
    """Once an hour; an answer that is too old is not given again before that either."""
    return idempotency.forget_old()
