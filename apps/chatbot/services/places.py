"""On which side of a trial a conversation falls."""

from __future__ import annotations

from apps.chatbot.lots import lot
from apps.chatbot.models import CandidateTrial, Conversation, TrialPlace


def place(conversation: Conversation) -> None:
    """Draw the side of a conversation that begins, where the inbox has a trial; it stays there."""
    trial = CandidateTrial.objects.filter(inbox=conversation.inbox_id, ended_at=None).first()
    if trial is not None:
        TrialPlace.objects.create(
            trial=trial,
            conversation=conversation,
            is_candidate=lot(trial.pk.bytes, conversation.pk.bytes) % 100 < trial.share,
        )
