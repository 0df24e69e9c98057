"""A question tried out: what would be found for it and what would become of it, asking no model."""

from __future__ import annotations

from dataclasses import dataclass

from apps.chatbot.models import Answer, Handoff, Inbox
from apps.chatbot.retrieval import Found, search

from .confidence import confidence_of
from .pipeline import PASSAGES, without_model
from .understanding import Understood, understand
from .writers import writer_of


@dataclass(frozen=True)
class Trial:
    """`outcome` is what the visitor would get, `reason` why people would; `generated` says that the
    model would be asked, whose words the checks may still refuse."""

    understood: Understood
    found: list[Found]
    confidence: float
    outcome: str
    reason: str = ""


def try_out(question: str, *, inbox: Inbox) -> Trial:
    """The way of a first question in this inbox as far as the model, by the rules of the pipeline."""
    understood = understand(question, earlier=[])
    found = search(understood.query, language=understood.language, most=PASSAGES)
    confidence = confidence_of(found)
    if understood.wants_person:
        reason = Handoff.Reason.CUSTOMER_REQUEST
        return Trial(understood, found, confidence, Answer.Outcome.HANDOFF, reason)
    decided = without_model(
        inbox, found, confidence, language=understood.language, writer=writer_of(inbox)
    )
    if decided is None:
        return Trial(understood, found, confidence, Answer.Outcome.GENERATED)
    return Trial(understood, found, confidence, decided.outcome, decided.handoff)
