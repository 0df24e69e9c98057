"""Which turns are a question and its answer, and why others are not: each skip has its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from apps.chatbot.mining import phrases
from apps.chatbot.mining.turns import AGENT, BOT, VISITOR, Turn

LONGEST = 4_000
# An ideograph is one, a word is two.
LEAST_QUESTION, LEAST_ANSWER = 4, 6
LONGEST_FOLLOW_UP = 24


@dataclass(frozen=True, slots=True)
class Pair:
    """`position` is that of the question in the conversation, `answered_at` that of its answer."""

    position: int
    question: str
    answer: str
    answered_at: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A visitor's turn that nothing is learned from."""

    position: int
    reason: str


def pairs_of(turns: Sequence[Turn], *, is_spam: bool = False) -> list[Pair | Skipped]:
    """One result for each turn of a visitor."""
    found: list[Pair | Skipped] = []
    taken = -1  # the last turn that is part of a pair already
    for at, turn in enumerate(turns):
        if turn.role != VISITOR or at <= taken:
            continue
        if is_spam or phrases.SPAM.search(turn.text):
            found.append(Skipped(turn.position, "spam"))
            continue
        result, taken = _answered(turns, at, is_first=not any(isinstance(p, Pair) for p in found))
        found.append(result)
    return found


def curated_pairs_of(turns: Sequence[Turn]) -> list[Pair | Skipped]:
    """Of a file that people wrote as questions and answers: every answer counts as it stands."""
    found: list[Pair | Skipped] = []
    for turn, following in pairwise(turns):
        if (turn.role, following.role) != (VISITOR, AGENT):
            continue
        if phrases.PLACEHOLDER.search(following.text):
            found.append(Skipped(turn.position, "personal_data"))
        elif len(turn.text) > LONGEST or len(following.text) > LONGEST:
            found.append(Skipped(turn.position, "too_long"))
        elif found and _is_follow_up(turn.text):
            found.append(Skipped(turn.position, "follow_up"))
        elif turn.text and following.text:
            found.append(Pair(turn.position, turn.text, following.text))
    return found


def pair_of(asked: Turn, answered: Turn, *, is_first: bool) -> Pair | Skipped:
    """These two as a pair, whoever answered."""
    question = cleaned_question(asked.text)
    if not asked.text or phrases.is_chatter(question):
        return Skipped(asked.position, "chatter")
    reason, question, answer = _judged(question, answered, is_first)
    if reason:
        return Skipped(asked.position, reason)
    return Pair(asked.position, question, answer, answered.position)


def general_question(text: str) -> str:
    """What is asked without courtesies and without what concerns one person alone; "" where nothing is
    left that makes sense by itself."""
    question = cleaned_question(text)
    if phrases.SPAM.search(text) or phrases.is_chatter(question) or _is_follow_up(question):
        return ""
    question = _without_personal_sentences(question)
    return question if LEAST_QUESTION <= phrases.weight(question) <= LONGEST else ""


def _answered(turns: Sequence[Turn], at: int, *, is_first: bool) -> tuple[Pair | Skipped, int]:
    """What comes of the question at this place, and the last turn that was used for it."""
    turn = turns[at]
    if not turn.text:
        return Skipped(turn.position, "file_only"), at
    question = cleaned_question(turn.text)
    if phrases.is_chatter(question):
        return Skipped(turn.position, "chatter"), at
    answer_at = _answer_to(turns, at)
    if answer_at is None:
        was_bot = at + 1 < len(turns) and turns[at + 1].role == BOT
        return Skipped(turn.position, "bot_answered" if was_bot else "no_answer"), at
    reason, question, answer = _judged(question, turns[answer_at], is_first)
    if reason:
        return Skipped(turn.position, reason), at
    return Pair(turn.position, question, answer, turns[answer_at].position), answer_at


def _answer_to(turns: Sequence[Turn], at: int) -> int | None:
    """The turn of an agent that answers: the first before the visitor speaks again, or, where that one
    only asks for patience and the visitor only agrees, the one behind."""
    place = at + 1
    held: int | None = None
    while place < len(turns):
        turn = turns[place]
        if turn.role == AGENT:
            if not _is_promise(turn.text):
                return place
            held = place
        elif turn.role == VISITOR and (held is None or not phrases.is_chatter(turn.text)):
            return held
        place += 1
    return held


def _judged(question: str, answered: Turn, is_first: bool) -> tuple[str, str, str]:
    """(reason, question, answer): the reason is "" where the pair is good."""
    if not is_first and _is_follow_up(question):
        return "follow_up", "", ""
    question = _without_personal_sentences(question)
    if phrases.weight(question) < LEAST_QUESTION:
        return "private_case", "", ""
    if not answered.text:
        return "file_only", "", ""
    answer = cleaned_answer(answered.text)
    if not phrases.weight(answer) and phrases.LINK.search(answered.text):
        return "link_only", "", ""
    if phrases.is_chatter(answer):
        return "chatter", "", ""
    if _is_promise(answer):
        return "incomplete", "", ""
    if _asks_back(answer):
        return "asks_back", "", ""
    if phrases.PRIVATE_CASE.search(answer):
        return "private_case", "", ""
    if phrases.PLACEHOLDER.search(answer):
        return "personal_data", "", ""
    if phrases.weight(answer) < LEAST_ANSWER:
        return "incomplete", "", ""
    if max(len(question), len(answer)) > LONGEST:
        return "too_long", "", ""
    return "", question, answer


def cleaned_question(text: str) -> str:
    """The question without greeting, thanks and signature."""
    return _between_courtesies(phrases.INTRODUCTION.sub("", _without_greeting(text)))


def cleaned_answer(text: str) -> str:
    """The answer in the company's voice, without the people in it: no name in the greeting, nobody's
    introduction, no signature."""
    text = phrases.SIGNATURE_LINE.sub("", text)
    greeting = phrases.GREETING.match(text)
    if greeting is not None and phrases.PLACEHOLDER.search(greeting.group()):
        kept = phrases.PLACEHOLDER.sub("", greeting.group())
        text = _tidy(kept) + text[greeting.end() :]
    return phrases.INTRODUCTION.sub("", text).strip()


def _tidy(greeting: str) -> str:
    """What is left of "Hi [NAME_1]," when the name is gone."""
    left = " ".join(greeting.split())
    for mark in (",", "，", ":", "：", "!", "！"):
        left = left.replace(f" {mark}", mark)
    if left.strip(" ,，:：.!！").casefold() in {"", "dear", "尊敬的", "亲爱的", "先生", "女士"}:
        return ""
    if greeting[-1:] == "\n":
        return left + "\n"
    return left + ("" if left.endswith(tuple("，：！。")) else " ")


def _without_greeting(text: str) -> str:
    while (greeting := phrases.GREETING.match(text)) is not None and greeting.group().strip():
        text = text[greeting.end() :].lstrip()
    return text


def _between_courtesies(text: str) -> str:
    text = _without_greeting(text)
    text = phrases.SIGNATURE_LINE.sub("", text)
    while (closing := phrases.CLOSING.search(text)) is not None and closing.group().strip():
        text = text[: closing.start()].rstrip(" ,，\n")
    return text.strip()


def _without_personal_sentences(question: str) -> str:
    """The question without the sentences that hold somebody's data: those concern one case."""
    if not phrases.PLACEHOLDER.search(question):
        return question
    kept = [one for one in phrases.sentences(question) if not phrases.PLACEHOLDER.search(one)]
    kept = [one for one in kept if not phrases.is_chatter(one)]
    glue = "" if phrases.language_of(question) == "zh" else " "
    return glue.join(kept)


def _is_follow_up(question: str) -> bool:
    """It makes sense only behind what was said before."""
    is_short = phrases.weight(question) <= LONGEST_FOLLOW_UP
    return is_short and phrases.FOLLOW_UP.match(question) is not None


def _is_promise(text: str) -> bool:
    """Nothing is said but that something will be: every sentence is a courtesy or asks for patience."""
    pieces = phrases.sentences(_without_greeting(phrases.INTRODUCTION.sub("", text)))
    told = [one for one in pieces if not phrases.is_chatter(one)]
    return bool(told) and all(
        phrases.PROMISE.search(one) and phrases.weight(one) <= 60 for one in told
    )


def _asks_back(answer: str) -> bool:
    told = [
        one for one in phrases.sentences(_without_greeting(answer)) if not phrases.is_chatter(one)
    ]
    return bool(told) and all(
        one.endswith(("?", "？")) or phrases.ASKS_BACK.search(one) for one in told
    )
