"""Why items are handed out, and that the shares hold."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from accounts.models import User
from labeling.models import LabelingTask, QueueItem
from labeling.queue.leases import take_items
from labeling.queue.mix import BLOCK, block, is_audit, reasons
from labeling.queue.suggestions import store_suggestions

from .conftest import MakeTask


def a_task(**settings: int) -> LabelingTask:
    return LabelingTask(name="t", seed=7, **settings)


@pytest.mark.parametrize("shares", [(50, 30, 20), (0, 0, 100), (33, 33, 34), (85, 5, 10)])
def test_the_shares_hold_in_every_hundred_items(shares: tuple[int, int, int]) -> None:
    uncertain, diverse, random = shares
    task = a_task(uncertain_share=uncertain, diverse_share=diverse, random_share=random)
    counts = Counter(islice(reasons(task, "ann", 0), 100))
    assert counts["random"] == random
    assert counts["diverse"] == diverse
    assert counts["uncertain"] == uncertain


def test_gold_items_come_in_their_share_and_not_at_fixed_places() -> None:
    task = a_task(gold_count=5, gold_share=10)
    blocks = [block(task, "ann", number) for number in range(20)]
    assert all(one.count("gold") == BLOCK // 10 for one in blocks)
    assert len({one.index("gold") for one in blocks}) > 3
    assert block(task, "ann", 0) != block(task, "li", 0)


def test_without_gold_items_nothing_waits_for_them() -> None:
    assert "gold" not in list(islice(reasons(a_task(gold_share=50), "ann", 0), 100))


def test_what_chance_hands_out_is_drawn_before_any_model_looks() -> None:
    task = a_task(random_share=20)
    drawn = [is_audit(task, key) for key in range(5000)]
    assert drawn == [is_audit(task, key) for key in range(5000)]
    assert 0.18 < sum(drawn) / len(drawn) < 0.22


def test_the_queue_mixes_uncertain_diverse_and_random_items(
    make_task: MakeTask, person: Callable[[], User]
) -> None:
    task = make_task(drafts=120, uncertain_share=40, diverse_share=30, random_share=30)
    # The model is less and less sure.
    looked_at = list(QueueItem.objects.filter(task=task, audit=False).order_by("random_rank")[:50])
    for at, item in enumerate(looked_at):
        sure = {"退货 return": -0.1, "发票 invoice": -3.0 + at * 0.05, "other": -6.0}
        store_suggestions(model="m", digest="", logprobs={item: sure})
    given = take_items(task=task, annotator=person(), count=20)
    assert Counter(item.reason for item in given) == {"uncertain": 8, "diverse": 6, "random": 6}
    unsure = [item.pk for item in given if item.reason == "uncertain"]
    # What was taken for being different, or by chance, is not taken twice.
    others = {item.pk for item in given if item.reason != "uncertain"}
    left = [item.pk for item in reversed(looked_at) if item.pk not in others]
    assert unsure == left[:8]
    assert all(item.audit == (item.reason == "random") for item in given)


def test_without_suggestions_the_uncertain_places_go_to_diverse_items(
    make_task: MakeTask, person: Callable[[], User]
) -> None:
    task = make_task(drafts=80)
    given = take_items(task=task, annotator=person(), count=20)
    assert Counter(item.reason for item in given) == {"diverse": 16, "random": 4}


def test_every_item_is_handed_out_in_the_end(
    make_task: MakeTask, person: Callable[[], User]
) -> None:
    task, ann = make_task(drafts=37), person()
    seen: set[object] = set()
    while given := take_items(task=task, annotator=ann, count=20, held=seen):  # type: ignore[arg-type]
        assert not seen & {item.pk for item in given}
        seen |= {item.pk for item in given}
    assert len(seen) == 37


def test_diverse_items_begin_with_texts_unlike_one_another() -> None:
    from labeling.queue.diversity import farthest_first

    texts = [
        "怎么退货？",
        "怎么退货呢？",
        "Where is my invoice?",
        "Where is my invoices?",
        "怎么退货！",
    ]
    first = farthest_first(texts)[:2]
    assert {at in (2, 3) for at in first} == {True, False}
    assert sorted(farthest_first(texts)) == [0, 1, 2, 3, 4]
    assert farthest_first([]) == []
    assert len(farthest_first(["", "", "x"])) == 3
