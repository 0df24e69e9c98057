"""What visitors ask and no article answers: the list, and an article that begins with their words."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch

from apps.chatbot.answering.understanding import language_of
from apps.chatbot.models import Gap, GapQuestion
from apps.portal.knowledge_forms import MOST_QUESTIONS

PER_PAGE = 30
# Of each matter; the count says how many there are.
SAMPLES = 5


def page_of(number: str | None) -> Page[Any]:
    """What is asked most stands first; each row has `samples`, different words for the same thing."""
    newest = GapQuestion.objects.order_by("-created_at")
    found = Gap.objects.open().select_related("inbox").order_by("-asked", "-asked_last", "pk")
    page = Paginator(found.prefetch_related(Prefetch("questions", newest)), PER_PAGE).get_page(
        number
    )
    for gap in page:
        questions = list(gap.questions.all())
        gap.samples = list(dict.fromkeys(one.text for one in questions))[:SAMPLES]
        gap.reasons = [
            label for why, label in GapQuestion.Why.choices if why in {q.why for q in questions}
        ]
    return page


def about(gap_id: str) -> dict[str, Any]:
    """How an article on this matter begins; nothing where there is no such matter."""
    try:
        found = Gap.objects.filter(pk=uuid.UUID(gap_id)).first()
    except ValueError:
        return {}
    if found is None:
        return {}
    asked = found.questions.order_by("-created_at").values_list("text", flat=True)
    texts = list(dict.fromkeys(" ".join(text.split())[:300] for text in asked[:200]))
    if not texts:
        return {}
    # The shortest says it without the story around it.
    title = min(texts, key=len)
    return {
        "title": title,
        "language": language_of(title) or found.inbox.language,
        "questions": [text for text in texts if text != title][:MOST_QUESTIONS],
    }
