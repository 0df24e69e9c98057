"""Knowledge on its pages: looked for, written, read as visitors read it, published, tried out."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from apps.chatbot.models import Article, Inbox
from apps.chatbot.services import knowledge
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

FORM = {"title": "退换货政策", "language": "zh", "body": "签收后**七天内**可以退货。"}


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/knowledge/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


@pytest.fixture
def article(tenant: Tenant) -> Article:
    with tenant_scope(tenant):
        return knowledge.write_article(**FORM)


def editing(article: Article, **changed: Any) -> dict[str, Any]:
    return FORM | {"seen": "1"} | changed


def test_an_article_is_written_published_and_found_by_a_question(
    tenant: Tenant, door: Door
) -> None:
    client = door("annotator")
    page = client.post(at(tenant, "new/"), FORM | {"do": "publish"}, follow=True)
    assert "Published." in text_of(page)
    tried = client.get(at(tenant, "try/"), {"q": "签收后几天内可以退货"})
    assert "The first passage would be shown as it stands." in text_of(tried)
    assert "签收后" in text_of(tried)
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="article.published").exists()


def test_a_draft_answers_nothing(tenant: Tenant, article: Article, door: Door) -> None:
    tried = door("viewer").get(at(tenant, "try/"), {"q": "几天内可以退货"})
    assert "A person would be fetched." in text_of(tried)
    assert "Nothing that is published" in text_of(tried)


def test_whoever_asks_for_a_person_gets_one(tenant: Tenant, door: Door) -> None:
    tried = door("viewer").get(at(tenant, "try/"), {"q": "转人工"})
    assert "asks for a person in so many words" in text_of(tried)


def test_a_question_is_tried_by_the_rules_of_its_inbox(
    tenant: Tenant, article: Article, door: Door
) -> None:
    with tenant_scope(tenant):
        knowledge.publish_article(article=article)
        strict = Inbox.objects.create(name="严格", answer_threshold=1.0)
    asked = {"q": "几天内可以退货", "inbox": str(strict.pk)}
    assert "A person would be fetched." in text_of(door("viewer").get(at(tenant, "try/"), asked))
    asked["inbox"] = str(article.pk)
    assert door("viewer").get(at(tenant, "try/"), asked).status_code == 400


def test_what_is_written_in_an_article_stays_text(tenant: Tenant, door: Door) -> None:
    body = (
        "# 标题\n\n<script>alert(1)</script> [x](javascript:alert(1)) **粗**"
        "\n\n![p](https://evil.example/p.png)"
    )
    page = door("annotator").post(at(tenant, "preview/"), {"body": body}).content.decode()
    assert "<strong>粗</strong>" in page
    assert "<script" not in page
    assert "javascript:" not in page.replace("[x](javascript:alert(1))", "")
    assert "<img" not in page


def test_saving_what_is_published_leaves_the_answers_as_they_are(
    tenant: Tenant, article: Article, door: Door
) -> None:
    with tenant_scope(tenant):
        knowledge.publish_article(article=article)
    client = door("annotator")
    sent = editing(article, body="签收后十四天内可以退货。", do="save")
    page = client.post(at(tenant, f"{article.pk}/"), sent, follow=True)
    assert "changes not published" in text_of(page)
    assert "七天内" in text_of(client.get(at(tenant, "try/"), {"q": "几天内可以退货"}))
    older = client.get(at(tenant, f"{article.pk}/?version=1")).content.decode()
    assert "签收后**七天内**" in older


def test_who_writes_at_the_same_time_is_told_and_loses_nothing(
    tenant: Tenant, article: Article, door: Door
) -> None:
    client = door("annotator")
    with tenant_scope(tenant):
        knowledge.write_article(article=article, title="退换货", body="别人的", language="zh")
    page = client.post(at(tenant, f"{article.pk}/"), editing(article, body="我的文字"))
    assert page.status_code == 409
    assert "Version 2" in text_of(page)
    assert "我的文字" in page.content.decode()
    with tenant_scope(tenant):
        assert article.versions.count() == 2
    again = re.search(r'name="seen" value="(\d+)"', page.content.decode())
    assert again
    client.post(at(tenant, f"{article.pk}/"), editing(article, body="我的文字", seen=again[1]))
    with tenant_scope(tenant):
        bodies = list(article.versions.values_list("body", flat=True))
    assert bodies == ["我的文字", "别人的", FORM["body"]]


def test_the_same_text_again_is_no_new_version(
    tenant: Tenant, article: Article, door: Door
) -> None:
    door("annotator").post(
        at(tenant, f"{article.pk}/"), editing(article, questions="能退吗\n\n能退吗")
    )
    with tenant_scope(tenant):
        assert article.versions.count() == 1
        assert Article.objects.get().questions == ["能退吗"]


def test_an_archived_article_answers_nothing(tenant: Tenant, article: Article, door: Door) -> None:
    with tenant_scope(tenant):
        knowledge.publish_article(article=article)
    client = door("annotator")
    client.post(at(tenant, f"{article.pk}/archive/"))
    assert "A person would be fetched." in text_of(client.get(at(tenant, "try/"), {"q": "退货"}))


def test_articles_are_looked_for_by_words_state_and_language(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        for title, body, language in (
            ("发票", "在订单页面申请", "zh"),
            ("Invoices", "<b>in the order</b>", "en"),
        ):
            made = knowledge.write_article(title=title, body=body, language=language)
        knowledge.publish_article(article=made)
    client = door("viewer")
    assert "Invoices" not in text_of(client.get(at(tenant), {"text": "订单"}))
    assert "发票" not in text_of(client.get(at(tenant), {"language": "en"}))
    assert "发票" not in text_of(client.get(at(tenant), {"state": "published"}))
    assert client.get(at(tenant), {"state": "无", "text": "x" * 500}).status_code == 200
    assert "Nothing is like this" in text_of(client.get(at(tenant), {"text": "nowhere"}))


@pytest.mark.parametrize(
    "odd",
    [
        {"title": ""},
        {"body": " "},
        {"language": "中文"},
        {"body": "x" * 200_001},
        {"questions": "\x00"},
        {"questions": "长" * 10_001},
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    odd: dict[str, str], tenant: Tenant, door: Door
) -> None:
    page = door("annotator").post(at(tenant, "new/"), FORM | odd)
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()


@pytest.mark.parametrize("role", ["viewer", "agent"])
def test_who_may_not_write_reads(role: str, tenant: Tenant, article: Article, door: Door) -> None:
    client = door(role)
    page = client.get(at(tenant, f"{article.pk}/"))
    assert "<strong>七天内</strong>" in page.content.decode()
    assert "article-form" not in page.content.decode()
    for path in ("new/", f"{article.pk}/", f"{article.pk}/archive/"):
        assert client.post(at(tenant, path), FORM).status_code == 403
