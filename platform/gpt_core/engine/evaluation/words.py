"""Words for the metrics: text of any script -> the units that overlap is counted in.

rouge-score's own tokenizer keeps `[a-z0-9]` alone, so that every Chinese answer would score zero.
Here a character of a script written without spaces is a word by itself, and everything else is
split at what is neither letter, mark nor digit.
"""

from __future__ import annotations

import re
import unicodedata

# Han (with extensions A to H and compatibility forms), kana, hangul syllables, Thai, Lao, Khmer,
# Burmese: scripts whose words no space separates (hangul has spaces, yet its syllables are the
# unit that Korean ROUGE is reported in).
_UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U000323af"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_CYRILLIC = re.compile("[\u0400-\u052f]")
_ARABIC = re.compile("[\u0600-\u06ff\u0750-\u077f]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_UNSPACED_WORD = re.compile(rf"[{_UNSPACED}]")


def words_of(text: str) -> list[str]:
    """The words of a text: lower case, full-width and compatibility forms folded (NFKC)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def is_unspaced(word: str) -> bool:
    """Whether a word is one character of a script written without spaces."""
    return _UNSPACED_WORD.fullmatch(word) is not None


def normalised(text: str) -> str:
    """Text as exact match compares it: NFKC, lower case, runs of white space as one space, and
    no white space or closing punctuation at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .!?;:,。！？；：，、\"'“”‘’")


def language_of(text: str) -> str:
    """The language as far as the script tells it: `zh`, `ja`, `ko`, else the name of the script
    (`cyrillic`, `arabic`, `latin`) or `other`.

    English and Spanish share a script, and a guess from a short answer would be wrong too often
    to slice by. An eighth of the letters is enough for the unspaced scripts: Chinese business
    text carries product names and numbers in Latin letters, the reverse is rare.
    """
    counts = {
        "zh": len(_HAN.findall(text)),
        "ja": len(_KANA.findall(text)),
        "ko": len(_HANGUL.findall(text)),
        "cyrillic": len(_CYRILLIC.findall(text)),
        "arabic": len(_ARABIC.findall(text)),
        "latin": len(_LATIN.findall(text)),
    }
    letters = sum(counts.values())
    if not letters:
        return "other"
    if counts["ja"] * 8 > letters:
        return "ja"
    if counts["ko"] * 8 > letters:
        return "ko"
    if counts["zh"] * 8 > letters:
        return "zh"
    return max(("cyrillic", "arabic", "latin"), key=lambda script: counts[script])
