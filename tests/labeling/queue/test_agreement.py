"""Kappa against scikit-learn, alpha against the published example and the package."""

import random
from collections.abc import Callable

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from accounts.models import User
from labeling.queue.agreement import (
    alpha_of,
    cohens_kappa,
    measure,
    measured_agreement,
    nominal_alpha,
)
from labeling.queue.leases import take_items

from .conftest import LABELS, MakeTask, Say, add_drafts

RETURN, INVOICE, OTHER = LABELS

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers,
# twelve units, missing values; nominal alpha 0.743.
PUBLISHED = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def as_choices(table: list[str]) -> dict[int, dict[int, str]]:
    rows = [line.split() for line in table]
    return {
        unit: {who: row[unit] for who, row in enumerate(rows) if row[unit] != "."}
        for unit in range(len(rows[0]))
    }


def test_alpha_is_that_of_the_published_example() -> None:
    alpha = alpha_of(as_choices(PUBLISHED))
    assert alpha.value == pytest.approx(0.743, abs=0.0005)
    # The unit that one observer alone has seen says nothing.
    assert alpha.items == 11
    assert alpha.low is not None
    assert alpha.high is not None
    assert alpha.low < 0.743 < alpha.high <= 1


def test_the_closed_form_is_that_of_the_package() -> None:
    chance = np.random.default_rng(3)
    for _turn in range(20):
        counts = chance.integers(0, 4, (40, 5))
        counts = counts[counts.sum(axis=1) > 1]
        wanted = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
        assert nominal_alpha(counts) == pytest.approx(wanted)


def test_the_interval_is_the_same_each_time_and_narrows_with_more_items() -> None:
    chance = random.Random(5)

    def some(count: int) -> dict[int, dict[int, str]]:
        return {
            item: {0: (one := chance.choice("abc")), 1: one if chance.random() < 0.8 else "a"}
            for item in range(count)
        }

    few, many = alpha_of(some(40)), alpha_of(some(1000))
    assert alpha_of(as_choices(PUBLISHED)) == alpha_of(as_choices(PUBLISHED))
    assert few.high - few.low > many.high - many.low  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    chance = random.Random(seed)
    first = [chance.choice(LABELS) for _ in range(200)]
    second = [one if chance.random() < 0.7 else chance.choice(LABELS) for one in first]
    assert cohens_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_where_everybody_chose_one_thing_chance_explains_all() -> None:
    assert cohens_kappa(["a", "a"], ["a", "a"]) is None
    assert alpha_of({1: {1: "a", 2: "a"}}).value is None
    assert alpha_of({}).value is None
    assert alpha_of({1: {1: "a"}}).items == 0


def test_a_task_is_measured_by_person_pair_and_label(
    make_task: MakeTask,
    dataset,
    person: Callable[[], User],
    say: Say,
) -> None:
    add_drafts(dataset, 2, state="accepted", labels=[INVOICE])
    task, ann, li = make_task(drafts=12, overlap=2, gold_count=2, gold_share=50), person(), person()
    given = take_items(task=task, annotator=ann, count=14)
    plain = [item for item in given if not item.gold]
    for at, item in enumerate(plain):
        say(task, ann, item, RETURN if at % 2 else OTHER, seconds=2.0)
        say(task, li, item, RETURN if at % 4 == 1 else OTHER, seconds=4.0)
    for item in (item for item in given if item.gold):
        say(task, ann, item, INVOICE)
        say(task, li, item, RETURN, seconds=4.0)
    found = measure(task)
    assert found.items == len(given)
    assert found.pairs[0].kappa == pytest.approx(
        cohen_kappa_score(
            [RETURN if at % 2 else OTHER for at in range(len(plain))] + [INVOICE] * 2,
            [RETURN if at % 4 == 1 else OTHER for at in range(len(plain))] + [RETURN] * 2,
        )
    )
    by_id = {one.id: one for one in found.people}
    assert (by_id[str(ann.pk)].gold, by_id[str(ann.pk)].gold_right) == (2, 2)
    assert (by_id[str(li.pk)].gold, by_id[str(li.pk)].gold_right) == (2, 0)
    assert by_id[str(li.pk)].seconds == 4
    assert set(found.labels) == set(LABELS)
    assert found.confusion[RETURN][OTHER] == found.confusion[OTHER][RETURN] == len(plain) // 4
    kept = measured_agreement(task)
    assert kept["alpha"]["value"] == found.alpha.value
    task.refresh_from_db()
    assert task.measured == kept
