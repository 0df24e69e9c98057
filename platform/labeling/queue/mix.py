"""Why an item is handed out: the mixture of uncertain, diverse, random and gold ones, in order.

The n-th item of a person has its reason by rule, not by luck: in every block of twenty the shares
are met exactly (to a twentieth), in an order that seed and person shuffle. So the shares hold from the
first minute, and nobody can tell which item is gold.
"""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random

from labeling.models import LabelingTask, QueueItem

BLOCK = 20

Reason = QueueItem.Reason


def reasons(task: LabelingTask, person: object, start: int) -> Iterator[str]:
    """The reasons of the person's items from number `start` on, without an end."""
    at = start
    while True:
        yield block(task, person, at // BLOCK)[at % BLOCK]
        at += 1


def block(task: LabelingTask, person: object, number: int) -> list[str]:
    """The twenty reasons of one block."""
    gold = _places(task.gold_share, BLOCK, number) if task.gold_count else 0
    left = BLOCK - gold
    random = _places(task.random_share, left, number)
    diverse = _places(task.diverse_share, left, number)
    chosen: list[str] = []
    chosen += [Reason.GOLD] * gold + [Reason.RANDOM] * random + [Reason.DIVERSE] * diverse
    # Rounding is settled here, where it matters least.
    chosen = (chosen + [Reason.UNCERTAIN] * BLOCK)[:BLOCK]
    Random(f"{task.seed}:{task.pk}:{person}:{number}").shuffle(chosen)
    return chosen


def _places(share: int, of: int, number: int) -> int:
    """How many of `of` places a share has in this block; fractions come round in later blocks."""
    return (number + 1) * share * of // 100 - number * share * of // 100


def rank(seed: int, key: object) -> int:
    """A place in a random order that anybody can compute again: 0 to 2^62."""
    digest = blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2


def is_audit(task: LabelingTask, key: object) -> bool:
    """Whether chance alone may hand this example out. Drawn once, before any model has looked."""
    return rank(task.seed, f"audit:{task.pk}:{key}") % 100 < task.random_share
