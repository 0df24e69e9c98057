"""One order out of several: reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.chatbot.models import Passage

from . import meaning
from .index import Index

if TYPE_CHECKING:
    import numpy

# How fast a place in an order loses weight, and how many places take part. The paper's 60 is for
# many systems that are about as good; with three, the first places have to count for more.
K = 5
DEPTH = 50
# So many finds are near enough to a question and the one before it to be the answer to the second.
NEAR = 20
# What the second says alone weighs more: the answer to the first has been given. It weighs wholly
# where SAME_SUBJECT of the first's words stand in the passage too, the rare ones counting more ("And how
# tall is it?" is meant of one lamp); elsewhere less, for the subject may have changed ("And invoices?").
# Chosen on benchmarks/questions/development and on lamps that benchmarks.follow_ups leaves out.
NEWS = 1.5
SAME_SUBJECT = 0.4
ELSEWHERE = 0.7
# What each order weighs, where a small model compares meanings and where there is none. Chosen on
# the questions in benchmarks/questions/development, on which nothing is measured.
WITH_MEANING = {"words": 1.0, "meaning": 2.0, "asked": 1.0}
BY_WORDS = {"words": 2.0, "spelling": 2.0, "question": 1.0}


@dataclass(frozen=True)
class Found:
    """A passage and why it was found.

    `words` is BM25's score; `spelling` and `question` are likenesses of spelling to the passage and
    to the nearest way to ask for its article, `meaning` and `asked` the same two of meaning, None
    where no model was asked; `coverage` is the share of the question's words that stand in the
    passage and `known` of those that stand anywhere here, rare words counting more. All but `words`
    are from 0 to 1; `fused` orders and means nothing by itself.
    """

    passage: Passage
    fused: float
    words: float
    spelling: float
    question: float
    coverage: float
    known: float
    is_curated: bool
    meaning: float | None = None
    asked: float | None = None


def search(question: str, *, leans_on: str = "", language: str = "", most: int = 5) -> list[Found]:
    """The passages of the tenant in scope that may answer, best first, at most one an article.

    Passages in `language` go first; another language's are better than none. Nothing is found
    where the question shares no word, no spelling and no meaning with any passage. `leans_on` is the
    question before, where this one says only what is new ("And what does it cost?").
    """
    index = Index.of_tenant()
    if not index.entries or not question.strip():
        return []
    whole = f"{leans_on}\n{question}" if leans_on else question
    orders, weights = _orders(index, whole)
    fused = _fused(orders, weights, len(index.entries))
    if leans_on:
        # Both together are mostly the question before and would find its answer again: among what
        # they find, what is new in the question decides as well.
        news = _fused(*_orders(index, question), len(index.entries))
        near = sorted(fused, key=lambda place: -fused[place])[:NEAR]
        subject = index.shares_of_words(leans_on, near).coverage
        for place in near:
            share = min(1.0, subject[place] / SAME_SUBJECT)
            weight = NEWS * (ELSEWHERE + (1 - ELSEWHERE) * share)
            fused[place] += weight * news.get(place, 0.0)
    places = sorted(fused, key=lambda place: -fused[place])
    if language:
        same = [p for p in places if _alike(index.entries[p].language, language)]
        places = same or places
    kept, seen = [], set()
    for place in places:
        if index.entries[place].article_id not in seen:
            seen.add(index.entries[place].article_id)
            kept.append(place)
        if len(kept) == most:
            break
    rows = (
        Passage.objects.select_related("version__article")
        .defer("vectors")
        .in_bulk([index.entries[place].passage_id for place in kept])
    )
    shares = index.shares_of_words(whole, kept)
    return [
        Found(
            passage=rows[entry.passage_id],
            fused=fused[place],
            coverage=shares.coverage[place],
            known=shares.known,
            is_curated=entry.is_curated,
            **{name: float(scores[place]) for name, scores in orders.items()},
        )
        for place in kept
        # Unpublished a moment ago: the row is gone, and so is the find.
        if (entry := index.entries[place]).passage_id in rows
    ]


def _orders(index: Index, question: str) -> tuple[dict[str, numpy.ndarray], Mapping[str, float]]:
    """The scores of every passage by each way to look, and what each weighs."""
    orders = {
        "words": index.by_words(question),
        "spelling": index.by_spelling(question),
        "question": index.by_question(question),
    }
    vector = meaning.vector_of_question(question) if index.meanings is not None else None
    if index.meanings is None or vector is None:
        return orders, BY_WORDS
    orders["meaning"] = index.meanings.by_text(vector)
    orders["asked"] = index.meanings.by_question(vector)
    return orders, WITH_MEANING


def _fused(
    orders: Mapping[str, numpy.ndarray], weights: Mapping[str, float], size: int
) -> dict[int, float]:
    fused: dict[int, float] = {}
    for name, weight in weights.items():
        scores = orders[name]
        best = scores.argsort(kind="stable")[::-1][: min(DEPTH, size)]
        for rank, place in enumerate(best, start=1):
            if scores[place] > 0:
                fused[int(place)] = fused.get(int(place), 0.0) + weight / (K + rank)
    return fused


def _alike(one: str, other: str) -> bool:
    """zh-hans and zh-CN are one language to a reader."""
    return one.partition("-")[0].lower() == other.partition("-")[0].lower()
