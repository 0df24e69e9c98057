"""How alike two texts are: the share of character n-grams that they have in common.

Characters, not words, so that Chinese needs no segmenter. MinHash with banding (datasketch) finds
the pairs that may be alike; each such pair is then counted exactly, because the estimate from a
hundred hashes is off by a tenth as often as not.
"""

import re
import unicodedata

import numpy as np
from datasketch import MinHash, MinHashLSH

ALIKE = 0.8
# 16 bands of 6 hashes find 99 of 100 pairs that are 0.8 alike, and all that are 0.9 alike.
BANDS, HASHES_A_BAND = 16, 6
LONGEST = 20_000

_SPACE = re.compile(r"\s+")
_IDEOGRAPH = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯]")
_BASE = np.uint64(0x9E3779B97F4A7C15)

# Hashes of n-grams: sorted, each once; uint32, so that four bytes hold one.
Shingles = np.ndarray


def shingles(text: str) -> Shingles:
    """The hashed n-grams of a text, its width, case and spacing evened out.

    Three characters where ideographs prevail, for each of them says as much as several letters;
    else five. A text beyond LONGEST characters is known by its beginning.
    """
    plain = _SPACE.sub(" ", unicodedata.normalize("NFKC", text[:LONGEST]).casefold()).strip()
    length = 3 if len(_IDEOGRAPH.findall(plain)) * 3 > len(plain) else 5
    points = np.frombuffer(plain.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    windows = max(1, len(points) - length + 1)
    hashed = np.zeros(windows, dtype=np.uint64)
    for offset in range(min(length, len(points))):
        # Wraps around at 64 bits, which is what mixes the characters.
        hashed = (hashed + points[offset : offset + windows] + np.uint64(1)) * _BASE
    return np.unique((hashed >> np.uint64(32)).astype(np.uint32))


def likeness(one: Shingles, other: Shingles) -> float:
    """Jaccard: 1.0 for the same n-grams, 0.0 for none in common."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


class Neighbours:
    """An index of texts by key; asks which of them a new text is nearly a copy of."""

    def __init__(self) -> None:
        self._index = MinHashLSH(num_perm=BANDS * HASHES_A_BAND, params=(BANDS, HASHES_A_BAND))
        self._shingles: dict[str, Shingles] = {}

    def __len__(self) -> int:
        return len(self._shingles)

    def add(self, key: str, text: str) -> None:
        found = shingles(text)
        self._shingles[key] = found
        self._index.insert(key, signature(found), check_duplication=False)

    def remove(self, key: str) -> None:
        self._index.remove(key)
        del self._shingles[key]

    def alike(self, text: str) -> list[str]:
        """The keys of the texts that are at least ALIKE, in a fixed order."""
        if not self._shingles:
            return []
        found = shingles(text)
        return sorted(
            key
            for key in self._index.query(signature(found))
            if likeness(found, self._shingles[key]) >= ALIKE
        )


# Copied, not made anew: drawing the permutations takes four times as long as using them. The
# n-grams are hashed already; datasketch mixes them once more itself.
_EMPTY = MinHash(num_perm=BANDS * HASHES_A_BAND, hashfunc=int)


def signature(found: Shingles) -> MinHash:
    """The MinHash of a text: BANDS * HASHES_A_BAND hashes, which `likeness` is estimated from."""
    made = _EMPTY.copy()
    made.update_batch(found.tolist())
    return made
