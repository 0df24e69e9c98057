"""What is said in other words is found by its meaning, as soon as it is read; without, by words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from apps.chatbot import retrieval, tasks
from apps.chatbot.answering.confidence import confidence_of
from apps.chatbot.models import Passage
from apps.chatbot.retrieval import meaning, search
from apps.chatbot.services import knowledge, read_passages
from gpt_core import client
from gpt_core.client import EngineUnavailableError
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

pytestmark = pytest.mark.django_db

# Words that mean the same, as a model would know it.
CONCEPTS = (
    ("roof", "tiles", "屋顶"),
    ("cat", "kitten", "猫"),
    ("invoice", "bill", "发票", "报销"),
)


def vector_of(text: str) -> list[float]:
    counts = [sum(word in text.lower() for word in concept) + 0.01 for concept in CONCEPTS]
    length = math.hypot(*counts)
    return [count / length for count in counts]


@pytest.fixture
def asked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model that knows three matters; the texts it was asked for."""
    settings.GPT_EMBEDDER = {"multilingual-e5-small": "http://127.0.0.1:1"}
    texts_asked: list[str] = []

    def embed(texts: Sequence[str], *, seconds: float | None = None) -> list[list[float]]:
        texts_asked.extend(texts)
        return [vector_of(text) for text in texts]

    monkeypatch.setattr(client, "embed", embed)
    return texts_asked


def publish(title: str, body: str, **details: Any) -> Any:
    article = knowledge.write_article(title=title, body=body, **details)
    return knowledge.publish_article(article=article)


def titles(question: str) -> list[str]:
    return [one.passage.version.title for one in search(question)]


def test_other_words_with_the_same_meaning_are_found_once_they_are_read(
    in_tenant: Tenant, asked: list[str]
) -> None:
    publish("When must tiles be laid anew?", "Every forty years.")
    publish("怎么开发票？", "在订单页面点击申请。", language="zh-hans")
    assert titles("roof") == []
    assert read_passages() == 2
    assert titles("roof")[0] == "When must tiles be laid anew?"
    assert titles("报销")[0] == "怎么开发票？"
    assert "passage: 怎么开发票？\n在订单页面点击申请。" in asked
    assert "query: 怎么开发票？" in asked


def test_new_words_count_at_once_and_their_meaning_when_it_is_read(
    in_tenant: Tenant, asked: list[str]
) -> None:
    article = publish("Pets", "A kitten may come along.")
    read_passages()
    assert titles("cat") == ["Pets"]
    knowledge.write_article(title="Pets", body="Goldfish may come along.", article=article)
    knowledge.publish_article(article=article)
    assert titles("goldfish") == ["Pets"]
    assert titles("cat") == []
    read_passages()
    assert search("goldfish")[0].meaning is not None


def test_another_way_to_ask_is_read_when_the_article_is_published_again(
    in_tenant: Tenant, asked: list[str]
) -> None:
    article = publish("Payments", "We send it by mail.")
    read_passages()
    assert max((one.asked or 0) for one in search("bill payments")) < 0.9
    article.questions = ["Where is my invoice?"]
    article.save()
    knowledge.publish_article(article=article)
    assert read_passages() == 1
    assert (search("bill")[0].asked or 0) > 0.9


def test_while_the_engine_is_away_questions_are_looked_up_by_words(
    in_tenant: Tenant, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("Roof repairs", "Tiles are laid anew.")
    read_passages()

    def away(texts: Sequence[str], *, seconds: float | None = None) -> list[list[float]]:
        raise EngineUnavailableError

    monkeypatch.setattr(client, "embed", away)
    found = search("roof repairs")
    assert [one.passage.version.title for one in found] == ["Roof repairs"]
    assert found[0].meaning is None
    assert 0 < confidence_of(found) < 1
    publish("Invoices", "By mail.")
    assert tasks.read_passages() == 0, "tried again later, and nothing is raised"


def test_the_worker_reads_what_any_tenant_published_and_nothing_twice(
    tenant: Tenant, other_tenant: Tenant, asked: list[str]
) -> None:
    for one in (tenant, other_tenant):
        with tenant_scope(one):
            publish("Roof", "Tiles.")
    assert tasks.read_passages() == 2
    assert tasks.read_passages() == 0
    with system_scope("looks at the passages of both"):
        assert set(Passage.objects.values_list("embedded_by", flat=True)) == {
            "multilingual-e5-small"
        }


def test_a_change_of_model_has_everything_read_anew(
    in_tenant: Tenant, asked: list[str], settings: Any
) -> None:
    publish("Roof", "Tiles.")
    read_passages()
    settings.GPT_EMBEDDER = {"bge-m3": "http://127.0.0.1:1"}
    assert read_passages() == 1


def test_without_a_model_nothing_waits(in_tenant: Tenant, settings: Any) -> None:
    settings.GPT_EMBEDDER = {}
    publish("Roof", "Tiles.")
    assert tasks.read_passages() == 0
    assert meaning.vector_of_question("roof") is None
    assert search("roof")[0].meaning is None


def test_vectors_survive_being_packed() -> None:
    vectors = [[0.5, -0.25, 0.125], [0.0, 1.0, 0.0]]
    assert meaning.unpacked(meaning.packed(vectors)).tolist() == vectors


def test_a_question_covered_by_a_passage_is_surer_than_one_of_foreign_words(
    in_tenant: Tenant,
) -> None:
    publish("How long does a permit take?", "The municipality has ten weeks to decide.")
    publish("配送需要多久？", "一般三到五个工作日送达。", language="zh-hans")
    publish("Opening hours", "From nine to five.")
    near = confidence_of(search("how long does the permit take"))
    far = confidence_of(search("how long is a piano concerto by Rachmaninoff"))
    assert far < near
    assert confidence_of(search("配送要多久")) > confidence_of(search("今天天气多久放晴"))


def test_the_index_keeps_no_more_passages_than_it_may(
    tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.index, "MOST_PASSAGES", 1)
    for one in (tenant, other_tenant):
        with tenant_scope(one):
            publish("Roof", "Tiles.")
            assert titles("roof") == ["Roof"]
    assert set(retrieval.index._kept) == {other_tenant.pk}
