"""A question asked by a program: the visitor's way, by a worker, and nobody is fetched."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.chatbot.models import Conversation, Inbox, Message, Question
from labeling import work
from labeling.work import Hold

from .pipeline import Progress, answer

MOST_QUESTION = 1_000
KEPT = timedelta(days=1)


def ask_question(*, inbox: Inbox, text: str, actor: Any = None) -> Question:
    """A row that waits; a worker answers it by the rules of the inbox."""
    question = Question.objects.create(inbox=inbox, text=text, actor=actor)
    work.begin(question, at_once=False)
    return question


def carry_out(hold: Hold) -> None:
    """Raises what the pipeline raises; the row then says so."""
    row = hold.row
    assert isinstance(row, Question)
    draft = answer(alone(row.inbox, row.text), progress=while_writing(hold))
    hold.end(
        Question.State.DONE,
        share=1,
        outcome=draft.outcome,
        answer=draft.text,
        handoff=draft.handoff,
        confidence=draft.confidence,
        model=draft.model,
        checkpoint=draft.checkpoint,
        passages=draft.sources,
    )


def alone(inbox: Inbox, text: str) -> Message:
    """A visitor's first words, never saved: the pipeline reads of a conversation what it finds, and
    here it finds nothing."""
    return Message(conversation=Conversation(inbox=inbox), seq=1, role=Message.Role.USER, text=text)


def while_writing(hold: Hold) -> Progress:
    """Who writes shows that they still do; how much is still to come nobody knows."""
    began = time.monotonic()
    return lambda _text: hold.progress(min(0.9, time.monotonic() - began))


def forget_old() -> int:
    """Questions are kept for a day. Needs a system scope."""
    return Question.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
