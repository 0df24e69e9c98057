"""The two sides of a trial in figures."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q

from apps.chatbot.models import Answer, CandidateTrial, Conversation, Feedback
from apps.chatbot.numbers import AUTO, Share


@dataclass(frozen=True)
class Arm:
    """Of the conversations in which the bot was asked something. `failed` are those that people had
    to take or that got a thumb down."""

    is_candidate: bool
    resolved: Share
    handed: Share
    helpful: Share
    failed: Share


def arms_of(trial: CandidateTrial) -> tuple[Arm, Arm]:
    """(what serves, the candidate); two queries."""
    asked = Answer.objects.filter(conversation=OuterRef("pk")).exclude(finished_at=None)
    thumbs = Feedback.objects.filter(message__conversation=OuterRef("pk"), helpful=False)
    rows = Conversation.objects.filter(Exists(asked), trial_place__trial=trial).with_fate()
    counted = {
        row["side"]: row
        for row in rows.annotate(side=F("trial_place__is_candidate"), disliked=Exists(thumbs))
        .order_by()
        .values("side")
        .annotate(
            n=Count("pk"),
            solved=Count("pk", filter=AUTO),
            people=Count("pk", filter=Q(handed=True)),
            fails=Count("pk", filter=Q(handed=True) | Q(disliked=True)),
        )
    }
    judged = Feedback.objects.filter(message__conversation__trial_place__trial=trial)
    liked = {
        row["side"]: row
        for row in judged.order_by()
        .annotate(side=F("message__conversation__trial_place__is_candidate"))
        .values("side")
        .annotate(n=Count("pk"), up=Count("pk", filter=Q(helpful=True)))
    }
    serving, candidate = (
        _arm(side, counted.get(side, {}), liked.get(side, {})) for side in (False, True)
    )
    return serving, candidate


def _arm(side: bool, counts: dict[str, int], thumbs: dict[str, int]) -> Arm:
    n = counts.get("n", 0)
    return Arm(
        is_candidate=side,
        resolved=Share(counts.get("solved", 0), n),
        handed=Share(counts.get("people", 0), n),
        helpful=Share(thumbs.get("up", 0), thumbs.get("n", 0)),
        failed=Share(counts.get("fails", 0), n),
    )
