"""One lesson: a question, passages as service shows them, and what to say to that.

The way of RAFT (Zhang et al. 2024): the passage that answers stands among others that were found for
the same question, at any place; in a share of the lessons it is left out, and the right thing to say
is that it is not there. An answer that the passages do not carry is no lesson: it would teach to say
what nobody can look up.

Where a company's questions are the titles of its articles, a model would learn to compare the two
letter by letter, and would refuse whoever asks in other words. So the question of a lesson is put as
people in a hurry put it, with words left out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from apps.chatbot.answering import checks
from apps.chatbot.answering.prompts import NOT_HERE, shown
from apps.chatbot.answering.understanding import language_of
from apps.chatbot.retrieval import Found
from apps.chatbot.retrieval.terms import is_telling, spoken, words

SHOWN = 3
# So many are looked up, so that enough remain when the one that answers is left out.
LOOKED_UP = 6
REFUSED_SHARE = 0.1
# The chance of a question's word to stay: of one that tells what is asked, and of one that does not.
KEPT_TELLING, KEPT_EMPTY = 0.9, 0.5
# The share of an answer's words that stand in a passage which carries it, but for what the company says
# in every fifth answer: that is its voice, which no article holds.
LEAST_CARRIED = 0.6
VOICE_SHARE = 0.2


@dataclass(frozen=True)
class Lesson:
    """`passages` are [{"title", "text"}] in the order in which they are shown."""

    question: str
    answer: str
    passages: tuple[dict[str, str], ...]
    is_refusal: bool


def voice_of(answers: Iterable[str]) -> frozenset[str]:
    """The words of a company's manner of speaking: greetings, leave-takings, "we"."""
    said: Counter[str] = Counter()
    count = 0
    for answer in answers:
        said.update(set(words(answer)))
        count += 1
    return frozenset(word for word, times in said.items() if times >= VOICE_SHARE * count)


def lesson_of(
    question: str,
    answer: str,
    found: Sequence[Found],
    *,
    key: str,
    voice: Collection[str] = frozenset(),
) -> Lesson | None:
    """The lesson of one question and answer; None where no passage carries the answer.

    `found` is what was looked up for the question. The same `key` draws the same lesson.
    """
    draw = random.Random(f"lesson:{key}")
    carrying = [one for one in found if carries(one, question, answer, voice)]
    others = [one for one in found if one not in carrying]
    if not carrying:
        return None
    if others and draw.random() < REFUSED_SHARE:
        spoken_in = language_of(question) or "en"
        passages = _shuffled(others[:SHOWN], draw)
        return Lesson(in_a_hurry(question, draw), NOT_HERE[spoken_in], passages, is_refusal=True)
    passages = _shuffled([carrying[0], *others[: draw.randint(0, SHOWN - 1)]], draw)
    return Lesson(in_a_hurry(question, draw), answer, passages, is_refusal=False)


def in_a_hurry(question: str, draw: random.Random) -> str:
    """The question with words left out, mostly such as tell nothing, and half of them at most."""
    said = spoken(question)
    kept = [
        word for word in said if draw.random() < (KEPT_TELLING if is_telling(word) else KEPT_EMPTY)
    ]
    if len(kept) * 2 < len(said):
        return question
    return ("" if language_of(question) == "zh" else " ").join(kept)


def carries(one: Found, question: str, answer: str, voice: Collection[str] = frozenset()) -> bool:
    """Every figure of the answer stands in the passage or the question, and most of its words do."""
    passage = one.passage.whole
    if checks.ungrounded(answer, [question, passage]):
        return False
    said = set(words(answer)) - set(voice)
    return bool(said) and len(said & set(words(passage))) >= LEAST_CARRIED * len(said)


def _shuffled(found: Sequence[Found], draw: random.Random) -> tuple[dict[str, str], ...]:
    passages = shown(found)
    draw.shuffle(passages)
    return tuple(passages)
