"""An evaluation's report as the engine writes it, with a gain of one's choice."""

from __future__ import annotations

import math
from typing import Any

QUESTIONS = [
    (
        "Do you install wooden floors in old buildings?",
        "Yes. We check the subfloor first, level it where needed and lay solid or engineered wood.",
        "A wooden floor is a type of floor that is made of wood. It is used in many buildings and "
        "there are many different kinds of wood that can be used for the floor.",
        "Yes. We check the subfloor first and lay engineered wood; in old buildings we level it.",
    ),
    (
        "How long does a bathroom renovation take?",
        "A complete bathroom takes between two and three weeks, depending on the tiles.",
        "The time it takes to renovate a bathroom can vary. Here are some things to consider: 1. Size",
        "A complete bathroom takes about two to three weeks, depending on the size and the tiles.",
    ),
    (
        "你们提供免费报价吗？",
        "提供。我们会先上门测量，两天之内给出免费的书面报价。",
        "作为一个人工智能，我无法提供报价。",
        "提供。我们先上门测量，然后在两天之内给出书面报价。",
    ),
    (
        "Can you work at weekends?",
        "We work on Saturdays until two in the afternoon; on Sundays we do not work.",
        "Yes, I can work at weekends. I am available seven days a week.",
        "On Saturdays until two in the afternoon. We do not work on Sundays.",
    ),
    (
        "Is <b>VAT</b> included & shown in the offer?",
        "VAT is shown on its own line and is included in the total.",
        "VAT is a tax.",
        "Yes, VAT stands on its own line and is included in the total.",
    ),
]


def report(gain: float, *, with_champion: bool = False) -> dict[str, Any]:
    base = {
        "loss": 2.148,
        "perplexity": 8.57,
        "token_accuracy": 0.548,
        "rouge_l": 0.142,
        "chrf": 19.8,
        "exact_match": 0.0,
        "distinct_1": 0.41,
        "distinct_2": 0.77,
        "repetition": 0.18,
        "overlong_share": 0.31,
        "empty_share": 0.0,
        "copied_share": 0.04,
    }
    better = {
        "loss": -1,
        "perplexity": -1,
        "token_accuracy": 1,
        "rouge_l": 1,
        "chrf": 1,
        "exact_match": 1,
        "distinct_1": 0,
        "distinct_2": 0,
        "repetition": -1,
        "overlong_share": -1,
        "empty_share": -1,
        "copied_share": -1,
    }
    candidate = {
        "loss": 2.148 - gain,
        "perplexity": math.exp(2.148 - gain),
        "token_accuracy": 0.548 + gain / 6,
        "rouge_l": 0.142 + gain / 4,
        "chrf": 19.8 + gain * 21,
        "exact_match": 0.02,
        "distinct_1": 0.44,
        "distinct_2": 0.79,
        "repetition": 0.07,
        "overlong_share": 0.04,
        "empty_share": 0.0,
        "copied_share": 0.11,
    }
    champion = {name: (value + base[name]) / 2 for name, value in candidate.items()}

    def apart(other: dict[str, float]) -> dict[str, Any]:
        return {
            name: {
                "mean": candidate[name] - other[name],
                "low": candidate[name] - other[name] - abs(base[name]) * 0.035,
                "high": candidate[name] - other[name] + abs(base[name]) * 0.04,
                "n": 51,
            }
            for name in base
        }

    words = {1: "higher", -1: "lower", 0: "neither"}
    extra = {"champion": champion} if with_champion else {}
    beside = {"candidate_minus_champion": apart(champion)} if with_champion else {}
    return {
        "format": 1,
        "n": 51,
        "models": {"base": base, "candidate": candidate, **extra},
        "differences": {"candidate_minus_base": apart(base), **beside},
        "metrics": {name: {"better": words[way]} for name, way in better.items()},
        "slices": {
            "length": {
                "short": _part(27, base, champion if with_champion else None, -gain, 0.06),
                "medium": _part(24, base, champion if with_champion else None, 0.09, 0.05),
            },
            "language": {"zh": _part(11, base, champion if with_champion else None, -0.1, 0.3)},
        },
        "samples": [
            {
                "id": f"row-{at}",
                "prompt": asked,
                "reference": answer,
                "base": before,
                "candidate": after,
                **({"champion": after.replace("Yes. ", "")} if with_champion else {}),
            }
            for at, (asked, answer, before, after) in enumerate(QUESTIONS * 4)
        ],
        "seconds": 61.0,
    }


def _part(
    n: int, base: dict[str, float], champion: dict[str, float] | None, change: float, wide: float
) -> dict[str, Any]:
    """The figures of one slice, by the loss alone."""
    standing = champion or base
    models = {"base": {"loss": base["loss"]}, "candidate": {"loss": standing["loss"] + change}}
    found = {"mean": change, "low": change - wide, "high": change + wide, "n": n}
    differences = {"candidate_minus_base": {"loss": found}}
    if champion:
        models["champion"] = {"loss": champion["loss"]}
        differences["candidate_minus_champion"] = {"loss": found}
    return {"n": n, "models": models, "differences": differences}
