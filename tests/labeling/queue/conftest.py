"""A task over Chinese and English drafts, and people to answer it."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from labeling.models import Annotation, Dataset, Example, LabelingTask, QueueItem
from labeling.queue.answers import Answer, answer_item
from labeling.queue.building import build_queue
from labeling.queue.setup import create_task, keyed
from labeling.services import create_dataset
from tenancy.models import Tenant
from tests.factories import make_member

MakeTask = Callable[..., LabelingTask]
Say = Callable[..., Annotation]

LABELS = ["退货 return", "发票 invoice", "other"]


def add_drafts(dataset: Dataset, count: int, **values: Any) -> list[Example]:
    """Drafts of texts that have little in common, without labels."""
    start = dataset.examples.count()
    texts = [
        f"{'怎么退货？' if number % 2 else 'Where is my invoice'} {number * 7919} {chr(0x4E00 + number)}"
        for number in range(start, start + count)
    ]
    rows = [
        Example(
            dataset=dataset,
            kind="text",
            content={"text": text},
            external_id=f"row-{start + at}",
            **{"state": "draft", **values},
        )
        for at, text in enumerate(texts)
    ]
    for row in rows:
        row.save()
    return rows


@pytest.fixture
def dataset(in_tenant: Tenant) -> Dataset:
    return create_dataset(name="客服", slug="support", language="zh")


@pytest.fixture
def make_task(dataset: Dataset) -> MakeTask:
    """`make_task(drafts=30, overlap=2)`: a task whose queue is built."""

    def make(*, drafts: int = 30, **settings: Any) -> LabelingTask:
        add_drafts(dataset, drafts)
        settings.setdefault("labels", keyed(LABELS))
        task = create_task(dataset=dataset, name="意图 intents", **settings)
        build_queue(task=task)
        task.refresh_from_db()
        return task

    return make


@pytest.fixture
def person(in_tenant: Tenant) -> Callable[[], User]:
    return lambda: make_member(in_tenant, "annotator")


@pytest.fixture
def say() -> Say:
    """`say(task, ann, item, "other")`: the annotation that is stored."""

    def answer(
        task: LabelingTask, who: User, item: QueueItem, *labels: str, **more: Any
    ) -> Annotation:
        given = Answer(
            client_id=more.pop("client_id", None) or uuid.uuid4(),
            item=item.pk,
            verdict=more.pop("verdict", "accept"),
            labels=list(labels),
            **more,
        )
        return answer_item(task=task, annotator=who, answer=given)[0]

    return answer
