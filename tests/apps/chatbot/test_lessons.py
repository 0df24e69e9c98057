"""A company's answers become lessons in answering from its articles, and code knows a refusal again."""

from __future__ import annotations

import random

import pytest

from apps.chatbot.answering.prompts import NOT_HERE, says_not_here
from apps.chatbot.lessons.making import (
    REFUSED_SHARE,
    SHOWN,
    in_a_hurry,
    lesson_of,
    voice_of,
)
from apps.chatbot.models import LessonRun
from apps.chatbot.retrieval import search
from apps.chatbot.retrieval.terms import is_telling, spoken
from apps.chatbot.services import make_lessons
from common.errors import ApplicationError, ConflictError
from labeling.models import Dataset, Example
from labeling.services import create_dataset, write_example
from tenancy.models import Tenant
from tests.apps.chatbot.test_knowledge import ARTICLES, publish_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def history(in_tenant: Tenant) -> Dataset:
    """Every article's question with its text as people wrote it, and one that no article carries."""
    dataset = create_dataset(name="客服", language="zh")
    for number, (question, answer, _language) in enumerate(ARTICLES):
        teach(dataset, f"q{number}", question, answer)
    teach(dataset, "invented", "几天能送到？", "明天 14:35 送到，运费 99 元。")
    return dataset


def teach(dataset: Dataset, key: str, question: str, answer: str, **more: str) -> Example:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return write_example(
        dataset=dataset,
        content={"messages": turns},
        external_id=key,
        **({"state": Example.State.ACCEPTED} | more),
    )


def lessons(run: LessonRun) -> dict[str, Example]:
    return {one.external_id: one for one in run.dataset.examples.all()}


def test_each_answer_gets_the_passage_that_carries_it(history: Dataset) -> None:
    publish_all()
    run = make_lessons(source=history)
    assert run.state == LessonRun.State.DONE
    made = lessons(run)
    assert set(made) == {f"q{number}" for number in range(len(ARTICLES))}
    for number, (question, answer, _language) in enumerate(ARTICLES):
        lesson = made[f"q{number}"]
        asked, said = (one["content"] for one in lesson.content["messages"])
        assert set(spoken(asked)) <= set(spoken(question))
        assert 1 <= len(lesson.passages) <= SHOWN
        carried = any(answer in one["text"] for one in lesson.passages)
        assert said == answer if carried else says_not_here(said)


def test_what_no_article_carries_is_not_taught(history: Dataset) -> None:
    publish_all()
    run = make_lessons(source=history)
    assert "invented" not in lessons(run)
    assert run.counts["not_carried"] == 1
    assert run.counts["read"] == len(ARTICLES) + 1


def test_a_lesson_is_drawn_the_same_again(in_tenant: Tenant) -> None:
    publish_all()
    question, answer, _language = ARTICLES[3]
    found = search(question, most=6)
    assert lesson_of(question, answer, found, key="一") == lesson_of(
        question, answer, found, key="一"
    )


def test_a_share_of_the_lessons_is_in_saying_that_it_is_not_there(in_tenant: Tenant) -> None:
    publish_all()
    question, answer, _language = ARTICLES[0]
    found = search(question, most=6)
    drawn = [lesson_of(question, answer, found, key=str(number)) for number in range(400)]
    refusals = [one for one in drawn if one is not None and one.is_refusal]
    # Five standard deviations of a binomial draw.
    spread = 5 * (400 * REFUSED_SHARE * (1 - REFUSED_SHARE)) ** 0.5
    assert abs(len(refusals) - 400 * REFUSED_SHARE) < spread
    for one in refusals:
        assert one.answer == NOT_HERE["en"]
        assert not any(answer in passage["text"] for passage in one.passages)


@pytest.mark.parametrize(
    "question", ["How long does a building permit take?", "怎么申请电子发票？"]
)
def test_a_lesson_asks_in_other_words_than_the_articles_title(question: str) -> None:
    asked = {in_a_hurry(question, random.Random(number)) for number in range(40)}
    assert len(asked) > 5
    for one in asked:
        assert set(spoken(one)) <= set(spoken(question))
        assert 2 * len(spoken(one)) >= len(spoken(question))
    telling = [word for word in spoken(question) if is_telling(word)]
    kept = sum(word in spoken(one) for one in asked for word in telling)
    assert kept > 0.7 * len(asked) * len(telling)


def test_a_companys_voice_need_not_stand_in_its_articles(in_tenant: Tenant) -> None:
    publish_all()
    said = [
        f"亲爱的顾客，感谢您的耐心等待！{fact}祝您生活愉快，小店敬上。" for _q, fact, _l in ARTICLES
    ]
    question, answer = ARTICLES[5][0], said[5]
    found = search(question, most=6)
    assert lesson_of(question, answer, found, key="1") is None
    assert lesson_of(question, answer, found, key="1", voice=voice_of(said)) is not None


def test_a_corrected_answer_gives_a_corrected_lesson_and_nothing_twice(history: Dataset) -> None:
    publish_all()
    first = make_lessons(source=history)
    source = history.examples.get(external_id="q4")
    source.content["messages"][1]["content"] = "在订单页面申请发票。"
    source.save()
    again = make_lessons(source=history)
    assert again.dataset == first.dataset
    assert (again.counts["new"], again.counts["changed"]) == (0, 1)


def test_what_people_changed_in_a_lesson_stays(history: Dataset) -> None:
    publish_all()
    run = make_lessons(source=history)
    lesson = lessons(run)["q4"]
    lesson.content["messages"][1]["content"] = "由人改过。"
    lesson.edited_at = lesson.created_at
    lesson.save()
    source = history.examples.get(external_id="q4")
    source.content["messages"][1]["content"] = "在订单页面申请发票。"
    source.save()
    make_lessons(source=history)
    lesson.refresh_from_db()
    assert lesson.content["messages"][1]["content"] == "由人改过。"


def test_drafts_teach_nothing(history: Dataset) -> None:
    publish_all()
    teach(history, "draft", "能开发票吗？", ARTICLES[4][1], state=Example.State.DRAFT)
    assert "draft" not in lessons(make_lessons(source=history))


def test_without_articles_there_are_no_lessons(history: Dataset) -> None:
    with pytest.raises(ApplicationError) as refused:
        make_lessons(source=history)
    assert refused.value.code == "no_articles"


def test_lessons_are_made_by_one_at_a_time(history: Dataset) -> None:
    publish_all()
    run = make_lessons(source=history)
    LessonRun.objects.filter(pk=run.pk).update(state=LessonRun.State.QUEUED)
    with pytest.raises(ConflictError):
        make_lessons(source=history)
