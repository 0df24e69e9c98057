"""Articles, inboxes, keys that vouch, contacts and questions over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from apps.chatbot.answering import asking
from apps.chatbot.models import Article, Contact, IdentityKey, Question
from labeling import work
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.makers import make_inbox

pytestmark = pytest.mark.django_db
RETURN = {"title": "退货要多久？", "body": "收到后七天内可以退货。", "language": "zh"}


def test_an_article_is_written_published_changed_and_archived(api: Api) -> None:
    made = api("post", "articles/", RETURN | {"questions": ["怎么退"], "tags": ["售后"]}, 201)
    assert (made["state"], made["newest"], made["published"]) == ("draft", 1, None)
    place = f"articles/{made['id']}/"
    assert api("get", place) == made
    assert api("post", f"{place}publish/", {})["published"] == 1
    changed = api("patch", place, {"body": "收到后十天内可以退货。", "seen": 1})
    assert (changed["newest"], changed["published"]) == (2, 1)
    assert (changed["questions"], changed["language"]) == (["怎么退"], "zh")
    overtaken = api("patch", place, {"body": "别的", "seen": 1}, 409)
    assert overtaken["code"] == "article_changed"
    assert api("post", f"{place}publish/", {"version": 9}, 404)["errors"][0]["field"] == "version"
    assert api("post", f"{place}publish/", {})["published"] == 2
    versions = api("get", f"article-versions/?article={made['id']}")["items"]
    assert [one["number"] for one in versions] == [2, 1]
    assert "body" not in versions[0]
    assert api("get", f"article-versions/{versions[1]['id']}/")["body"] == RETURN["body"]
    assert api("post", f"{place}archive/", {})["state"] == "archived"
    (listed,) = api("get", "articles/?state=archived&language=zh")["items"]
    assert "body" not in listed


def test_an_id_of_the_source_is_there_once_a_language(api: Api, tenant: Tenant) -> None:
    first = api("post", "articles/", RETURN | {"external_id": "faq-1"}, 201)
    again = api("post", "articles/", RETURN | {"external_id": "faq-1"}, 409)
    assert again["code"] == "article_exists"
    english = {"title": "How long?", "body": "Seven days.", "translation_of": first["id"]}
    assert api("post", "articles/", english | {"external_id": "faq-1"}, 201)["language"] == "en"
    assert len(api("get", "articles/?external_id=faq-1")["items"]) == 2
    with tenant_scope(tenant):
        assert Article.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"body": ""}, "body"),
        ({"title": "题" * 301}, "title"),
        ({"language": "Chinese!"}, "language"),
        ({"questions": "怎么退"}, "questions"),
        ({"questions": [["怎么退"]]}, "questions"),
        ({"translation_of": str(uuid4())}, "translation_of"),
        ({"state": "published"}, "state"),
    ],
)
def test_what_is_no_article_is_refused_by_its_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    status = 404 if field == "translation_of" else 400
    refused = api("post", "articles/", RETURN | change, status)
    assert refused["errors"][0]["field"].split(".")[0] == field


def test_an_inbox_is_made_and_its_rules_change(api: Api, tenant: Tenant) -> None:
    body = {"name": "官网", "allowed_origins": ["https://商店.example/"], "language": "zh-hans"}
    made = api("post", "inboxes/", body | {"theme": {"accent": "#2c50d0"}}, 201)
    (origin,) = made["allowed_origins"]
    assert origin.startswith("https://xn--")
    place = f"inboxes/{made['id']}/"
    changed = api("patch", place, {"bot_enabled": False, "theme": {"position": "left"}})
    assert (changed["bot_enabled"], changed["name"]) == (False, "官网")
    assert changed["theme"] == {"accent": "#2c50d0", "position": "left"}
    assert api("get", place) == changed
    assert [one["id"] for one in api("get", "inboxes/")["items"]] == [made["id"]]
    bad = api("patch", place, {"allowed_origins": ["*"]}, 400)
    assert (bad["code"], bad["errors"][0]["field"]) == ("origin_invalid", "allowed_origins")
    with tenant_scope(tenant):
        said = AuditEntry.objects.filter(action__startswith="inbox.").order_by("created_at")
        assert list(said.values_list("action", flat=True)) == [
            "inbox.created", "inbox.bot_off", "inbox.changed",
        ]  # fmt: skip


def test_a_key_that_vouches_is_shown_once_and_retired(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        inbox = make_inbox()
    made = api("post", "identity-keys/", {"inbox": str(inbox.pk)}, 201)
    with tenant_scope(tenant):
        assert made["secret"] == IdentityKey.objects.get().secret
    (listed,) = api("get", f"identity-keys/?inbox={inbox.pk}")["items"]
    assert "secret" not in listed
    api("post", "identity-keys/", {"inbox": str(inbox.pk)}, 201)
    assert api("post", "identity-keys/", {"inbox": str(inbox.pk)}, 409)["code"] == "too_many_keys"
    api("delete", f"identity-keys/{made['id']}/", status=204)
    assert api("get", f"identity-keys/{made['id']}/")["retired_at"]


def test_a_contact_is_labelled_and_stays_who_they_are(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        contact = Contact.objects.create(external_id="u-17", name="李雷")
    place = f"contacts/{contact.pk}/"
    changed = api("patch", place, {"name": "李雷（老客户）", "attributes": {"等级": "金"}})
    assert (changed["name"], changed["attributes"]) == ("李雷（老客户）", {"等级": "金"})
    assert changed["is_verified"]
    refused = api("patch", place, {"external_id": "u-18"}, 400)
    assert refused["errors"][0]["field"] == "external_id"
    many = {str(n): "x" for n in range(51)}
    assert api("patch", place, {"attributes": many}, 400)["code"] == "too_many_attributes"
    assert len(api("get", "contacts/?external_id=u-17")["items"]) == 1


def test_a_question_is_answered_by_a_worker_as_a_visitors_would_be(
    api: Api, tenant: Tenant
) -> None:
    made = api("post", "articles/", RETURN | {"is_curated": True}, 201)
    api("post", f"articles/{made['id']}/publish/", {})
    with tenant_scope(tenant):
        inbox = make_inbox()
    asked = api("post", "questions/", {"inbox": str(inbox.pk), "text": "退货要多久？"}, 201)
    assert asked["state"] == "queued"
    with system_scope("test: a worker"):
        row = work.next_waiting()
    with tenant_scope(tenant):
        assert row is not None
        work.carry_out(row)
    told = api("get", f"questions/{asked['id']}/")
    assert (told["state"], told["outcome"], told["answer"]) == ("done", "curated", RETURN["body"])
    assert told["passages"][0]["article"] == made["id"]
    with tenant_scope(tenant):
        asking.ask_question(inbox=inbox, text="转人工")
        work.carry_out(Question.objects.get(text="转人工"))
        assert Question.objects.get(text="转人工").handoff == "customer_request"
        Question.objects.update(created_at="2020-01-01T00:00:00Z")
    with system_scope("test: beat"):
        assert asking.forget_old() == 2


def test_each_door_asks_for_its_right(key_for: Callable[..., Api], tenant: Tenant) -> None:
    with tenant_scope(tenant):
        inbox, contact = make_inbox(), Contact.objects.create(name="李雷")
    viewer = key_for("view")
    for method, path in (
        ("post", "inboxes/"), ("patch", f"inboxes/{inbox.pk}/"), ("get", "identity-keys/"),
        ("post", "identity-keys/"), ("post", "articles/"), ("patch", f"contacts/{contact.pk}/"),
        ("post", "questions/"),
    ):  # fmt: skip
        viewer(method, path, {}, 403)
    for path in ("inboxes/", "articles/", "contacts/", "conversations/", "feedback/"):
        viewer("get", path)
