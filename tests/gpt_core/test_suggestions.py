"""A model looks at the next items before people do."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest

from gpt_core import client, suggestions, tasks
from gpt_core.client import EngineRefusedError, EngineUnavailableError, Score
from gpt_core.models import BaseModel, Checkpoint, Deployment
from labeling.models import Example, LabelingTask, QueueItem, Suggestion
from labeling.queue import suggestions as queue
from labeling.queue.answers import Answer, answer_item
from labeling.queue.building import build_queue
from labeling.queue.leases import take_items
from labeling.queue.setup import create_task, keyed
from labeling.services import create_dataset
from tenancy.models import Tenant
from tests.factories import make_member

BASE = "smollm2-135m-instruct"
Asked = list[dict[str, Any]]


@pytest.fixture
def task(in_tenant: Tenant) -> LabelingTask:
    dataset = create_dataset(name="客服", slug="support")
    for at in range(60):
        Example.objects.create(
            dataset=dataset, kind="text", content={"text": f"退货 {at}"}, external_id=str(at)
        )
    task = create_task(
        dataset=dataset, name="t", labels=keyed(["退货", "card", "card payment"]), suggester=BASE
    )
    build_queue(task=task)
    return task


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """An engine that always thinks the same, and what it was asked."""
    heard: Asked = []

    async def ascore(*, model: Any, completions: Any, messages: Any) -> list[Score]:
        heard.append({"model": model, "completions": completions, "messages": messages})
        return [Score(text, -1.0 - at, 2) for at, text in enumerate(completions)]

    monkeypatch.setattr(client, "ascore", ascore)
    return heard


def test_what_is_handed_out_next_has_a_suggestion_already(task: LabelingTask, asked: Asked) -> None:
    assert suggestions.suggest_ahead(task) == 60
    ann = make_member(Tenant.objects.get(), "annotator")
    given = take_items(task=task, annotator=ann, count=20)
    found = queue.newest_of(given)
    assert set(found) == {item.pk for item in given}
    one = next(iter(found.values()))
    assert one.label == "退货"
    assert one.confidence == pytest.approx(1 / (1 + math.exp(-1) + math.exp(-2)))
    assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert one.model == BASE
    assert suggestions.suggest_ahead(task) == 0, "nothing is looked at twice"


def test_a_look_ahead_is_bounded_and_follows_the_people(task: LabelingTask, asked: Asked) -> None:
    dataset = task.dataset
    for at in range(400):
        Example.objects.create(
            dataset=dataset, kind="text", content={"text": f"x {at}"}, external_id=f"x{at}"
        )
    build_queue(task=task)
    assert suggestions.suggest_ahead(task) < 300
    ann = make_member(Tenant.objects.get(), "annotator")
    for _turn in range(3):
        given = take_items(task=task, annotator=ann, count=20)
        assert set(queue.newest_of(given)) == {item.pk for item in given}
        for item in given:
            answer = Answer(uuid.uuid4(), item.pk, "accept", ["card"])
            answer_item(task=task, annotator=ann, answer=answer)
        assert suggestions.suggest_ahead(task) <= 40


def test_a_base_is_told_the_rule_and_a_tuned_checkpoint_just_asked(
    task: LabelingTask, asked: Asked
) -> None:
    task.guideline = "Choose by what the customer wants."
    suggestions.suggest_ahead(task)
    said = asked[0]["messages"][0]["content"]
    assert task.guideline in said
    assert "card payment" in said
    base = BaseModel.objects.create(
        name=BASE, digest="b" * 64, folder_name="x", parameters=1, context=2048
    )
    checkpoint = Checkpoint.objects.create(
        name="acme.intents@v1-00000000", base_model=base, digest="c" * 64
    )
    Deployment.objects.create(name="intents", base_model=base, checkpoint=checkpoint)
    task.suggester = "intents"
    asked.clear()
    assert suggestions.suggest_ahead(task) == 60, "another checkpoint looks anew"
    assert asked[0]["messages"][0]["content"].startswith("退货")
    kept = Suggestion.objects.filter(model=checkpoint.name)
    assert {one.digest for one in kept} == {"c" * 64}
    assert suggestions.choices_of_suggester()[0] == "intents"


def test_an_engine_that_is_away_only_leaves_suggestions_out(
    task: LabelingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(**_asked: Any) -> list[Score]:
        raise EngineUnavailableError

    monkeypatch.setattr(client, "ascore", away)
    assert suggestions.suggest_ahead(task) == 0
    task.refresh_from_db()
    assert task.suggesting_until is None


def test_an_item_that_the_engine_refuses_does_not_stop_the_others(
    task: LabelingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def choosy(*, completions: Any, messages: Any, **_asked: Any) -> list[Score]:
        if messages[0]["content"].find("退货 7\n") >= 0:
            raise EngineRefusedError("context_length_exceeded")
        return [Score(text, -1.0, 1) for text in completions]

    monkeypatch.setattr(client, "ascore", choosy)
    assert suggestions.suggest_ahead(task) == 59


def test_two_workers_do_not_look_at_one_task_at_once(task: LabelingTask, asked: Asked) -> None:
    assert queue.claim(task)
    assert not queue.claim(task)
    assert suggestions.suggest_ahead(task) == 0
    queue.release(task)
    assert suggestions.suggest_ahead(task) == 60


def test_a_task_without_suggester_asks_nobody(task: LabelingTask, asked: Asked) -> None:
    for name in ("", "no such thing"):
        task.suggester = name
        assert suggestions.suggest_ahead(task) == 0
    assert asked == []


def test_the_tasks_find_their_tenant_and_what_lacks_suggestions(
    task: LabelingTask, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.suggest_ahead, "delay", lambda **sent: heard.append(sent))
    tasks.suggest_where_needed()
    assert heard == [], "nobody is at work"
    take_items(task=task, annotator=make_member(Tenant.objects.get(), "annotator"), count=1)
    tasks.suggest_where_needed()
    assert heard == [{"tenant_id": str(task.tenant_id), "task_id": str(task.pk)}]
    assert tasks.suggest_ahead(**heard[0]) == 60
    assert QueueItem.objects.filter(uncertainty__isnull=True).count() == 0
