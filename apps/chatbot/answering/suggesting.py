"""A reply proposed to an agent: asked for, written by a worker, and judged by what is sent."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot.models import Conversation, Message, Suggestion
from apps.chatbot.services.conversations import locked
from common.errors import ApplicationError, ConflictError
from labeling import work
from labeling.work import Hold

from .asking import while_writing
from .pipeline import suggest
from .understanding import understand

MOST_LOOKED_AT = 10


def suggest_reply(*, conversation: Conversation, agent: User) -> Suggestion:
    """A row that waits; asked for again, the same one. Raises ApplicationError
    `nothing_to_answer`, ConflictError `with_bot`."""
    with transaction.atomic():
        held = locked(conversation)
        if held.owner == Conversation.Owner.BOT:
            raise ConflictError("with_bot", _("The bot answers here. Take over first."))
        question = _question(held)
        if question is None:
            raise ApplicationError(
                "nothing_to_answer", _("The visitor has asked nothing yet that could be answered.")
            )
        open_one = current(conversation=held.pk, agent=agent)
        if open_one is not None and open_one.question_id == question.pk and open_one.may_be_used:
            return open_one
        asked = Suggestion.objects.create(conversation=held, question=question, actor=agent)
        work.begin(asked, at_once=False)
    return asked


def current(*, conversation: UUID, agent: User) -> Suggestion | None:
    """The newest that the agent asked for here and has not judged."""
    rows = Suggestion.objects.filter(conversation=conversation, actor=agent, verdict="")
    newest = rows.order_by("-created_at").first()
    if newest is None or newest.state == Suggestion.State.CANCELLED:
        return None
    return newest


def reject(suggestion: Suggestion) -> None:
    """Not to be used; what is sent instead becomes the other half of the pair."""
    rows = Suggestion.objects.filter(pk=suggestion.pk, verdict="")
    rows.update(verdict=Suggestion.Verdict.REJECTED, judged_at=timezone.now())
    work.cancel(suggestion)


def keep_verdict(*, message: Message, taken: UUID | None) -> None:
    """What an agent has sent says what became of the suggestion that was taken, and of those that
    were rejected before."""
    mine = Suggestion.objects.filter(
        conversation=message.conversation, actor=message.author, sent=None
    ).exclude(text="")
    one = mine.filter(pk=taken, verdict="").first() if taken else None
    if one is not None:
        one.verdict = (
            Suggestion.Verdict.ACCEPTED
            if one.text.strip() == message.text.strip()
            else Suggestion.Verdict.EDITED
        )
        one.sent, one.judged_at = message, timezone.now()
        one.save(update_fields=["verdict", "sent", "judged_at"])
    mine.filter(verdict=Suggestion.Verdict.REJECTED).update(sent=message)


def carry_out(hold: Hold) -> None:
    """Raises what the pipeline raises; the row then says so."""
    row = hold.row
    assert isinstance(row, Suggestion)
    draft = suggest(row.question, progress=while_writing(hold))
    hold.end(
        Suggestion.State.DONE,
        share=1,
        text=draft.text,
        prompt=list(draft.prompt),
        outcome=draft.outcome,
        confidence=draft.confidence,
        model=draft.model,
        checkpoint=draft.checkpoint,
        checks=dict(draft.checks),
        passages=draft.sources,
    )


def _question(held: Conversation) -> Message | None:
    """What the visitor asked last, but for the wish for a person itself."""
    rows = Message.objects.filter(
        conversation=held, role=Message.Role.USER, seq__gt=held.context_from
    )
    for one in rows.order_by("-seq")[:MOST_LOOKED_AT]:
        if not understand(one.text, earlier=[]).wants_person:
            return one
    return None
