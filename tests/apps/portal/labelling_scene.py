"""Labelling tasks half done: answers that agree and differ, suggestions, disputes, a review, a fresh one.
For the browser and the screenshots."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

from labeling.models import Dataset, Example, LabelingTask, QueueItem
from labeling.queue.answers import Answer, answer_item
from labeling.queue.building import build_queue
from labeling.queue.leases import take_items
from labeling.queue.setup import create_task, keyed
from labeling.queue.suggestions import store_suggestions
from labeling.services import create_dataset
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member

LABELS = ["Delivery 配送", "Refund 退款", "Invoice 发票", "Product 商品", "Other 其他"]
GUIDELINE = """# What does the customer want?

Choose by what would settle the matter, not by the first word.

- **Refund**: the money should come back, whatever the reason.
- **Delivery**: where a parcel is, when it comes, where it should go.
- `Other` is for what none of us can answer.

## 客户想要什么？

按“怎样才能解决问题”来选，而不是看第一个词。
"""
TEXTS = [
    ("Where is my parcel? It was to arrive on Monday and the shop at the corner knows nothing.", 0),
    ("我上周买的水壶漏水，能退款吗？发票还在，包装已经扔了。", 1),
    ("Please send the invoice again, with the tax number of our company on it.", 2),
    ("这个型号的滤芯多久需要更换一次？说明书上没有写。", 3),
    ("I returned the shoes three weeks ago and have not seen my money since.", 1),
    ("Can the courier leave it with the neighbours on the second floor?", 0),
    ("你们周末营业吗？", 4),
    ("The lamp flickers as soon as it is warm. Is that a fault?", 3),
]


@dataclass(frozen=True)
class Labelling:
    half: LabelingTask
    fresh: LabelingTask
    review: LabelingTask


def tell(tenant: Tenant) -> Labelling:
    with tenant_scope(tenant):
        people = [
            make_member(
                tenant, "annotator", name=name, email=f"{name.split()[0].lower()}@example.com"
            )
            for name in ("Lin 林晓", "Omar Haddad", "Zofia Nowak")
        ]
        questions = _dataset("Questions to label", "to-label", 48)
        half = _task(questions, "What do customers want? 客户意图", overlap=2, gold_count=4)
        chance = random.Random(4)
        for person in people:
            for item in take_items(task=half, annotator=person, count=20):
                wish = _wish(item)
                if chance.random() < 0.22:
                    wish = LABELS[chance.randrange(len(LABELS))]
                answer = Answer(
                    uuid.uuid4(), item.pk, "accept", [wish], seconds=2 + chance.random() * 6
                )
                answer_item(task=half, annotator=person, answer=answer)
        fresh = _task(_dataset("Mail of October", "october", 150), "October mail 十月来信")
        _suggest(half, chance)
        _suggest(fresh, chance)
        return Labelling(half, fresh, _review())


def _dataset(name: str, slug: str, drafts: int) -> Dataset:
    dataset = create_dataset(name=name, slug=slug, language="en")
    for at in range(drafts + 6):
        text, wish = TEXTS[at % len(TEXTS)]
        gold = at >= drafts
        Example.objects.create(
            dataset=dataset,
            kind="text",
            content={"text": f"{text} (#{1000 + at})"},
            external_id=f"mail-{at}",
            state="accepted" if gold else "draft",
            labels=[LABELS[wish]] if gold else [],
        )
    return dataset


def _task(dataset: Dataset, name: str, **settings: int) -> LabelingTask:
    task = create_task(
        dataset=dataset,
        name=name,
        labels=keyed(LABELS),
        guideline=GUIDELINE,
        suggester="support",
        gold_share=10,
        **settings,
    )
    build_queue(task=task)
    task.refresh_from_db()
    return task


def _wish(item: QueueItem) -> str:
    text = item.example.content["text"]
    return next(LABELS[wish] for words, wish in TEXTS if text.startswith(words))


def _suggest(task: LabelingTask, chance: random.Random) -> None:
    rows = list(QueueItem.objects.filter(task=task).select_related("example"))
    found = {}
    for item in rows:
        scores = {label: -4 - chance.random() * 3 for label in LABELS}
        scores[_wish(item)] = -0.3 - chance.random() * 4
        found[item] = scores
    store_suggestions(model="acme.support@v4-1f2e3d4c", digest="d" * 64, logprobs=found)


def _review() -> LabelingTask:
    dataset = create_dataset(name="Answers to check", slug="to-check")
    for at in range(12):
        Example.objects.create(
            dataset=dataset,
            kind="chat",
            content={
                "messages": [
                    {"role": "user", "content": f"Do you measure for free? ({at})"},
                    {"role": "assistant", "content": "Yes. We measure first, at no cost. 谢谢！"},
                ]
            },
            external_id=f"chat-{at}",
        )
    task = create_task(dataset=dataset, name="Are our answers right?", mode="review", labels=[])
    build_queue(task=task)
    return task
