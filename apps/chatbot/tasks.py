"""What the workers do for the chatbot. A message only says "look"."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from uuid import UUID

from celery import shared_task

from apps.chatbot import answering, learning, services
from apps.chatbot.answering import asking
from apps.chatbot.models import Answer
from apps.chatbot.services import regression, trials
from apps.chatbot.services.answers import AnswerLostError
from common.errors import ApplicationError
from tenancy.scope import tenant_scope
from tenancy.tasks import SystemTask

logger = logging.getLogger(__name__)


@shared_task(base=SystemTask, reason="writes the next answer that waits, of all tenants in turn")
def write_answers() -> int:
    """Claim and write one answer after another until none waits. Returns how many."""
    written = 0
    while (answer := services.claim_answer()) is not None:
        with tenant_scope(answer.tenant_id):
            write(answer)
        written += 1
    return written


@shared_task(base=SystemTask, reason="has new knowledge of every tenant read by the small model")
def read_passages() -> int:
    """A part of each tenant's in turn until nothing waits. Returns how many passages were read."""
    read = 0
    try:
        while tenants := services.tenants_with_unread_passages():
            read += _in_each(tenants, services.read_passages)
    except ApplicationError as error:
        logger.warning("passages stay unread for now: %s", error)
    return read


@shared_task(base=SystemTask, reason="finds the snoozed conversations of every tenant that are due")
def wake_conversations() -> int:
    """Open again what was snoozed until now. Returns how many."""
    return _in_each(services.tenants_with_sleep_over(), services.wake_conversations)


@shared_task(base=SystemTask, reason="looks at conversations of every tenant that are over")
def learn_from_conversations() -> int:
    """Drafts to review and questions without an article. Returns how many conversations were looked at."""
    return _in_each(
        services.tenants_with_conversations_to_learn_from(), services.learn_from_conversations
    )


@shared_task(base=SystemTask, reason="finds the conversations of every tenant that went quiet")
def resolve_quiet_conversations() -> int:
    """Returns how many were resolved."""
    return _in_each(services.tenants_gone_quiet(), services.resolve_quiet)


@shared_task(base=SystemTask, reason="has every tenant's test questions asked before a promotion")
def start_regression_runs() -> int:
    """Returns how many were begun."""
    return _in_each(regression.tenants_with_cases(), regression.start_missing_runs)


@shared_task(base=SystemTask, reason="looks whether a checkpoint on trial does harm to any tenant")
def judge_trials() -> int:
    """Returns how many trials were rolled back."""
    return _in_each(trials.tenants_with_trials(), trials.judge_trials)


@shared_task(base=SystemTask, reason="searches what every tenant has written since for an answer")
def close_answered_gaps() -> int:
    """Returns how many matters an article answers by now."""
    return _in_each(services.tenants_with_gaps(), learning.close_answered)


@shared_task(base=SystemTask, reason="forgets what programs of every tenant asked the bot")
def forget_questions() -> int:
    return asking.forget_old()


@shared_task(base=SystemTask, reason="finds who of every tenant has waited too long for a person")
def note_overdue() -> int:
    """Write down the targets that were missed. Returns how many."""
    return _in_each(
        services.tenants_with_overdue_conversations(), services.note_overdue_conversations
    )


@shared_task(base=SystemTask, reason="gives what waits to the agents of every tenant in turn")
def give_out_conversations() -> int:
    """To whoever is there and has room. Returns how many were given."""
    return _in_each(
        services.tenants_with_conversations_to_give_out(), services.give_out_conversations
    )


@shared_task(
    base=SystemTask, reason="sends agents' words to visitors who have left, of every tenant"
)
def send_mails() -> int:
    """Returns how many went out."""
    return services.send_mails()


@shared_task(base=SystemTask, reason="looks through what visitors of every tenant have sent")
def check_attachments() -> int:
    """Returns how many files."""
    return services.check_attachments()


@shared_task(base=SystemTask, reason="deletes the files of every tenant whose messages are erased")
def forget_attachments() -> int:
    """Returns how many. What members fetch files with is forgotten as well."""
    services.forget_tickets()
    return services.forget_attachments()


def write(answer: Answer) -> None:
    """See one claimed answer through. Needs the scope of its tenant; raises nothing of its own."""
    began = time.monotonic()
    kept = began

    def keep(text: str) -> None:
        nonlocal kept
        if time.monotonic() - kept >= answering.KEEP_SECONDS:
            services.keep_writing(answer, text)
            kept = time.monotonic()

    try:
        draft = answering.answer(answer.question, progress=keep)
        services.end_answer(
            answer,
            text=draft.text,
            outcome=draft.outcome,
            passages=draft.passages,
            handoff=draft.handoff,
            confidence=draft.confidence,
            query=draft.query,
            model=draft.model,
            checkpoint=draft.checkpoint,
            checks=dict(draft.checks),
            first_token_seconds=draft.first_token_seconds,
            seconds=time.monotonic() - began,
        )
    except AnswerLostError:
        logger.info("answer %s: another has it, or nobody waits", answer.pk)
    except ApplicationError as error:
        logger.warning("answer %s: %s", answer.pk, error)
        services.give_back(answer, code=error.code)
    except Exception:
        logger.exception("answer %s", answer.pk)
        services.give_back(answer, code="internal")


def _in_each(tenants: Iterable[UUID], work: Callable[[], int]) -> int:
    """The same in the scope of each; the sum of what it counts."""
    done = 0
    for tenant_id in tenants:
        with tenant_scope(tenant_id):
            done += work()
    return done
