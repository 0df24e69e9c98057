"""An order in which each text is as unlike the ones before it as can be: farthest first.

Texts become vectors of hashed character n-grams (labeling.similarity), so that Chinese needs no
segmenter. Quadratic in what is picked, hence limited; numpy, hence for workers alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labeling.similarity import shingles

DIMENSIONS = 512
MOST_COMPARED = 5_000
MOST_PICKED = 1_000


def farthest_first(texts: Sequence[str]) -> list[int]:
    """Positions of the texts that differ most, at most MOST_PICKED of the first MOST_COMPARED."""
    vectors = _vectors(texts[:MOST_COMPARED])
    if not len(vectors):
        return []
    # Begin with the most ordinary one: the outliers come soon enough.
    picked = [int((vectors @ vectors.mean(axis=0)).argmax())]
    likeness = vectors @ vectors[picked[0]]
    while len(picked) < min(len(vectors), MOST_PICKED):
        likeness[picked[-1]] = np.inf
        picked.append(int(likeness.argmin()))
        likeness = np.maximum(likeness, vectors @ vectors[picked[-1]])
    return picked


def _vectors(texts: Sequence[str]) -> Any:
    """One row of length 1 a text (all zeros for one without n-grams)."""
    found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(found, texts, strict=True):
        hashed = shingles(text)
        # The low bit says the sign, so that collisions cancel rather than add up.
        signs = np.where(hashed & 1, 1.0, -1.0).astype(np.float32)
        np.add.at(row, (hashed >> 1) % DIMENSIONS, signs)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
