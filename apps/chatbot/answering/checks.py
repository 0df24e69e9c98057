"""What must hold of words before anybody sees them. Each check names itself where it refuses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from .understanding import language_of

_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"'）)，。]+", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DOMAIN = re.compile(
    r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|io|se|cn|co|eu|de|uk|info|gov|edu)\b", re.I
)
_NUMBER = re.compile(r"\d+(?:[.,:/\u2009\u00a0 -]?\d+)*")
_SPELLED_EN = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
    "billion",
    "half",
    "quarter",
    "dozen",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_SPELLED = re.compile(rf"\b(?:{'|'.join(_SPELLED_EN)})s?\b", re.IGNORECASE)
_SPELLED_ZH = re.compile(
    r"[零〇一二两三四五六七八九十百千万亿半]+(?=[年月日天周个小时分钟元块折%％号点倍成份次位])"
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*[\"”’)]*\s*|\n+")
MOST_REPEATS = 2
LEAST_LETTERS = 2


def refused(
    text: str,
    *,
    sources: Iterable[str],
    language: str = "",
    banned: Sequence[str] = (),
    most_characters: int = 1_500,
) -> str:
    """The name of the first check that the text fails, or "". `sources` are the passages and the
    question: whatever figure stands in none of them was made up."""
    sources = list(sources)
    if len([c for c in text if c.isalnum()]) < LEAST_LETTERS:
        return "empty"
    if len(text) > most_characters:
        return "too_long"
    if ungrounded(text, sources):
        return "ungrounded"
    if _repeats(text):
        return "repetition"
    if language and language_of(text) not in ("", language):
        return "language"
    lowered = _plain(text)
    if any(_plain(phrase) in lowered for phrase in banned if phrase.strip()):
        return "banned_phrase"
    return ""


def ungrounded(text: str, sources: Iterable[str]) -> list[str]:
    """Numbers, prices, dates, links and addresses of the text that stand in no source."""
    known: set[str] = set()
    for source in sources:
        known |= facts(source)
    return sorted(facts(text) - known)


def facts(text: str) -> set[str]:
    """Everything in a text that is right or wrong to the letter, in one spelling each."""
    text = unicodedata.normalize("NFKC", text)
    found = {f"link:{_bare_link(link)}" for link in _LINK.findall(text)}
    found |= {f"mail:{mail.lower()}" for mail in _MAIL.findall(text)}
    rest = _MAIL.sub(" ", _LINK.sub(" ", text))
    found |= {f"link:{domain.lower()}" for domain in _DOMAIN.findall(rest)}
    rest = _DOMAIN.sub(" ", rest)
    for number in _NUMBER.findall(rest):
        found |= {f"number:{part}" for part in _numbers(number)}
    found |= {f"word:{word.lower().rstrip('s')}" for word in _SPELLED.findall(rest)}
    found |= {f"word:{word}" for word in _SPELLED_ZH.findall(rest)}
    return found


def sentences(text: str) -> list[str]:
    """The text in whole sentences; joined they are the text again."""
    return _SENTENCE.findall(text)


def _numbers(written: str) -> Iterable[str]:
    """25,000 and 25 000 are one number; 10-20 are two; 1.50 keeps its cents."""
    for part in re.split(r"[-:/]", written):
        digits = re.sub(r"(?<=\d)[, \u00a0\u2009](?=\d{3}(?!\d))", "", part)
        for piece in re.split(r"[ ,](?=\d)", digits):
            yield piece.lstrip("0") or "0"


def _bare_link(link: str) -> str:
    return re.sub(r"^(https?://)?(www\.)?", "", link.lower()).rstrip("/.,;:!?")


def _repeats(text: str) -> bool:
    """A sentence said again and again, or a run of words that goes in a circle."""
    said = [_plain(one).strip() for one in sentences(text) if len(one.strip()) > 8]
    if any(said.count(one) > MOST_REPEATS for one in set(said)):
        return True
    return bool(re.search(r"(.{6,60}?)\1{3,}", _plain(text), re.DOTALL))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
