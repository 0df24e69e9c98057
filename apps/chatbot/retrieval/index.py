"""A tenant's passages, ready to be compared: built from rows, renewed when the rows have changed."""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apps.chatbot.models import Knowledge, Passage
from tenancy.scope import TenantScope, required_scope

from . import meaning
from .meaning import Meanings
from .terms import pieces, words

if TYPE_CHECKING:
    import numpy

# What an article is called, and the ways in which it is asked for, say more than a sentence inside.
TITLE_WEIGHT = 2
# What a process keeps, all tenants together; the one not asked for longest goes first.
MOST_TENANTS = 64
MOST_PASSAGES = 200_000


@dataclass(frozen=True)
class Entry:
    """What the index keeps of a passage; the rest is read from its row."""

    passage_id: uuid.UUID
    article_id: uuid.UUID
    language: str
    is_curated: bool


@dataclass(frozen=True)
class Shares:
    """How much of a question's words stands in each passage looked at, and anywhere: 0 to 1."""

    coverage: dict[int, float]
    known: float


@dataclass
class Index:
    """Scores of every passage of one revision for a question: arrays in the order of `entries`."""

    revision: int
    entries: list[Entry]
    questions: list[tuple[int, str]] = field(default_factory=list)
    meanings: Meanings | None = None
    _bm25: Any = None
    _spelling: Any = None
    _matrix: Any = None
    _asked: Any = None
    # Of each word, the passages that hold it.
    _places: dict[str, numpy.ndarray] = field(default_factory=dict)

    @classmethod
    def of_tenant(cls) -> Index:
        """The index of the tenant in scope, true to the knowledge as it is published now."""
        scope = required_scope()
        assert isinstance(scope, TenantScope)
        revision = _revision()
        with _lock:
            kept = _kept.get(scope.tenant_id)
            if kept is not None and kept.revision == revision:
                _kept.move_to_end(scope.tenant_id)
                return kept
        made = cls.built(revision)
        with _lock:
            _kept[scope.tenant_id] = made
            while len(_kept) > 1 and _too_many():
                _kept.popitem(last=False)
        return made

    @classmethod
    def built(cls, revision: int) -> Index:
        rows = list(
            Passage.objects.live()
            .select_related("version__article")
            .order_by("version_id", "position")
        )
        entries, texts, questions = [], [], []
        for place, row in enumerate(rows):
            article = row.version.article
            entries.append(Entry(row.pk, article.pk, article.language, article.is_curated))
            texts.append((titles_of(row), row.text))
            if row.position == 0:
                questions += [(place, asked) for asked in meaning.questions_of(row.version)]
        index = cls(revision, entries, questions, Meanings.of(rows))
        if entries:
            index._build(texts)
        return index

    def _build(self, texts: Sequence[tuple[str, str]]) -> None:
        import bm25s
        from sklearn.feature_extraction.text import TfidfVectorizer

        corpus = [words(title) * TITLE_WEIGHT + words(text) for title, text in texts]
        # It tells every step at debug level, and nobody asked.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._bm25 = bm25s.BM25(k1=1.2, b=0.5)
        self._bm25.index([one or ["\0"] for one in corpus], show_progress=False)
        self._places = _places_of_words(corpus)
        self._spelling = TfidfVectorizer(analyzer=pieces, sublinear_tf=True)
        self._matrix = self._spelling.fit_transform(
            [" ".join([title] * TITLE_WEIGHT + [text]) for title, text in texts]
        )
        self._asked = self._spelling.transform([asked for _place, asked in self.questions])

    def by_words(self, question: str) -> numpy.ndarray:
        """BM25 of each passage (Robertson and Zaragoza 2009), floats of shape [passages]."""
        import numpy

        known = [word for word in words(question) if word in self._bm25.vocab_dict]
        if not known:
            return numpy.zeros(len(self.entries), dtype=numpy.float32)
        scores: numpy.ndarray = self._bm25.get_scores(known)
        return scores

    def by_spelling(self, question: str) -> numpy.ndarray:
        """Cosine of the character n-grams of question and passage, [passages], 0 to 1."""
        found = self._matrix @ self._spelling.transform([question]).T
        array: numpy.ndarray = found.toarray().ravel()
        return array

    def by_question(self, question: str) -> numpy.ndarray:
        """The likeness to the nearest way in which each passage's article is asked for, 0 to 1."""
        import numpy

        best = numpy.zeros(len(self.entries), dtype=numpy.float64)
        likeness = (self._asked @ self._spelling.transform([question]).T).toarray().ravel()
        numpy.maximum.at(best, [place for place, _asked in self.questions], likeness)
        return best

    def shares_of_words(self, question: str, places: Sequence[int]) -> Shares:
        """A word weighs the more the fewer passages hold it; one that none holds weighs most."""
        total, known, coverage = 0.0, 0.0, dict.fromkeys(places, 0.0)
        for word in set(words(question)):
            holding = self._places.get(word)
            count = 0 if holding is None else len(holding)
            weight = math.log(1 + (len(self.entries) - count + 0.5) / (count + 0.5))
            total += weight
            if holding is None:
                continue
            known += weight
            for place in places:
                at = int(holding.searchsorted(place))
                if at < count and holding[at] == place:
                    coverage[place] += weight
        if not total:
            return Shares(coverage, 0.0)
        shares = {place: weight / total for place, weight in coverage.items()}
        return Shares(shares, known / total)


def titles_of(passage: Passage) -> str:
    """Of the version that is published: a draft's new title says nothing yet."""
    asked = meaning.questions_of(passage.version)
    return " ".join(dict.fromkeys([*asked, passage.heading]))


def _places_of_words(corpus: Sequence[Sequence[str]]) -> dict[str, numpy.ndarray]:
    """Ascending, so that they can be searched; int32, since a tenant may have many."""
    import numpy

    found: dict[str, list[int]] = {}
    for place, text in enumerate(corpus):
        for word in set(text):
            found.setdefault(word, []).append(place)
    return {word: numpy.asarray(places, dtype="int32") for word, places in found.items()}


def _too_many() -> bool:
    passages = sum(len(index.entries) for index in _kept.values())
    return len(_kept) > MOST_TENANTS or passages > MOST_PASSAGES


def _revision() -> int:
    return Knowledge.objects.values_list("revision", flat=True).first() or 0


_kept: OrderedDict[uuid.UUID, Index] = OrderedDict()
_lock = threading.Lock()
