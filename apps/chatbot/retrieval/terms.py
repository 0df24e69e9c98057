"""From text to what is compared: words without their endings, and pieces of spelling."""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
from collections.abc import Callable
from types import ModuleType

_CJK = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PARTS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:[.'’-][^\W_{_CJK}]+)*")
_HAS_CJK = re.compile(rf"[{_CJK}]")

# Words that stand in every question and tell nothing about what is asked.
_EMPTY_EN = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "do",
        "does",
        "did",
        "i",
        "you",
        "he",
        "she",
        "it",
        "we",
        "they",
        "me",
        "my",
        "your",
        "our",
        "their",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "from",
        "by",
        "with",
        "and",
        "or",
        "not",
        "no",
        "can",
        "could",
        "should",
        "would",
        "will",
        "may",
        "might",
        "must",
        "what",
        "which",
        "who",
        "whom",
        "whose",
        "how",
        "when",
        "where",
        "why",
        "there",
        "this",
        "that",
        "these",
        "those",
        "if",
        "so",
        "as",
        "about",
        "into",
        "than",
        "then",
        "have",
        "has",
        "had",
        "get",
        "got",
        "any",
        "some",
    ]
)
_EMPTY_ZH = frozenset(
    [
        "的",
        "了",
        "吗",
        "呢",
        "吧",
        "啊",
        "是",
        "在",
        "我",
        "你",
        "您",
        "他",
        "她",
        "它",
        "们",
        "我们",
        "你们",
        "他们",
        "什么",
        "怎么",
        "怎样",
        "如何",
        "哪",
        "哪些",
        "哪个",
        "哪里",
        "为什么",
        "多少",
        "几",
        "有",
        "没有",
        "和",
        "与",
        "或",
        "也",
        "都",
        "就",
        "还",
        "可以",
        "能",
        "会",
        "要",
        "想",
        "请",
        "请问",
        "一个",
        "这",
        "那",
        "这个",
        "那个",
        "吗",
        "对",
        "把",
        "被",
        "给",
        "到",
        "从",
    ]
)


def words(text: str) -> list[str]:
    """The words of a text in either language, lower case, without endings and empty words.

    A question of nothing but empty words keeps them: there is nothing better to look for.
    """
    found = [word for part in _PARTS.findall(normal(text)) for word in _words_of(part)]
    telling = [word for word in found if is_telling(word)]
    return [_stem(word) for word in telling or found]


def is_telling(word: str) -> bool:
    """Whether a word in lower case says what is asked, and does not stand in every question."""
    return word not in _EMPTY_ZH and word not in _EMPTY_EN


def spoken(text: str) -> list[str]:
    """The words of a text as they stand there, in lower case and in order, empty ones too."""
    parts = _PARTS.findall(normal(text))
    return [
        word for part in parts for word in (_jieba().lcut(part) if _HAS_CJK.match(part) else [part])
    ]


def pieces(text: str) -> list[str]:
    """Overlapping pieces of spelling: 1 to 3 signs of Chinese, 3 to 5 letters within a word."""
    found: list[str] = []
    for part in _PARTS.findall(normal(text)):
        if _HAS_CJK.match(part):
            found += _runs(part, 1, 3)
        elif part not in _EMPTY_EN:
            found += _runs(f" {part} ", 3, 5)
    return found


def normal(text: str) -> str:
    """Full-width and half-width alike, lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def _words_of(part: str) -> list[str]:
    if not _HAS_CJK.match(part):
        return [part]
    return [word for word in _jieba().lcut_for_search(part) if word.strip()]


def _runs(text: str, least: int, most: int) -> list[str]:
    return [
        text[at : at + size]
        for size in range(least, most + 1)
        for at in range(len(text) - size + 1)
    ]


@functools.cache
def _jieba() -> ModuleType:
    """jieba takes a second and 100 MB: only who meets Chinese pays."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba


@functools.lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    return _stemmer()(word) if word.isascii() else word


@functools.cache
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer

    return snowballstemmer.stemmer("english").stemWord  # type: ignore[no-any-return]
