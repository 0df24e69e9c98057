"""The desk's search: by name, address and words, in either language, narrowed by inbox and agent."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Contact, Conversation
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.portal import desk_scene
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("李雷", "waiting"),
        ("LI@EXAMPLE", "waiting"),
        ("破例", "waiting"),
        ("老客户", "waiting"),
        ("退货 七天内", "waiting"),
        ("öberg", "mine"),
        ("ÖBERG", "mine"),
        ("Parcel carrier", "mine"),
        ("ｐａｒｃｅｌ", "mine"),
        ("收到了", "solved"),
        ("measure", "with_bot"),
        ("破例 parcel", ""),
        ("%", ""),
        ("_", ""),
    ],
)
def test_conversations_are_found_by_name_address_and_words(
    scene: desk_scene.Desk, tenant: Tenant, asked: str, found: str
) -> None:
    with tenant_scope(tenant):
        rows = list(Conversation.objects.about(asked))
    assert rows == ([getattr(scene, found)] if found else [])


def test_the_page_shows_where_it_stands_and_keeps_what_was_asked(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    page = browser.get(at(tenant, "desk/?q=收到了"))
    text = text_of(page)
    assert "All open 0 Snoozed 0 Resolved 1" in text
    assert "韩梅梅" in text
    assert "谢谢，收到了" in text
    assert "李雷" not in text
    row = f"/desk/{scene.solved.pk}/?show=resolved&amp;q=%E6%94%B6%E5%88%B0%E4%BA%86"
    assert row in page.content.decode()
    opened = browser.get(at(tenant, f"desk/{scene.solved.pk}/?show=resolved&q=收到了"))
    assert f"{row.rpartition('/')[2]}" in opened.content.decode()
    assert "Nothing is like this" in text_of(browser.get(at(tenant, "desk/?q=没有这样的话")))


def test_what_stands_deep_in_a_message_is_cut_out(tenant: Tenant, browser: Client) -> None:
    with tenant_scope(tenant):
        ask(make_conversation(), "前面的话" * 40 + "破例")
    assert re_found(text_of(browser.get(at(tenant, "desk/?q=破例"))))


def re_found(text: str) -> bool:
    return "…" in text and "破例" in text.partition("…")[2]


def test_it_is_narrowed_by_inbox_and_by_agent(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, agent: User
) -> None:
    with tenant_scope(tenant):
        shop = make_inbox(name="门店")
        other = make_conversation(shop, contact=Contact.objects.create(name="赵敏"))
        ask(other, "几点关门？")
    narrowed = text_of(browser.get(at(tenant, f"desk/?show=open&inbox={shop.pk}")))
    assert "赵敏" in narrowed
    assert "Jane" not in narrowed
    mine = text_of(browser.get(at(tenant, f"desk/?show=open&assignee={agent.pk}")))
    assert "Jane" in mine
    assert "赵敏" not in mine
    nobodys = text_of(browser.get(at(tenant, "desk/?show=open&assignee=none")))
    assert "Jane" not in nobodys
    assert "赵敏" in nobodys


@pytest.mark.parametrize("odd", ["inbox=x", "assignee=x", "show=x", "page=x", "q=" + "长" * 300])
def test_what_is_wrong_in_the_address_is_not_looked_for(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, odd: str
) -> None:
    page = browser.get(at(tenant, f"desk/?{odd}"))
    assert page.status_code == 200
    assert "李雷" in text_of(page)


def test_the_palette_finds_conversations_of_this_company_alone(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    other = make_tenant("other")
    desk_scene.tell(other, make_member(other, "agent", email="x@example.com"))
    page = browser.get(at(tenant, "find/?q=破例"), headers={"accept": "application/json"})
    (group,) = [one for one in page.json()["groups"] if one["label"] == "Conversations"]
    assert [hit["label"] for hit in group["hits"]] == ["李雷"]
    assert group["hits"][0]["url"] == at(tenant, f"desk/{scene.waiting.pk}/")


def test_a_search_asks_a_bounded_number_of_questions(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, django_assert_max_num_queries: object
) -> None:
    with tenant_scope(tenant):
        for _number in range(5):
            services.hand_off(conversation=make_conversation(), reason="customer_request")
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        browser.get(at(tenant, "desk/?q=退货"))
