"""Who is told that there is something to look at. The database is the truth; this only says "look"."""

from __future__ import annotations

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError


def ring_writers() -> None:
    """An answer waits: tell a worker once this transaction is committed."""
    _ring("write_answers", queue="answers")


def ring_assigners() -> None:
    """A conversation waits for an agent, or an agent for one."""
    _ring("give_out_conversations", queue="default")


def ring_mailers() -> None:
    """An agent's words wait to be sent by e-mail."""
    _ring("send_mails", queue="default")


def ring_checkers() -> None:
    """A visitor's file waits to be looked through."""
    _ring("check_attachments", queue="default")


def _ring(task: str, *, queue: str) -> None:
    def ring() -> None:
        try:
            current_app.send_task(
                f"apps.chatbot.tasks.{task}", queue=queue, retry=False, expires=600
            )
        except (OperationalError, OSError):
            # Beat looks every few seconds whether something waits, and rings then.
            return

    transaction.on_commit(ring)
