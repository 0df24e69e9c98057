"""What is measured on one answer, and which way is better.

Each measure of a text looks at one row alone, so that every figure of a report can be traced to
rows and resampled over them. Loss and token accuracy come from `likelihood`, labels from `labels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from .words import is_unspaced, normalised, words_of

#: Every metric of a report -> the direction in which it gets better.
METRICS: dict[str, str] = {
    "loss": "lower",
    "perplexity": "lower",
    "token_accuracy": "higher",
    "rouge_l": "higher",
    "chrf": "higher",
    "exact_match": "higher",
    "label_accuracy": "higher",
    "label_macro_f1": "higher",
    # More variety is not better by itself: noise is varied, and a good FAQ repeats its phrases.
    "distinct_1": "neither",
    "distinct_2": "neither",
    "repetition": "lower",
    "overlong_share": "lower",
    "empty_share": "lower",
    "copied_share": "lower",
}

#: Thirteen words is the window with which GPT-3 looked for test text in training text (Brown et
#: al. 2020, appendix C): long enough that two people rarely write it by chance, short enough to
#: see one copied sentence of a customer's letter.
COPIED_WINDOW = 13.0
#: Chinese writes a word in about two characters, so that 26 of them weigh as much.
UNSPACED_WEIGHT = 0.5


class _Words:
    """The tokenizer that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words())


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def rouge_l(answer: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (Lin 2004), 0 to 1."""
    return float(_rouge().score(reference, answer)["rougeL"].fmeasure)


def chrf(answer: str, reference: str) -> float:
    """Character n-gram F-score (Popović 2015; 6 orders, beta 2) as sacrebleu has it, 0 to 100."""
    return float(_chrf().sentence_score(answer, [reference]).score)


def exact_match(answer: str, reference: str) -> float:
    """1.0 where both say the same but for case, width, white space and closing punctuation."""
    return float(normalised(answer) == normalised(reference))


def distinct(words: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of an answer (Li et al. 2016); 0.0 without any."""
    grams = list(_grams(words, n))
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(words: Sequence[str]) -> float:
    """Share of 4-grams of words that the answer has already said (seq-rep-4, Welleck et al.
    2019); 0.0 for an answer shorter than four words."""
    grams = list(_grams(words, 4))
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def _grams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[at : at + n]) for at in range(len(words) - n + 1))


class TrainingPhrases:
    """Every long phrase of the training rows' completions, to see which ones an answer repeats.

    A phrase is the shortest run of words that weighs `COPIED_WINDOW`. Kept as hashes: eight
    bytes of each, whatever the phrase; a collision would need luck of one in 2**60 or so.
    """

    def __init__(self, completions: Iterable[str]) -> None:
        self._hashes = {
            hash(phrase)
            for completion in completions
            for _, phrase in _phrases(words_of(completion))
        }

    def copied_share(self, answer: str, allowed: str) -> float:
        """Share of an answer's words that stand in a phrase of the training completions.

        What `allowed` (the row's own prompt and reference) contains too does not count: saying
        what the question or the right answer says is no leak.
        """
        words = words_of(answer)
        if not words:
            return 0.0
        known = {phrase for _, phrase in _phrases(words_of(allowed))}
        covered = [False] * len(words)
        for start, phrase in _phrases(words):
            if phrase not in known and hash(phrase) in self._hashes:
                covered[start : start + len(phrase)] = [True] * len(phrase)
        return sum(covered) / len(words)


def _phrases(words: Sequence[str]) -> Iterable[tuple[int, tuple[str, ...]]]:
    """(start, phrase) for every start from which the words left weigh enough."""
    weights = [UNSPACED_WEIGHT if is_unspaced(word) else 1.0 for word in words]
    total = [0.0, *accumulate(weights)]
    end = 0
    for start in range(len(words)):
        while end < len(words) and total[end] - total[start] < COPIED_WINDOW:
            end += 1
        if total[end] - total[start] < COPIED_WINDOW:
            return
        yield start, tuple(words[start:end])


def text_metrics(
    answer: str, reference: str, prompt: str, phrases: TrainingPhrases, *, overlong: bool
) -> dict[str, float]:
    """Every measure of one written answer."""
    words = words_of(answer)
    return {
        "rouge_l": rouge_l(answer, reference),
        "chrf": chrf(answer, reference),
        "exact_match": exact_match(answer, reference),
        "distinct_1": distinct(words, 1),
        "distinct_2": distinct(words, 2),
        "repetition": repetition(words),
        "overlong_share": float(overlong),
        "empty_share": float(not answer.strip()),
        "copied_share": phrases.copied_share(answer, f"{prompt}\n{reference}"),
    }
