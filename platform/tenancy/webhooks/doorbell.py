"""Saying "look" to a worker. It may be lost, late or doubled: beat looks as well."""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

logger = logging.getLogger(__name__)


def ring() -> None:
    """Once this transaction is committed."""
    transaction.on_commit(_ring)


def _ring() -> None:
    try:
        current_app.send_task(
            "tenancy.webhooks.tasks.deliver_waiting", queue="default", retry=False, expires=3600
        )
    except (BrokerError, OSError) as error:
        logger.warning("the broker does not answer, the doorbell rings later: %s", error)
