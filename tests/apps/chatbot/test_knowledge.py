"""What is published is found within the next question; what is withdrawn is not; tenants share nothing."""

from __future__ import annotations

import pytest

from apps.chatbot.answering.understanding import language_of
from apps.chatbot.models import Passage
from apps.chatbot.passages import MOST_CHARACTERS, divided
from apps.chatbot.retrieval import search
from apps.chatbot.services import knowledge
from common.errors import ApplicationError
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

pytestmark = pytest.mark.django_db

ARTICLES = [
    ("What does a building permit cost?", "The fee is 25,000 to 50,000 SEK for a house.", "en"),
    ("How long does a building permit take?", "The municipality has ten weeks to decide.", "en"),
    ("Do you measure for free?", "We measure first, at no cost, and send a written offer.", "en"),
    ("退换货政策是什么？", "签收后七天内无理由退货，生鲜除外。", "zh-hans"),
    ("怎么开发票？", "在订单页面点击“申请发票”，电子发票会发到您的邮箱。", "zh-hans"),
    ("配送需要多久？", "一般三到五个工作日送达，偏远地区七天。", "zh-hans"),
]


def publish(title: str, body: str, language: str = "en") -> None:
    article = knowledge.write_article(title=title, body=body, language=language)
    knowledge.publish_article(article=article)


def publish_all() -> None:
    for title, body, language in ARTICLES:
        publish(title, body, language)


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("how much is the fee for permission to build", "What does a building permit cost?"),
        ("when will the municipality decide on my permit", "How long does a building permit take?"),
        ("is measuring free of charge?", "Do you measure for free?"),
        ("买的东西不喜欢能退吗", "退换货政策是什么？"),
        ("我要发票，怎么申请", "怎么开发票？"),
        ("几天能送到", "配送需要多久？"),
    ],
)
def test_a_question_in_other_words_finds_its_article(
    in_tenant: Tenant, question: str, title: str
) -> None:
    publish_all()
    found = search(question, language=language_of(question))
    assert found[0].passage.version.article.title == title


@pytest.mark.parametrize(
    ("asked", "then", "title"),
    [
        (
            "How long does a building permit take?",
            "And what does it cost?",
            "What does a building permit cost?",
        ),
        (
            "What does a building permit cost?",
            "And how long does it take?",
            "How long does a building permit take?",
        ),
        ("配送需要多久？", "那开发票呢？", "怎么开发票？"),
    ],
)
def test_a_question_that_leans_on_another_does_not_find_the_answer_to_that_again(
    in_tenant: Tenant, asked: str, then: str, title: str
) -> None:
    publish_all()
    found = search(then, leans_on=asked, language=language_of(asked))
    assert found[0].passage.version.article.title == title


@pytest.mark.parametrize(
    ("asked", "then", "title"),
    [
        ("What does the Ember cost?", "and how tall is it?", "How tall is the Ember?"),
        ("How tall is the Orbit?", "what does it cost?", "What does the Orbit cost?"),
        ("晨曦台灯多少钱？", "它有多高？", "晨曦台灯有多高？"),
    ],
)
def test_a_question_that_leans_on_another_stays_with_its_subject(
    in_tenant: Tenant, asked: str, then: str, title: str
) -> None:
    for name in ("Ember", "Orbit", "Fjord", "Moss", "Quill"):
        for question, fact in (("How tall is the {}?", "{} is 40 cm tall."),
                               ("What does the {} cost?", "{} costs 890 SEK."),
                               ("Which bulb does the {} take?", "{} takes E27.")):  # fmt: skip
            publish(question.format(name), fact.format(name), "en")
    for name in ("晨曦台灯", "月光吊灯", "松木壁灯"):
        publish(f"{name}有多高？", f"{name}高四十厘米。", "zh-hans")
        publish(f"{name}多少钱？", f"{name}售价八百九十元。", "zh-hans")
    found = search(then, leans_on=asked, language=language_of(asked))
    assert found[0].passage.version.title == title


def test_what_is_published_is_found_by_the_next_question(in_tenant: Tenant) -> None:
    assert search("permit") == []
    publish_all()
    assert search("permit fee")
    article = search("permit fee")[0].passage.version.article
    knowledge.write_article(title=article.title, body="Now it costs 60,000 SEK.", article=article)
    assert "25,000" in search("permit fee")[0].passage.text
    knowledge.publish_article(article=article)
    assert "60,000" in search("permit fee")[0].passage.text
    knowledge.archive_article(article=article)
    assert all(one.passage.version.article != article for one in search("permit fee"))
    assert Passage.objects.filter(version__article=article).count() == 2, "cited texts stay"


def test_a_question_about_nothing_here_finds_nothing(in_tenant: Tenant) -> None:
    publish_all()
    assert search("xylophone") == []
    assert search("  ") == []


def test_another_tenants_knowledge_is_never_found(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        publish_all()
        assert search("permit")
    with tenant_scope(other_tenant):
        assert search("permit") == []
        publish("Our secret permit", "Nobody else may read this.")
    with tenant_scope(tenant):
        assert all("secret" not in one.passage.version.title for one in search("secret permit"))


@pytest.mark.parametrize(("title", "body"), [("", "x"), ("x", "  "), ("x", "字" * 200_001)])
def test_an_article_wants_a_title_and_a_text_that_fits(
    in_tenant: Tenant, title: str, body: str
) -> None:
    with pytest.raises(ApplicationError):
        knowledge.write_article(title=title, body=body)


def test_an_article_is_cut_at_its_headings_and_between_sentences() -> None:
    body = "Intro.\n\n# Fees\n" + "A fee is due. " * 120 + "\n\n## 退款\n" + "可以退款。" * 300
    pieces = divided(body, title="Permits")
    assert [p.heading for p in pieces if p.text.startswith("Intro")] == ["Permits"]
    assert {p.heading for p in pieces} == {"Permits", "Fees", "退款"}
    assert all(len(p.text) <= MOST_CHARACTERS for p in pieces)
    assert "".join(p.text for p in pieces if p.heading == "退款").count("可以退款") == 300


def test_a_line_that_only_looks_like_a_heading_is_code() -> None:
    pieces = divided("```\n# a comment\n```", title="Shell")
    assert [p.heading for p in pieces] == ["Shell"]


def test_the_title_of_a_draft_finds_nothing_yet(in_tenant: Tenant) -> None:
    article = knowledge.write_article(title="保修期多长", body="外墙保修十年。", language="zh")
    knowledge.publish_article(article=article)
    knowledge.write_article(title="宠物政策", body="店内欢迎宠物。", language="zh", article=article)
    knowledge.raise_revision()
    assert not search("宠物政策")
    assert search("保修期多长")
