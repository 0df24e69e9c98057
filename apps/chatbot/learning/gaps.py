"""Questions without an article, gathered by their matter until one is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Max

from apps.chatbot.answering import try_out
from apps.chatbot.answering.understanding import understand
from apps.chatbot.mining.rules import general_question
from apps.chatbot.models import Answer, Article, Feedback, Gap, GapQuestion, Inbox, Knowledge
from apps.chatbot.retrieval.terms import words

from .telling import Told

if TYPE_CHECKING:
    from apps.chatbot.mining.clusters import Clusters

# The share of words, endings and empty words aside, that two ways to ask for one matter have in common.
ALIKE = 0.6
# Of one inbox; what was asked before that is not compared with.
MOST_COMPARED = 2_000
MOST_CHECKED = 200
Why = GapQuestion.Why


class Matters:
    """The questions that are known of one inbox: a new one is like one of them, or a new matter."""

    def __init__(self, inbox: Inbox, clusters: Clusters) -> None:
        self.inbox = inbox
        self._words: list[tuple[UUID, frozenset[str]]] = []
        self._clusters = clusters
        known = GapQuestion.objects.filter(gap__inbox=inbox).order_by("-created_at")
        for gap_id, text in known.values_list("gap_id", "text")[:MOST_COMPARED]:
            self.add(gap_id, text)

    def add(self, gap_id: UUID, text: str) -> None:
        self._words.append((gap_id, frozenset(words(text))))
        self._clusters.add(gap_id, text)

    def like(self, text: str) -> UUID | None:
        """By the letter first, then by words: "几天能退" and "能退货吗，几天" are one matter."""
        near = self._clusters.like(text)
        if near is not None:
            return near
        said = frozenset(words(text))
        best = max(
            ((_shared(said, known), gap_id) for gap_id, known in self._words),
            key=lambda pair: pair[0],
            default=(0.0, None),
        )
        return best[1] if best[0] >= ALIKE else None


def note_gaps(story: Told, matters: Matters) -> int:
    """Keep each unanswered question of one conversation, once; returns how many are new."""
    found = dict(_unanswered(story))
    known = set(
        GapQuestion.objects.filter(message__in=[story.messages[seq] for seq in found]).values_list(
            "message_id", flat=True
        )
    )
    new = 0
    for seq, why in found.items():
        message, text = story.messages[seq], general_question(story.texts[seq])
        if message.pk in known or not text:
            continue
        gap_id = matters.like(text)
        gap = Gap.objects.filter(pk=gap_id).first() if gap_id else None
        if gap is None:
            gap = Gap.objects.create(inbox=matters.inbox, asked_last=message.created_at)
        GapQuestion.objects.create(
            gap=gap, message=message, text=text, why=why, created_at=message.created_at
        )
        matters.add(gap.pk, text)
        gap.asked_last = max(gap.asked_last, message.created_at)
        if gap.state == Gap.State.ANSWERED:
            gap.state = Gap.State.OPEN  # The article that was found did not help this visitor.
        gap.save()
        new += 1
    return new


def close_answered() -> int:
    """Whatever an article answers by now is no gap any more; returns how many were closed.

    An article counts that was changed after the question was asked last, and that a visitor of the
    inbox would be answered from.
    """
    knowledge = Knowledge.objects.first()
    if knowledge is None:
        return 0
    waiting = Gap.objects.open().filter(checked_revision__lt=knowledge.revision)
    newest = Article.objects.aggregate(at=Max("updated_at"))["at"]
    closed = 0
    for gap in waiting.select_related("inbox").order_by("-asked_last")[:MOST_CHECKED]:
        answered = newest is not None and newest > gap.asked_last and _is_answered(gap)
        state = Gap.State.ANSWERED if answered else Gap.State.OPEN
        Gap.objects.filter(pk=gap.pk, state=Gap.State.OPEN).update(
            state=state, checked_revision=knowledge.revision
        )
        closed += answered
    return closed


def _is_answered(gap: Gap) -> bool:
    asked = gap.questions.order_by("-created_at").first()
    if asked is None:
        return False
    tried = try_out(asked.text, inbox=gap.inbox)
    if tried.outcome == Answer.Outcome.HANDOFF or not tried.found:
        return False
    article = tried.found[0].passage.version.article
    return bool(article.updated_at > gap.asked_last)


def _unanswered(story: Told) -> Iterator[tuple[int, str]]:
    """(number of the question, why); the strongest sign comes last."""
    seqs = {message.pk: seq for seq, message in story.messages.items()}
    inbox = story.conversation.inbox
    for answer in story.conversation.answers.filter(question__in=seqs).select_related(
        "message__feedback"
    ):
        seq = seqs[answer.question_id]
        if answer.outcome == Answer.Outcome.HANDOFF:
            if not understand(story.messages[seq].text, earlier=[]).wants_person:
                yield seq, Why.MISSING
        elif answer.confidence is not None and answer.confidence < inbox.answer_threshold:
            yield seq, Why.UNSURE
        feedback = getattr(answer.message, "feedback", None)
        # A wrong tone is no missing article.
        if feedback and not feedback.helpful and feedback.reason != Feedback.Reason.RUDE:
            yield seq, Why.THUMB_DOWN


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0
