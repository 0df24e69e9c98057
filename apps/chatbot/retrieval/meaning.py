"""What texts mean, as vectors of a small model: asked of the engine, kept in the passages' rows.

Without a configured model, or while its engine is away, nothing here raises: a question has no
vector then, and retrieval goes by words and spelling alone.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.chatbot.models import ArticleVersion, Passage
from gpt_core import client
from gpt_core.client import EngineBusyError, EngineRefusedError, EngineUnavailableError

if TYPE_CHECKING:
    import numpy

logger = logging.getLogger(__name__)

# A visitor waits for this one; whoever waits longer is answered by words alone.
QUESTION_SECONDS = 3.0
MOST_CHARACTERS = 2_000
# How many ways to ask an article count; the rest is found by words.
MOST_QUESTIONS = 20
_FAULTS = (EngineBusyError, EngineRefusedError, EngineUnavailableError)


def vector_of_question(question: str) -> numpy.ndarray | None:
    """A unit vector, float32 [dimensions]; None where no model can be asked at the moment."""
    import numpy

    if not client.embedder_name():
        return None
    text = f"query: {question[:MOST_CHARACTERS]}"
    try:
        return numpy.asarray(client.embed([text], seconds=QUESTION_SECONDS)[0], dtype="float32")
    except _FAULTS as error:
        logger.warning("a question is looked up by its words alone: %s", error)
        return None


def read(passages: Sequence[Passage]) -> None:
    """Ask the model for the vectors of passages and set them on the rows, which the caller saves.

    Raises what `client.embed` raises.
    """
    texts = [texts_of(passage) for passage in passages]
    vectors = client.embed([text for some in texts for text in some])
    for passage, some in zip(passages, texts, strict=True):
        passage.vectors, vectors = packed(vectors[: len(some)]), vectors[len(some) :]
        passage.embedded_by = client.embedder_name()


def texts_of(passage: Passage) -> list[str]:
    """The passage under its title; with an article's first passage the ways in which it is asked for."""
    version = passage.version
    asked = questions_of(version)[:MOST_QUESTIONS] if passage.position == 0 else []
    title = " · ".join(dict.fromkeys([version.title, passage.heading or version.title]))
    return [
        f"passage: {title}\n{passage.text}"[:MOST_CHARACTERS],
        *(f"query: {one}"[:MOST_CHARACTERS] for one in asked),
    ]


def questions_of(version: ArticleVersion) -> list[str]:
    """The title first, then other ways to ask what it asks."""
    return [version.title, *version.article.questions]


def packed(vectors: Sequence[Sequence[float]]) -> bytes:
    """The number of dimensions, then one vector after the other in little-endian float16."""
    import numpy

    array = numpy.asarray(vectors, dtype="<f2")
    return struct.pack("<H", array.shape[1]) + array.tobytes()


def unpacked(kept: bytes | memoryview) -> numpy.ndarray:
    """float32 [vectors, dimensions]."""
    import numpy

    (dimensions,) = struct.unpack_from("<H", kept)
    flat = numpy.frombuffer(kept, dtype="<f2", offset=2)
    return flat.reshape(-1, dimensions).astype("float32")


@dataclass(frozen=True)
class Meanings:
    """What the passages of a tenant mean: one vector a passage, zeros where it is still to be read,
    and one for each way to ask, with the place of its passage."""

    texts: numpy.ndarray
    asked: numpy.ndarray
    places: numpy.ndarray

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Meanings | None:
        """None where no passage has been read by the configured model."""
        import numpy

        name = client.embedder_name()
        read = [
            (place, unpacked(passage.vectors))
            for place, passage in enumerate(passages)
            if name and passage.embedded_by == name and passage.vectors
        ]
        if not read:
            return None
        dimensions = read[0][1].shape[1]
        texts = numpy.zeros((len(passages), dimensions), dtype="float32")
        for place, vectors in read:
            texts[place] = vectors[0]
        asked = numpy.concatenate([vectors[1:] for _place, vectors in read])
        places = numpy.repeat([place for place, _v in read], [len(v) - 1 for _p, v in read])
        return cls(texts, asked, places.astype(int))

    def by_text(self, question: numpy.ndarray) -> numpy.ndarray:
        """Cosine of question and passage, [passages], -1 to 1."""
        found: numpy.ndarray = self.texts @ question
        return found

    def by_question(self, question: numpy.ndarray) -> numpy.ndarray:
        """Cosine of question and the nearest way in which the passage's article is asked for."""
        import numpy

        best = numpy.zeros(len(self.texts), dtype="float32")
        numpy.maximum.at(best, self.places, self.asked @ question)
        return best
