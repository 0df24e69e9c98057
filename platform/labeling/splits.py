"""Which rows are learned from and which are held back, so that the same data always splits alike.

- A group never straddles two splits. A row without a group is its own.
- A group's place is a hash of the seed and its name, between 0 and 1; the shares cut that line
  into train, test and validation. Adding rows therefore moves none of the others.
- Where a small dataset leaves a held-out split empty, the groups nearest to the cut move over.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)

# Fewer rows than this say nothing about anything.
LEAST_ROWS = 10
LEAST_GROUPS = 3
# The gate wants this many held-out rows before it believes a difference (gpt_core.gate).
LEAST_TEST_ROWS = 30


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the data each split is meant to get; together 1. `given`: the validation split
    has rows of its own, and no share."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    given: bool = False

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        wanted = (self.train, self.test) if self.given else parts
        if min(wanted) <= 0 or abs(sum(parts) - 1) > 1e-6:
            raise ValueError(f"shares must be above 0 and add up to 1, not {parts}")


def place(seed: int, group: str) -> float:
    """Where a group lies on the line from 0 to 1."""
    return int.from_bytes(sha256(f"{seed}:{group}".encode()).digest()[:7], "big") / (1 << 56)


def assign(rows_of_group: Mapping[str, int], *, seed: int, shares: Shares) -> dict[str, str]:
    """The split of each group, given how many rows each has. Needs at least LEAST_GROUPS groups."""
    ordered = sorted((place(seed, group), group) for group in rows_of_group)
    split_of = {group: _by_share(where, shares) for where, group in ordered}
    for wanting in (TEST, VALIDATION):
        held = Counter(split_of.values())
        if not held[wanting]:
            # The last group of the line that its own split can spare.
            spare = next(g for _, g in reversed(ordered) if held[split_of[g]] > 1)
            split_of[spare] = wanting
    if TRAIN not in split_of.values():
        spare = next(g for _, g in ordered if Counter(split_of.values())[split_of[g]] > 1)
        split_of[spare] = TRAIN
    return split_of


def _by_share(where: float, shares: Shares) -> str:
    if where < shares.train:
        return TRAIN
    return TEST if where < shares.train + shares.test else VALIDATION


def rows_by_group(groups: Iterable[tuple[Hashable, str]]) -> dict[str, int]:
    """(row, group) pairs counted by group."""
    counted: dict[str, int] = defaultdict(int)
    for _row, group in groups:
        counted[group] += 1
    return dict(counted)
