"""How sure we are that the passages answer the question: figures of retrieval, put through a curve.

A logistic curve over what the best finds share with the question. Its coefficients are fitted on
questions that nothing is measured on, and are the same for every tenant; each inbox sets the
threshold. They are written into `curves.json` by `python -m benchmarks.support_calibration`, which
also says how reliable the figure is; nobody writes them by hand.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

from apps.chatbot.retrieval import Found
from common import strict_json
from gpt_core import client

CURVES = Path(__file__).with_name("curves.json")
BY_WORDS = "by_words"
# As many as are shown to the model: the answer may stand in any of them.
LOOKED_AT = 3


def confidence_of(found: Sequence[Found]) -> float:
    """0 to 1; 0 where nothing was found."""
    if not found:
        return 0.0
    # Likenesses of meaning are each model's own: another model's are not put through this curve.
    name = client.embedder_name() if found[0].meaning is not None else BY_WORDS
    curve = _curves().get(name) or _curves()[BY_WORDS]
    features = features_of(found)
    total = sum(features.get(name, 1.0) * weight for name, weight in curve.items())
    return 1.0 / (1.0 + math.exp(-total))


def features_of(found: Sequence[Found]) -> dict[str, float]:
    """What the curves are drawn over: the most that any of the best finds shares with the question."""
    best = found[:LOOKED_AT]
    return {
        "coverage": max(one.coverage for one in best),
        "known": best[0].known,
        "spelling": max(one.spelling for one in best),
        "question": max(one.question for one in best),
        "meaning": max(one.meaning or 0.0 for one in best),
        "asked": max(one.asked or 0.0 for one in best),
    }


@functools.cache
def _curves() -> dict[str, dict[str, float]]:
    """By the model that meanings were compared by; the intercept is the weight of no feature."""
    curves: dict[str, dict[str, float]] = strict_json.loads(CURVES.read_text(encoding="utf-8"))
    return curves
