"""What a visitor wants, as far as code can tell: the language, a person, and what to look up."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.chatbot.models import Message

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")

# Asked for in so many words, a person comes; the model has no say in it.
_PERSON = re.compile(
    r"(转|找|要|换|接|叫|联系)(一下|个|位)?(人工|真人|客服|工作人员)|^\s*(人工|真人|人工客服|人工服务)\s*[。!！]?\s*$"
    r"|\b(talk|speak|chat|connect|transfer|put)\b[^.?!]{0,40}\b(human|person|agent|someone|somebody|"
    r"representative|operator|staff|people)\b"
    r"|\b(real|live|actual) (human|person|agent)\b"
    r"|^\s*(human|agent|operator|representative)( please)?\s*[.!]?\s*$",
    re.IGNORECASE,
)
# A question that leans on the one before it.
_LEANS = re.compile(
    r"^\s*(and|but|what about|how about|then|also|why|when|where|which one|how much|how long)\b"
    r"|\b(it|that|this|those|these|they|them|one)\b|^(那|那么|还有|另外|它|这个|那个|为什么|多久|多少钱|呢)|呢[?？]?$",
    re.IGNORECASE,
)
MOST_LEANING_WORDS = 9
MOST_LEANING_SIGNS = 14


@dataclass(frozen=True)
class Understood:
    """`leans_on` is the question before, where this one cannot be looked up without it."""

    language: str
    question: str
    leans_on: str
    wants_person: bool

    @property
    def query(self) -> str:
        """What is asked, in whole."""
        return f"{self.leans_on}\n{self.question}" if self.leans_on else self.question


def understand(question: str, *, earlier: list[Message], language: str = "") -> Understood:
    """`earlier` are the visitor's messages of this case, oldest first, without the question."""
    spoken = language_of(question) or language or "en"
    leans_on = _subject(earlier) if _leans(question) else ""
    return Understood(spoken, question, leans_on, bool(_PERSON.search(question)))


def _subject(earlier: list[Message]) -> str:
    """The last question that stands by itself; the first one, where none does."""
    alone = (message.text for message in reversed(earlier) if not _leans(message.text))
    return next(alone, earlier[0].text if earlier else "")


def language_of(text: str) -> str:
    """ "zh" where Chinese signs prevail, "en" where other letters do, "" where there are none."""
    chinese, letters = len(_CJK.findall(text)), len(_LETTER.findall(text))
    if not letters:
        return ""
    # A Chinese sign says about as much as two letters.
    return "zh" if chinese * 3 >= letters else "en"


def _leans(question: str) -> bool:
    short = (
        len(question) <= MOST_LEANING_SIGNS
        if language_of(question) == "zh"
        else len(question.split()) <= MOST_LEANING_WORDS
    )
    return short and bool(_LEANS.search(question))
