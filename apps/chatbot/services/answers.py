"""An answer's life: claimed, written, ended once. Whatever a writer changes says whose attempt it is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from apps.chatbot.models import (
    Answer,
    AnswerState,
    Citation,
    Event,
    Message,
    Passage,
)
from apps.chatbot.querysets import LEASE_SECONDS
from apps.chatbot.services.conversations import (
    add_message,
    append_event,
    give_to_people,
    locked,
)
from apps.chatbot.services.reviews import draw
from tenancy.models import Tenant
from tenancy.querysets import seconds_from_now

# Seconds that an answer waits after its first failed attempt, its second, its third: an engine that is
# started again is back by then. After the last one people are asked.
PAUSES = (1, 5, 15)
MOST_ATTEMPTS = len(PAUSES) + 1
BUSY = 20


class AnswerLostError(Exception):
    """Another writes this answer now, or nobody waits for it any more: stop, and write nothing."""


def claim_answer() -> Answer | None:
    """The next answer that waits, ours alone; None where nobody waits. Needs a system scope.

    Tenants take turns: first whoever has fewest being written now, then who waits longest.
    """
    for pk in _in_turn():
        with transaction.atomic():
            row = Answer.objects.claimable().filter(pk=pk)
            if not row.select_for_update(skip_locked=True, of=("self",)).exists():
                continue
            if row.claim():
                return Answer.objects.get(pk=pk)
    return None


def keep_writing(answer: Answer, text: str) -> None:
    """Keep the text so far where every reader finds it, and the lease. Raises AnswerLostError."""
    held = Answer.objects.held(answer.pk, answer.attempt)
    if not held.update(text=text, lease_until=seconds_from_now(LEASE_SECONDS)):
        raise AnswerLostError(str(answer.pk))
    answer.text = text


def end_answer(
    answer: Answer,
    *,
    text: str = "",
    outcome: str,
    passages: Sequence[Passage] = (),
    handoff: str = "",
    summary: str = "",
    **lineage: Any,
) -> Message | None:
    """Say it, once: the message, its citations, a hand-over if there is one, and the end of the row
    in one transaction. Raises AnswerLostError where another attempt has the answer."""
    with transaction.atomic():
        held = locked(answer.conversation)
        mine = Answer.objects.held(answer.pk, answer.attempt).select_for_update(of=("self",))
        if not mine.exists():
            raise AnswerLostError(str(answer.pk))
        message = None
        if text:
            message = add_message(held, role=Message.Role.ASSISTANT, text=text)
        Citation.objects.bulk_create(
            Citation(answer=answer, passage=passage, number=number)
            for number, passage in enumerate(passages, start=1)
        )
        Answer.objects.held(answer.pk, answer.attempt).update(
            state=AnswerState.DONE,
            text=text,
            message=message,
            outcome=outcome,
            lease_until=None,
            finished_at=Now(),
            **lineage,
        )
        if message is not None:
            draw(answer)
        if handoff:
            give_to_people(held, reason=handoff, summary=summary)
        elif message is not None and held.first_response_at is None:
            held.first_response_at = message.created_at
        if message is None and not handoff:
            append_event(held, Event.Type.ENDED, answer=str(answer.pk))
        held.save()
    answer.refresh_from_db()
    return message


def give_back(answer: Answer, *, code: str) -> bool:
    """An attempt failed: the answer waits again, for a while, or after too many goes to people. Returns
    whether it waits again."""
    held = Answer.objects.held(answer.pk, answer.attempt)
    if answer.attempt < MOST_ATTEMPTS:
        pause = seconds_from_now(PAUSES[answer.attempt - 1])
        again = held.update(
            state=AnswerState.WAITING, lease_until=pause, text="", failure_code=code
        )
        # Beat rings when its time has come.
        return bool(again)
    with transaction.atomic():
        conversation = locked(answer.conversation)
        if held.update(
            state=AnswerState.FAILED,
            lease_until=None,
            text="",
            failure_code=code,
            finished_at=Now(),
        ):
            give_to_people(conversation, reason="tool_failure")
            conversation.save()
    return False


def _in_turn() -> list[uuid.UUID]:
    active = Tenant.objects.filter(state=Tenant.State.ACTIVE).values("pk")
    writing = dict.fromkeys(active.values_list("pk", flat=True), 0)
    for row in Answer.objects.filter(state=AnswerState.WRITING, lease_until__gte=Now()).values(
        "tenant_id"
    ):
        writing[row["tenant_id"]] = writing.get(row["tenant_id"], 0) + 1
    waiting = (
        Answer.objects.claimable()
        .filter(tenant_id__in=active)
        .order_by("created_at")
        .values_list("pk", "tenant_id")[: BUSY * 10]
    )
    in_turn = sorted(enumerate(waiting), key=lambda entry: (writing.get(entry[1][1], 0), entry[0]))
    return [pk for _place, (pk, _tenant) in in_turn][:BUSY]
