"""Leases, overlap, undo, and that an answer is stored once whatever happens."""

import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import User
from common.errors import ApplicationError, ConflictError, NotFoundError
from labeling.models import Annotation, Assignment, Example, QueueItem
from labeling.queue.adjudication import adjudicate_item, disagreements
from labeling.queue.answers import Answer, answer_item, undo_answer
from labeling.queue.building import build_queue
from labeling.queue.leases import LEASE, left_for, take_items
from labeling.queue.setup import change_task, keyed

from .conftest import LABELS, MakeTask, Say, add_drafts

RETURN, INVOICE, OTHER = LABELS
Person = Callable[[], User]


def test_two_people_are_never_given_the_same_item_by_accident(
    make_task: MakeTask, person: Person
) -> None:
    task, ann, li = make_task(drafts=30), person(), person()
    first = take_items(task=task, annotator=ann, count=10)
    second = take_items(task=task, annotator=li, count=20)
    assert len(first) == 10
    assert len(second) == 20
    assert not {item.pk for item in first} & {item.pk for item in second}
    assert left_for(task, ann) == 0


def test_a_reload_gives_the_same_items_again_but_for_those_held(
    make_task: MakeTask, person: Person
) -> None:
    task, ann = make_task(drafts=30), person()
    first = take_items(task=task, annotator=ann, count=5)
    assert take_items(task=task, annotator=ann, count=5) == first
    held = [item.pk for item in first[:3]]
    again = take_items(task=task, annotator=ann, count=4, held=held)
    assert again[:2] == first[3:]
    assert len(again) == 4


def test_a_lease_that_ran_out_gives_the_item_to_another_and_loses_no_answer(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li = make_task(drafts=1), person(), person()
    (item,) = take_items(task=task, annotator=ann, count=5)
    assert take_items(task=task, annotator=li, count=5) == []
    Assignment.objects.update(leased_until=timezone.now() - LEASE)
    assert take_items(task=task, annotator=li, count=5) == [item]
    say(task, li, item, RETURN)
    late = say(task, ann, item, OTHER)
    assert late.labels == [OTHER]
    item.refresh_from_db()
    assert (item.state, item.answers) == ("disputed", 2)


def test_one_answer_is_enough_without_overlap_and_the_example_follows(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(), person()
    item = take_items(task=task, annotator=ann, count=1)[0]
    said = say(task, ann, item, RETURN, seconds=3.5, suggestion={"label": OTHER, "model": "m"})
    example = Example.objects.get(pk=item.example_id)
    assert (example.state, example.labels) == ("accepted", [RETURN])
    assert (said.seconds, said.suggestion["label"]) == (3.5, OTHER)
    item.refresh_from_db()
    assert (item.state, item.unanimous) == ("done", True)


def test_an_item_leaves_the_queue_at_n_answers_of_different_people(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, people = make_task(drafts=1, overlap=3), [person() for _ in range(4)]
    for number, who in enumerate(people[:3]):
        (item,) = take_items(task=task, annotator=who, count=5)
        assert Example.objects.get(pk=item.example_id).state == "draft"
        say(task, who, item, RETURN if number else OTHER)
    assert take_items(task=task, annotator=people[3], count=5) == []
    item.refresh_from_db()
    example = Example.objects.get(pk=item.example_id)
    assert (item.state, item.unanimous, item.answers) == ("done", False, 3)
    assert (example.state, example.labels) == ("accepted", [RETURN])


def test_an_overlap_that_is_begun_is_finished_first(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li = make_task(drafts=40, overlap=2), person(), person()
    given = take_items(task=task, annotator=ann, count=4)
    for item in given:
        say(task, ann, item, OTHER)
    assert {item.pk for item in take_items(task=task, annotator=li, count=4)} == {
        item.pk for item in given
    }


def test_the_same_answer_sent_twice_is_stored_once(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(), person()
    item = take_items(task=task, annotator=ann, count=1)[0]
    once = uuid.uuid4()
    first = say(task, ann, item, RETURN, client_id=once)
    again = answer_item(task=task, annotator=ann, answer=Answer(once, item.pk, "accept", [RETURN]))
    assert again == (first, False)
    assert Annotation.objects.count() == 1


def test_a_second_answer_to_the_same_item_is_a_conflict_that_is_told(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(), person()
    item = take_items(task=task, annotator=ann, count=1)[0]
    say(task, ann, item, RETURN)
    with pytest.raises(ConflictError) as caught:
        say(task, ann, item, OTHER)
    assert caught.value.code == "already_answered"
    assert Annotation.objects.count() == 1


def test_the_id_of_anothers_answer_is_no_key_to_it(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li = make_task(), person(), person()
    once = uuid.uuid4()
    say(task, ann, take_items(task=task, annotator=ann, count=1)[0], RETURN, client_id=once)
    with pytest.raises(ConflictError) as caught:
        say(task, li, take_items(task=task, annotator=li, count=1)[0], RETURN, client_id=once)
    assert caught.value.code == "client_id_taken"


def test_undo_adds_a_row_puts_the_example_back_and_leases_the_item_anew(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li = make_task(drafts=1), person(), person()
    (item,) = take_items(task=task, annotator=ann, count=1)
    said = say(task, ann, item, RETURN)
    assert said.client_id
    undone, new = undo_answer(
        task=task, annotator=ann, client_id=uuid.uuid4(), undoes=said.client_id
    )
    assert new
    assert (undone.verdict, undone.undoes) == ("undo", said)
    said.refresh_from_db()
    assert said.labels == [RETURN], "what was said stays as it was said"
    example = Example.objects.get(pk=item.example_id)
    assert (example.state, example.labels, example.edited_at) == ("draft", [], None)
    assert take_items(task=task, annotator=li, count=1) == []
    assert take_items(task=task, annotator=ann, count=1) == [item]
    say(task, ann, item, OTHER)
    assert Example.objects.get(pk=item.example_id).labels == [OTHER]
    assert [one.verdict for one in Annotation.objects.order_by("created_at")] == [
        "accept", "undo", "accept",
    ]  # fmt: skip


def test_undoing_twice_or_what_another_said_is_refused(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li = make_task(), person(), person()
    said = say(task, ann, take_items(task=task, annotator=ann, count=1)[0], RETURN)
    assert said.client_id
    once = uuid.uuid4()
    with pytest.raises(ConflictError):
        undo_answer(task=task, annotator=li, client_id=uuid.uuid4(), undoes=said.client_id)
    undo_answer(task=task, annotator=ann, client_id=once, undoes=said.client_id)
    assert not undo_answer(task=task, annotator=ann, client_id=once, undoes=said.client_id)[1]
    with pytest.raises(ConflictError) as caught:
        undo_answer(task=task, annotator=ann, client_id=uuid.uuid4(), undoes=said.client_id)
    assert caught.value.code == "nothing_to_undo"


def test_a_skipped_item_is_left_to_others(make_task: MakeTask, person: Person, say: Say) -> None:
    task, ann, li = make_task(drafts=1), person(), person()
    (item,) = take_items(task=task, annotator=ann, count=1)
    say(task, ann, item, verdict="skip")
    assert take_items(task=task, annotator=ann, count=1) == []
    assert take_items(task=task, annotator=li, count=1) == [item]
    assert Example.objects.get(pk=item.example_id).state == "draft"


@pytest.mark.parametrize(
    ("mode", "verdict", "labels"),
    [
        ("single", "accept", []),
        ("single", "accept", [RETURN, OTHER]),
        ("single", "accept", ["nobody knows this one"]),
        ("single", "reject", []),
        ("multi", "accept", []),
        ("single", "undo", [RETURN]),
        ("review", "edit", []),
    ],
)
def test_what_is_no_answer_to_the_task_is_refused(
    make_task: MakeTask, person: Person, mode: str, verdict: str, labels: list[str]
) -> None:
    task, ann = make_task(mode=mode), person()
    item = take_items(task=task, annotator=ann, count=1)[0]
    with pytest.raises(ApplicationError) as caught:
        answer_item(task=task, annotator=ann, answer=Answer(uuid.uuid4(), item.pk, verdict, labels))
    assert caught.value.code == "answer_invalid"


def test_any_number_of_labels_where_the_task_says_so(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(mode="multi"), person()
    item = take_items(task=task, annotator=ann, count=1)[0]
    say(task, ann, item, OTHER, RETURN)
    assert sorted(Example.objects.get(pk=item.example_id).labels) == sorted([OTHER, RETURN])


def test_a_review_edits_an_answer_and_rejects_another(
    make_task: MakeTask,
    dataset,
    person: Person,
    say: Say,
) -> None:
    chat = {
        "messages": [{"role": "user", "content": "在吗"}, {"role": "assistant", "content": "？"}]
    }
    better = {"messages": [chat["messages"][0], {"role": "assistant", "content": "在的，请说。"}]}
    for at in range(2):
        Example.objects.create(dataset=dataset, kind="chat", content=chat, external_id=f"c{at}")
    task, ann = make_task(drafts=0, mode="review"), person()
    first, second = take_items(task=task, annotator=ann, count=2)
    say(task, ann, first, content=better)
    say(task, ann, second, verdict="reject")
    assert Example.objects.get(pk=first.example_id).content == better
    assert Example.objects.get(pk=second.example_id).state == "rejected"
    with pytest.raises(ApplicationError) as caught:
        say(task, person(), first, content={"messages": []})
    assert caught.value.code == "content_invalid"


def test_disagreement_waits_for_an_adjudicator_whose_word_is_final(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann, li, boss = make_task(drafts=1, overlap=2), person(), person(), person()
    (item,) = take_items(task=task, annotator=ann, count=1)
    first = say(task, ann, item, RETURN)
    take_items(task=task, annotator=li, count=1)
    say(task, li, item, OTHER)
    assert list(disagreements(task)) == [item]
    assert Example.objects.get(pk=item.example_id).state == "draft"
    with pytest.raises(ApplicationError):
        adjudicate_item(
            task=task, item_id=item.pk, adjudicator=boss, verdict="accept", labels=["x"]
        )
    word = adjudicate_item(
        task=task, item_id=item.pk, adjudicator=boss, verdict="accept", labels=[INVOICE]
    )
    assert word.final
    assert Example.objects.get(pk=item.example_id).labels == [INVOICE]
    assert list(disagreements(task)) == []
    for forbidden in (
        lambda: undo_answer(
            task=task, annotator=ann, client_id=uuid.uuid4(), undoes=first.client_id
        ),
        lambda: say(task, person(), item, RETURN),
        lambda: adjudicate_item(
            task=task, item_id=item.pk, adjudicator=boss, verdict="accept", labels=[OTHER]
        ),
    ):
        with pytest.raises(ConflictError):
            forbidden()


def test_gold_items_go_to_everybody_and_change_nothing(
    make_task: MakeTask,
    dataset,
    person: Person,
    say: Say,
) -> None:
    gold = add_drafts(dataset, 3, state="accepted", labels=[INVOICE])
    add_drafts(dataset, 1, state="accepted", labels=["a label of another task"])
    task = make_task(drafts=60, gold_count=5, gold_share=20)
    for _turn in range(2):
        who = person()
        given = take_items(task=task, annotator=who, count=20)
        known = [item for item in given if item.gold]
        assert {item.example_id for item in known} == {example.pk for example in gold}
        for item in known:
            say(task, who, item, OTHER)
    assert {one.state for one in QueueItem.objects.filter(gold__isnull=False)} == {"waiting"}
    for example in gold:
        example.refresh_from_db()
        assert (example.state, example.labels) == ("accepted", [INVOICE])


def test_drafts_that_come_later_join_the_queue(make_task: MakeTask, dataset) -> None:
    task = make_task(drafts=5)
    add_drafts(dataset, 4)
    assert build_queue(task=task) == 4
    assert build_queue(task=task) == 0
    assert QueueItem.objects.filter(task=task).count() == 9


def test_a_paused_task_hands_out_nothing_new(make_task: MakeTask, person: Person) -> None:
    task, ann = make_task(), person()
    first = take_items(task=task, annotator=ann, count=2)
    change_task(task=task, state="paused")
    assert take_items(task=task, annotator=ann, count=5) == first


def test_an_unknown_item_and_one_of_another_task_are_equally_absent(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(), person()
    other = make_task(drafts=1)
    foreign = QueueItem.objects.filter(task=other).first()
    assert foreign
    with pytest.raises(NotFoundError):
        say(task, ann, foreign, RETURN)


def test_seconds_are_clamped(make_task: MakeTask, person: Person, say: Say) -> None:
    task, ann = make_task(), person()
    first, second, third = take_items(task=task, annotator=ann, count=3)
    assert say(task, ann, first, OTHER, seconds=86_400.0).seconds == 600
    assert say(task, ann, second, OTHER, seconds=-4.0).seconds == 0
    assert say(task, ann, third, OTHER, seconds=float("nan")).seconds is None


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"labels": keyed(["one"])}, "labels"),
        ({"labels": [{"name": "a", "key": "1"}, {"name": "b", "key": "1"}]}, "labels"),
        ({"labels": [{"name": "a", "key": "u"}, {"name": "b", "key": "1"}]}, "labels"),
        ({"uncertain_share": 60}, "uncertain_share"),
        ({"uncertain_share": 65, "random_share": 5}, "random_share"),
        ({"overlap": 0}, "overlap"),
        ({"overlap": 10}, "overlap"),
        ({"gold_share": 51}, "gold_share"),
        ({"name": "  "}, "name"),
    ],
)
def test_a_task_that_cannot_work_is_refused_by_its_field(
    make_task: MakeTask, settings: dict[str, object], field: str
) -> None:
    task = make_task(drafts=1)
    with pytest.raises(ApplicationError) as caught:
        change_task(task=task, **settings)
    assert caught.value.field == field


def test_what_answers_rest_on_cannot_change_under_them(
    make_task: MakeTask, person: Person, say: Say
) -> None:
    task, ann = make_task(), person()
    change_task(task=task, overlap=2)
    say(task, ann, take_items(task=task, annotator=ann, count=1)[0], OTHER)
    change_task(task=task, guideline="# 说明")
    with pytest.raises(ConflictError):
        change_task(task=task, overlap=3)


def test_keys_are_chosen_where_nobody_chose_them() -> None:
    labels = keyed(["r: 退货", "发票", *[f"label {n}" for n in range(9)]])
    keys = [label["key"] for label in labels]
    assert keys[:3] == ["r", "1", "2"]
    assert keys[-1] == "a"
    assert not set(keys) & set("usge")
    with pytest.raises(ApplicationError):
        keyed(["u: taken", "b"])
    with pytest.raises(ApplicationError):
        keyed(["a", "a"])
