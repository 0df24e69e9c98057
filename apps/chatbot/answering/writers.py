"""Which model writes an answer: the one that serves the inbox, or one that is on trial."""

from __future__ import annotations

from dataclasses import dataclass

from apps.chatbot.models import Conversation, Inbox, TrialPlace
from gpt_core.models import BaseModel, Checkpoint


@dataclass(frozen=True)
class Writer:
    """In service the likeliest words are said; who tries a model draws others with a `seed`."""

    base: BaseModel
    checkpoint: Checkpoint | None = None
    temperature: float = 0
    seed: int | None = None

    @property
    def name(self) -> str:
        return self.checkpoint.name if self.checkpoint else self.base.name

    @property
    def model(self) -> Checkpoint | str:
        """As `gpt_core.client` takes it."""
        return self.checkpoint or self.base.name

    def can_write(self, language: str) -> bool:
        known = self.base.languages or ["en"]
        return language in {one.partition("-")[0] for one in known}


def writer_of(inbox: Inbox) -> Writer | None:
    """What serves the inbox; None where it shows passages as they stand."""
    slot = inbox.deployment
    return Writer(slot.base_model, slot.checkpoint) if slot is not None else None


def writer_for(conversation: Conversation) -> Writer | None:
    """Who writes in this conversation: the checkpoint on trial, where it fell to that when it began and
    the trial goes on; else what serves its inbox."""
    fell = TrialPlace.objects.filter(
        conversation=conversation.pk, is_candidate=True, trial__ended_at=None
    )
    place = fell.select_related("trial__checkpoint__base_model").first()
    if place is None or conversation.inbox.deployment is None:
        return writer_of(conversation.inbox)
    checkpoint = place.trial.checkpoint
    return Writer(checkpoint.base_model, checkpoint)
