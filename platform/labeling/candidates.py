"""Rows that may become a version's: their splits and places, and which nearly say the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.splits import (
    LEAST_GROUPS,
    LEAST_ROWS,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Shares,
    assign,
    place,
)

Progress = Callable[[float], None]
Texts = Callable[[list[Any]], Iterator[tuple[str, str]]]


@dataclass(slots=True)
class Candidate:
    """What is held in memory of one example while a version is made: some 300 bytes."""

    id: Any
    group: str
    digest: str
    split: str = ""
    place: float = 0.0


def named_group(group: str, external_id: str) -> str:
    """What splits never part; prefixes keep a group's name from being taken for a row's id."""
    return f"group:{group}" if group else f"row:{external_id}"


def is_too_small(candidates: Sequence[Candidate], sizes: Mapping[str, int]) -> bool:
    """Whether there is too little to hold anything back."""
    return len(candidates) < LEAST_ROWS or len(sizes) < LEAST_GROUPS


def give_places(
    candidates: Sequence[Candidate], sizes: Mapping[str, int], seed: int, shares: Shares
) -> None:
    """Each candidate's split, and its place in it."""
    split_of = assign(sizes, seed=seed, shares=shares)
    for candidate in candidates:
        candidate.split = split_of[candidate.group]
        candidate.place = place(seed, candidate.digest)


def left_out(candidates: Sequence[Candidate], texts: Texts, report: Progress) -> dict[Any, str]:
    """The ids of held-out rows that are nearly copies of a row learned from, with their split.

    Only the held-out rows are indexed, the smaller side; the others pass by and are forgotten.
    `texts` hands out the words of the candidates with these ids, in this order.
    """
    # Its libraries take 80 MB, which the web process has no use for until somebody freezes.
    from labeling.similarity import Neighbours

    by_key = {str(candidate.id): candidate for candidate in candidates}
    ids = {split: [c.id for c in candidates if c.split == split] for split in SPLITS}
    held_out = Neighbours()
    for key, text in texts(ids[TEST] + ids[VALIDATION]):
        held_out.add(key, text)
    found: dict[Any, str] = {}
    passing = ids[TRAIN] + ids[TEST]
    for done, (key, text) in enumerate(texts(passing)):
        if done % 500 == 0:
            report(done / len(passing))
        if by_key[key].id in found:
            continue
        for other in held_out.alike(text):
            # A test row is like itself, and may be like its neighbours in the test split.
            if by_key[key].split == TRAIN or by_key[other].split == VALIDATION:
                held_out.remove(other)
                found[by_key[other].id] = by_key[other].split
    return found
