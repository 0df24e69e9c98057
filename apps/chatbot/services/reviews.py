"""Answers drawn by lot, and what people think of them."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import User
from apps.chatbot.lots import SIZE, lot
from apps.chatbot.models import Answer, AnswerReview

# One answer in ten, whatever the inbox and the day: any part of them is a fair sample of that part.
DRAWN_SHARE = 0.1


def draw(answer: Answer) -> None:
    """Put it among those to be reviewed, if its lot says so. Called as it is said."""
    if lot(b"review:", answer.pk.bytes) < DRAWN_SHARE * SIZE:
        AnswerReview.objects.get_or_create(answer=answer)


def review_answer(*, review: AnswerReview, is_right: bool, reviewer: User | None) -> AnswerReview:
    """The last word counts."""
    verdict = AnswerReview.Verdict
    review.verdict = verdict.RIGHT if is_right else verdict.WRONG
    review.reviewer, review.reviewed_at = reviewer, timezone.now()
    review.save(update_fields=["verdict", "reviewer", "reviewed_at"])
    return review
