"""Conversations over REST: read, answered once, taken, given, put to sleep, solved and opened again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Answer, Conversation, Feedback, Message
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.portal import desk_scene
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def conversation(tenant: Tenant) -> Conversation:
    with tenant_scope(tenant):
        found = make_conversation()
        ask(found, "可以退货吗？")
    return found


def test_conversations_are_listed_and_filtered(api: Api, tenant: Tenant) -> None:
    desk = desk_scene.tell(tenant, make_member(tenant, "agent"))
    assert len(api("get", "conversations/")["items"]) == 4
    for query, found in (
        ("state=resolved", desk.solved),
        ("owner=people&state=open&limit=2", desk.waiting),
        (f"contact={desk.mine.contact_id}", desk.mine),
        (f"assignee={desk.mine.assignee_id or uuid4()}", desk.mine),
    ):
        ids = [one["id"] for one in api("get", f"conversations/?{query}")["items"]]
        assert str(found.pk) in ids or query.startswith("assignee"), query
    later = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert api("get", f"conversations/?updated_after={later}")["items"] == []
    told = api("get", f"conversations/{desk.waiting.pk}/")
    assert (told["owner"], told["state"]) == ("people", "open")
    assert [one["reason"] for one in told["handoffs"]] == ["customer_request"]


def test_messages_come_from_behind_a_number_with_what_they_rest_on(
    api: Api, tenant: Tenant
) -> None:
    desk = desk_scene.tell(tenant, make_member(tenant, "agent"))
    place = f"conversations/{desk.waiting.pk}/messages/"
    first = api("get", f"{place}?limit=2")
    asked, answered = first["items"]
    assert (asked["role"], asked["text"], asked["answer"]) == ("user", "可以退货吗？", None)
    assert answered["answer"]["outcome"] == "generated"
    (cited,) = answered["answer"]["citations"]
    assert (cited["number"], cited["title"], cited["version"]) == (1, "退货政策", 1)
    rest = api("get", f"{place}?after={first['after']}")
    assert [one["private"] for one in rest["items"]] == [False, True]
    assert api("get", f"{place}?after={rest['after']}") == {"items": [], "after": rest["after"]}


def test_a_note_is_shown_to_whoever_may_answer_alone(
    key_for: Callable[..., Api], tenant: Tenant, conversation: Conversation
) -> None:
    with tenant_scope(tenant):
        services.post_message(conversation=conversation, role="agent", text="老客户", private=True)
    place = f"conversations/{conversation.pk}/messages/"
    assert len(key_for("view")("get", place)["items"]) == 1
    assert len(key_for("view", "answer")("get", place)["items"]) == 2


def test_a_reply_is_said_once_and_by_whom_the_key_is(
    api: Api, tenant: Tenant, conversation: Conversation
) -> None:
    place = f"conversations/{conversation.pk}/messages/"
    sent = {"text": "可以的，七天内。", "client_id": str(uuid4())}
    first = api("post", place, sent, 201)
    assert (first["role"], first["author"]) == ("agent", str(api.owner.pk))
    assert api("post", place, sent, 200) == first
    reused = api("post", place, sent | {"text": "别的"}, 409)
    assert reused["code"] == "message_id_reused"
    told = api("get", f"conversations/{conversation.pk}/")
    assert (told["owner"], told["assignee"]) == ("people", str(api.owner.pk))
    with tenant_scope(tenant):
        assert Message.objects.filter(role="agent").count() == 1
        assert Answer.objects.get().state == "withdrawn"


def test_a_conversation_goes_its_way(api: Api, tenant: Tenant, conversation: Conversation) -> None:
    agent = make_member(tenant, "agent", name="李娜")
    place = f"conversations/{conversation.pk}"
    assert api("post", f"{place}/take-over/", {})["assignee"] == str(api.owner.pk)
    given = api("post", f"{place}/assign/", {"assignee": str(agent.pk)})
    assert given["assignee"] == str(agent.pk)
    assert api("post", f"{place}/assign/", {"assignee": None})["assignee"] is None
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    assert api("post", f"{place}/snooze/", {"until": until})["state"] == "snoozed"
    solved = api("post", f"{place}/resolve/", {})
    assert (solved["state"], bool(solved["resolved_at"])) == ("resolved", True)
    again = api("post", f"{place}/reopen/", {})
    assert (again["state"], again["resolved_at"]) == ("open", None)
    assert again["waiting_since"]
    assert (again["due_at"], again["overdue_at"]) == (None, None)
    assert api("post", f"{place}/reopen/", {}) == again
    back = api("post", f"{place}/hand-back/", {})
    assert (back["owner"], back["state"]) == ("bot", "pending")
    with tenant_scope(tenant):
        actions = AuditEntry.objects.filter(action__startswith="conversation.")
        assert set(actions.values_list("actor_kind", flat=True)) == {"key"}


def test_what_the_bot_solved_is_opened_for_people(
    api: Api, tenant: Tenant, conversation: Conversation
) -> None:
    with tenant_scope(tenant):
        services.change_state(conversation=conversation, state="resolved")
    told = api("post", f"conversations/{conversation.pk}/reopen/", {})
    assert (told["state"], told["owner"], told["resolved_at"]) == ("open", "people", None)


@pytest.mark.parametrize(
    ("act", "body", "status", "code"),
    [
        ("assign", {"assignee": str(uuid4())}, 404, "not_found"),
        ("snooze", {"until": "2020-01-01T00:00:00Z"}, 400, "snoozed_into_the_past"),
        ("snooze", {"until": "明天"}, 400, "invalid"),
        ("resolve", {"why": "x"}, 400, "invalid"),
        ("messages", {"text": "  "}, 400, "invalid"),
        ("messages", {"text": "字" * 8001}, 400, "invalid"),
        ("messages", {"text": "您好", "role": "user"}, 400, "invalid"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    api: Api, conversation: Conversation, act: str, body: Any, status: int, code: str
) -> None:
    assert api("post", f"conversations/{conversation.pk}/{act}/", body, status)["code"] == code


def test_nobody_is_given_what_they_may_not_answer(
    api: Api, tenant: Tenant, conversation: Conversation
) -> None:
    viewer = make_member(tenant, "viewer")
    body = {"assignee": str(viewer.pk)}
    refused = api("post", f"conversations/{conversation.pk}/assign/", body, 400)
    assert refused["code"] == "not_an_agent"


def test_a_key_whose_maker_left_speaks_for_nobody(
    api: Api, tenant: Tenant, conversation: Conversation
) -> None:
    make_member(tenant, "owner")
    with tenant_scope(tenant):
        api.owner.memberships.all().delete()
    place = f"conversations/{conversation.pk}"
    assert api("post", f"{place}/take-over/", {}, 409)["code"] == "not_an_agent"
    assert api("post", f"{place}/messages/", {"text": "您好"}, 201)["author"] is None


@pytest.mark.parametrize("act", ["messages", "take-over", "assign", "snooze", "resolve", "reopen"])
def test_whoever_may_only_look_says_nothing(
    key_for: Callable[..., Api], conversation: Conversation, act: str
) -> None:
    key_for("view", "manage")("post", f"conversations/{conversation.pk}/{act}/", {}, 403)


def test_thumbs_are_listed(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        conversation = make_conversation(make_inbox())
        message = ask(conversation).message
        Feedback.objects.create(message=message, helpful=False, reason="wrong", comment="不对")
    (one,) = api("get", "feedback/?helpful=false&reason=wrong")["items"]
    assert (one["conversation"], one["comment"]) == (str(conversation.pk), "不对")
    assert api("get", "feedback/?helpful=true")["items"] == []
