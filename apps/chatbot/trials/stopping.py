"""When to stop for harm, looked at as often as one likes.

The mixture sequential probability ratio test for a difference of two shares (Robbins 1970; Johari,
Koomen, Pekelis and Walsh, "Peeking at A/B Tests", KDD 2017): the likelihood of the difference that was
seen, averaged over differences as N(0, SPREAD²) expects them, against no difference. Under no difference
it ever reaches 1 / ALPHA with a chance of ALPHA at most, so looking after every conversation costs nothing.
"""

from __future__ import annotations

import math

from apps.chatbot.numbers import Share

ALPHA = 0.05
# Differences of about ten points of a hundred are what one looks for.
SPREAD = 0.1
# The normal approximation wants a few of each.
LEAST = 20


def does_worse(serving: Share, candidate: Share) -> bool:
    """Whether the candidate fails more often than what serves, beyond chance. Both are shares of
    conversations that failed."""
    if min(serving.of, candidate.of) < LEAST:
        return False
    difference = _rate(candidate) - _rate(serving)
    return difference > 0 and evidence(serving, candidate) >= 1 / ALPHA


def evidence(serving: Share, candidate: Share) -> float:
    """The ratio of likelihoods, 1 where nothing is known."""
    pooled = _rate(Share(serving.hits + candidate.hits, serving.of + candidate.of))
    variance = pooled * (1 - pooled) * (1 / serving.of + 1 / candidate.of)
    difference = _rate(candidate) - _rate(serving)
    wide = variance + SPREAD**2
    exponent = SPREAD**2 * difference**2 / (2 * variance * wide)
    return math.sqrt(variance / wide) * math.exp(min(exponent, 500.0))


def _rate(share: Share) -> float:
    """With one more of each kind, so that none of few is not taken for never."""
    return (share.hits + 1) / (share.of + 2)
