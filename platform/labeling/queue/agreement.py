"""How far people agree, beyond what chance alone would bring: Cohen's kappa and Krippendorff's alpha.

Read from the answers that stand, gold items included; a skipped item says nothing. Alpha is nominal
and copes with items that only some have answered. Its interval is a bootstrap over items.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from statistics import median
from typing import Any

from labeling.models import Annotation, LabelingTask
from labeling.queue.settlement import choice_of
from labeling.rows import canonical_json

RESAMPLES = 500
# item -> person -> what the person chose
Choices = Mapping[Any, Mapping[Any, str]]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha with a 95 % interval; None where nothing can be compared."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    items: int = 0


@dataclass(frozen=True)
class Pair:
    first: str
    second: str
    items: int
    agreed: float
    kappa: float | None


@dataclass
class Person:
    """What one person did. `gold_right` of `gold` answers to gold items were right."""

    id: str
    answers: int = 0
    skipped: int = 0
    seconds: float | None = None
    agreed: float | None = None
    gold: int = 0
    gold_right: int = 0


@dataclass
class Agreement:
    alpha: Alpha
    labels: dict[str, Alpha] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    # {label: {label: how often two people chose these for one item}}
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    items: int = 0


def measured_agreement(task: LabelingTask) -> dict[str, Any]:
    """The task's agreement as JSON, computed anew only when an answer has come since."""
    rows = Annotation.objects.filter(task=task)
    newest = rows.order_by("-created_at").values_list("pk", flat=True).first()
    state = f"{rows.count()}:{newest}"
    if task.measured.get("state") != state:
        task.measured = {"state": state, **asdict(measure(task))}
        LabelingTask.objects.filter(pk=task.pk).update(measured=task.measured)
    return task.measured


def measure(task: LabelingTask) -> Agreement:
    choices: dict[Any, dict[Any, str]] = defaultdict(dict)
    chosen: dict[Any, dict[Any, frozenset[str]]] = defaultdict(dict)
    people: dict[Any, Person] = {}
    seconds: dict[Any, list[float]] = defaultdict(list)
    for said, gold in _answers(task):
        person = people.setdefault(said.annotator_id, Person(str(said.annotator_id)))
        if said.verdict == Annotation.Verdict.SKIP:
            person.skipped += 1
            continue
        person.answers += 1
        if said.seconds is not None:
            seconds[said.annotator_id].append(said.seconds)
        choices[said.example_id][said.annotator_id] = choice_of(said)
        chosen[said.example_id][said.annotator_id] = frozenset(said.labels or [said.verdict])
        if gold is not None:
            person.gold += 1
            person.gold_right += choice_of(said) == canonical_json(sorted(gold))
    for key, person in people.items():
        person.seconds = median(seconds[key]) if seconds[key] else None
        person.agreed = _agreed_with_others(choices, key)
    shared = {item: given for item, given in choices.items() if len(given) > 1}
    return Agreement(
        alpha=alpha_of(choices),
        labels={name: alpha_of(_worn(chosen, name)) for name in task.label_names},
        pairs=_pairs(shared, list(people)),
        people=sorted(people.values(), key=lambda person: (-person.answers, person.id)),
        confusion=_confusion(chosen),
        items=len(shared),
    )


def _answers(task: LabelingTask) -> list[tuple[Annotation, list[str] | None]]:
    """Every answer that stands, with the gold labels of its item."""
    from labeling.models import Assignment

    rows = Assignment.objects.filter(item__task=task).exclude(annotation=None)
    kept = rows.select_related("annotation", "item").only("annotation", "item__gold")
    return [(row.annotation, row.item.gold) for row in kept if row.annotation is not None]


# --- Krippendorff's alpha ------------------------------------------------------------------------


def alpha_of(choices: Choices, resamples: int = RESAMPLES) -> Alpha:
    """Nominal alpha over items that at least two people answered."""
    shared = [Counter(given.values()) for given in choices.values() if len(given) > 1]
    values = sorted({value for counts in shared for value in counts})
    if not shared:
        return Alpha()
    if len(values) == 1:
        # Nobody ever differed, and no other value was ever chosen: chance cannot be told apart.
        return Alpha(None, None, None, len(shared))
    # Imported late: they bring numpy, which the pages do not need.
    import krippendorff
    import numpy as np

    counts = np.array([[given[value] for value in values] for given in shared])
    chance = np.random.default_rng(0)
    samples = (counts[chance.integers(0, len(counts), len(counts))] for _ in range(resamples))
    drawn = [found for sample in samples if (found := nominal_alpha(sample)) is not None]
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (None, None)
    value = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    return Alpha(_plain(value), _plain(low), _plain(high), len(shared))


def nominal_alpha(counts: Any) -> float | None:
    """Alpha in closed form, quick enough for a bootstrap. `counts` is a table of items by values: how
    many people chose the value for the item. None where a single value was chosen."""
    answers = counts.sum(axis=1)
    pairs = answers[:, None] - counts
    observed = ((counts * pairs).sum(axis=1) / (answers - 1)).sum()
    total = counts.sum()
    expected = total**2 - (counts.sum(axis=0) ** 2).sum()
    return None if expected == 0 else float(1 - (total - 1) * observed / expected)


def _worn(chosen: Mapping[Any, Mapping[Any, frozenset[str]]], name: str) -> Choices:
    """The same answers, looked at for one label alone: worn or not."""
    return {
        item: {person: str(name in labels) for person, labels in given.items()}
        for item, given in chosen.items()
    }


def _plain(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)


# --- Two people ----------------------------------------------------------------------------------


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement of two people on the same items beyond chance; None where chance explains all."""
    total = len(first)
    agreed = sum(one == other for one, other in zip(first, second, strict=True)) / total
    left, right = Counter(first), Counter(second)
    by_chance = sum(left[value] * right[value] for value in left) / total**2
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def _pairs(shared: Choices, people: Sequence[Any]) -> list[Pair]:
    found = []
    for first, second in combinations(people, 2):
        both = [given for given in shared.values() if first in given and second in given]
        if both:
            one, other = [given[first] for given in both], [given[second] for given in both]
            agreed = sum(a == b for a, b in zip(one, other, strict=True)) / len(both)
            kappa = cohens_kappa(one, other)
            found.append(Pair(str(first), str(second), len(both), agreed, _plain(kappa)))
    return sorted(found, key=lambda pair: -pair.items)


def _agreed_with_others(choices: Choices, person: Any) -> float | None:
    """How often the person chose what another chose for the same item."""
    same = total = 0
    for given in choices.values():
        if person in given:
            others = [choice for who, choice in given.items() if who != person]
            same += sum(choice == given[person] for choice in others)
            total += len(others)
    return same / total if total else None


def _confusion(
    chosen: Mapping[Any, Mapping[Any, frozenset[str]]],
    written: Callable[[frozenset[str]], str] = lambda labels: ", ".join(sorted(labels)),
) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for given in chosen.values():
        for one, other in combinations(given.values(), 2):
            first, second = written(one), written(other)
            table[first][second] += 1
            if first != second:
                table[second][first] += 1
    return {first: dict(row) for first, row in table.items()}
