"""Questions without an article on their page, and the article that begins with their words."""

from __future__ import annotations

import pytest

from apps.chatbot.models import Article, Gap
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import unanswered
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_knowledge_pages import at, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def gap(tenant: Tenant) -> Gap:
    with tenant_scope(tenant):
        inbox = make_inbox()
        unanswered(
            inbox, "冬天可以刷外墙吗？", "您好，冬天可以刷外墙吗", "<b>门</b>可以定做吗，有样品吗"
        )
        return Gap.objects.open().order_by("-asked")[0]


def test_what_is_asked_most_stands_first_and_begins_an_article(
    tenant: Tenant, gap: Gap, door: Door
) -> None:
    client = door("annotator")
    page = client.get(at(tenant, "unanswered/"))
    text = text_of(page)
    assert text.index("冬天可以刷外墙吗") < text.index("可以定做吗")
    assert "<b>门</b>" not in page.content.decode()
    editor = client.get(at(tenant, f"new/?gap={gap.pk}")).content.decode()
    assert 'value="冬天可以刷外墙吗"' in editor
    assert "冬天可以刷外墙吗？</textarea>" in editor
    sent = {
        "title": "冬天可以刷外墙吗",
        "language": "zh",
        "body": "高于五度时可以。",
        "do": "publish",
    }
    client.post(at(tenant, f"new/?gap={gap.pk}"), sent)
    with tenant_scope(tenant):
        assert Article.objects.get().questions == []


def test_a_matter_is_dismissed_by_who_may_write(tenant: Tenant, gap: Gap, door: Door) -> None:
    path = at(tenant, f"unanswered/{gap.pk}/dismiss/")
    assert door("viewer").post(path).status_code == 403
    assert "Dismiss" not in text_of(door("viewer").get(at(tenant, "unanswered/")))
    page = door("annotator").post(path, follow=True)
    assert "Dismissed." in text_of(page)
    assert "冬天" not in text_of(page)
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="gap.dismissed").exists()


def test_a_page_without_any_says_so_and_odd_ids_begin_an_empty_article(
    tenant: Tenant, other_tenant: Tenant, door: Door
) -> None:
    client = door("annotator")
    assert "No question is without an article." in text_of(client.get(at(tenant, "unanswered/")))
    with tenant_scope(other_tenant):
        unanswered(make_inbox(), "冬天可以刷外墙吗？")
        foreign = Gap.objects.get().pk
    for odd in ("无", "x" * 500, str(foreign)):
        page = client.get(at(tenant, "new/"), {"gap": odd})
        assert page.status_code == 200
        assert "冬天" not in page.content.decode()
    assert client.post(at(tenant, f"unanswered/{foreign}/dismiss/")).status_code == 404


def test_the_list_costs_the_same_for_one_and_for_many(
    tenant: Tenant, gap: Gap, door: Door, django_assert_max_num_queries: object
) -> None:
    with tenant_scope(tenant):
        inbox = gap.inbox
        unanswered(inbox, "窗户能换吗，多少钱？", "屋顶漏水你们修不修？", "楼梯的木头是什么木？")
    client = door("viewer")
    client.get(at(tenant, "unanswered/"))
    with django_assert_max_num_queries(16):  # type: ignore[operator]
        client.get(at(tenant, "unanswered/"))
