"""What a visitor is asked: before the chat, while nobody is there, and when it is over."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Contact, Conversation, Event, Inbox, Message
from apps.chatbot.services.inboxes import change_inbox
from apps.chatbot.widget import identity
from common.errors import ApplicationError
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.test_widget import signed
from tests.apps.chatbot.visitor import Browser

pytestmark = pytest.mark.django_db

QUESTIONS = [
    {"kind": "name", "label": "怎么称呼您？", "required": True},
    {"kind": "email", "label": "邮箱", "required": False},
    {"kind": "choice", "label": "关于什么？", "required": True, "choices": ["退货", "发票"]},
    {"kind": "text", "label": "items", "required": False},
]
NIGHT = {"zone": "Asia/Shanghai", "days": {"mon": [["09:00", "18:00"]]}}


def resolve(inbox: Inbox) -> None:
    with tenant_scope(inbox.tenant_id):
        services.change_state(conversation=Conversation.objects.get(), state="resolved")


def heard(browser: Browser, conversation: str) -> list[dict[str, Any]]:
    found = browser.post("events", conversation=conversation, after=0, wait=0).json()["events"]
    return [one for one in found if "seq" in one]


# --- How it was --------------------------------------------------------------------------------------


def test_a_conversation_is_rated_once_it_is_resolved(browser: Browser, inbox: Inbox) -> None:
    conversation = browser.say().json()["conversation"]
    early = browser.post("rating", conversation=conversation, score=5)
    assert (early.status_code, early.json()["code"]) == (409, "not_resolved")
    resolve(inbox)
    given = browser.post("rating", conversation=conversation, score=5, comment="很满意 😀")
    assert given.status_code == 200
    for score in (0, 6, 4.5, True, "5", None):
        assert browser.post("rating", conversation=conversation, score=score).status_code == 400
    assert [one["data"] for one in heard(browser, conversation) if one["type"] == "csat"] == [
        {"score": 5}
    ]
    with system_scope("test"):
        kept = Conversation.objects.get()
    assert (kept.csat, kept.csat_comment) == (5, "很满意 😀")


def test_a_rating_may_be_changed_for_a_while_and_a_repeat_is_nothing_new(
    browser: Browser, inbox: Inbox
) -> None:
    conversation = browser.say().json()["conversation"]
    resolve(inbox)
    for score in (2, 2, 4):
        assert browser.post("rating", conversation=conversation, score=score).status_code == 200
    assert [one["type"] for one in heard(browser, conversation)].count("csat") == 2
    with system_scope("test"):
        Event.objects.update(created_at=timezone.now() - timedelta(hours=2))
    late = browser.post("rating", conversation=conversation, score=1)
    assert late.json()["code"] == "rating_over"
    assert browser.post("rating", conversation=conversation, score=4).status_code == 200
    # Another case is another rating.
    browser.say("又坏了", conversation=conversation)
    resolve(inbox)
    assert browser.post("rating", conversation=conversation, score=1).status_code == 200


# --- Before the chat -----------------------------------------------------------------------------------


def test_the_answers_before_the_chat_are_labels_of_the_contact(
    browser: Browser, inbox: Inbox
) -> None:
    with tenant_scope(inbox.tenant_id):
        change_inbox(inbox=inbox, pre_chat=QUESTIONS)
    assert browser.enter().json()["inbox"]["pre_chat"] == QUESTIONS
    refused = browser.say()
    assert (refused.status_code, refused.json()["code"]) == (400, "answer_missing")
    answers = {
        "怎么称呼您？": " 李  雷 ", "邮箱": "li@example.com", "关于什么？": "退货", "items": "1",
    }  # fmt: skip
    said = browser.say(answers=answers)
    assert said.status_code == 202
    # Only the first conversation asks.
    assert browser.say().status_code == 202
    with system_scope("test"):
        contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("李 雷", "li@example.com")
    assert contact.attributes == {"关于什么？": "退货", "items": "1"}
    assert not contact.is_verified


@pytest.mark.parametrize(
    "answers",
    [
        {}, [], "x", 1, None, {"怎么称呼您？": "李"}, {"怎么称呼您？": "李", "关于什么？": "别的"},
        {"怎么称呼您？": "x" * 201, "关于什么？": "退货"},
        {"怎么称呼您？": "李", "关于什么？": "退货", "邮箱": "li@"},
        {"怎么称呼您？": {}, "关于什么？": "退货"}, {"怎么称呼您？": "  ", "关于什么？": "退货"},
        {str(number): "x" for number in range(50)},
    ],
)  # fmt: skip
def test_odd_answers_are_refused_and_nothing_is_begun(
    browser: Browser, inbox: Inbox, answers: Any
) -> None:
    with tenant_scope(inbox.tenant_id):
        change_inbox(inbox=inbox, pre_chat=QUESTIONS)
    assert browser.say(answers=answers).status_code == 400
    with system_scope("test"):
        assert not Conversation.objects.exists()
        assert not Contact.objects.exists()


def test_who_is_verified_is_not_asked_for_what_is_known(inbox: Inbox) -> None:
    with tenant_scope(inbox.tenant_id):
        change_inbox(inbox=inbox, pre_chat=QUESTIONS)
        key = identity.add_key(inbox=inbox)
    known = Browser(inbox)
    known.enter(identity=signed(key, email="han@example.com"))
    answers = {"怎么称呼您？": "别人", "邮箱": "evil@example.com", "关于什么？": "发票"}
    assert known.say(answers=answers).status_code == 202
    with system_scope("test"):
        contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("韩梅梅", "han@example.com")
    assert contact.attributes == {"关于什么？": "发票"}


def test_signing_in_keeps_what_was_said_before_the_chat(browser: Browser, inbox: Inbox) -> None:
    with tenant_scope(inbox.tenant_id):
        change_inbox(inbox=inbox, pre_chat=QUESTIONS[2:])
        key = identity.add_key(inbox=inbox)
    browser.say(answers={"关于什么？": "退货"})
    browser.enter(refresh=browser.refresh, identity=signed(key))
    with system_scope("test"):
        assert Contact.objects.get().attributes == {"关于什么？": "退货"}


@pytest.mark.parametrize(
    "questions",
    [
        {}, "x", [1], [{}], [{"kind": "name"}], [{"kind": "name", "label": " "}],
        [{"kind": "file", "label": "x"}], [{"kind": "text", "label": "\u0000"}],
        [{"kind": "choice", "label": "x"}], [{"kind": "choice", "label": "x", "choices": ["一"]}],
        [{"kind": "choice", "label": "x", "choices": [1, 2]}],
        [{"kind": "text", "label": "x", "required": "yes"}], [{"kind": [], "label": "x"}],
        [{"kind": "text", "label": "同"}, {"kind": "name", "label": "同"}],
        [{"kind": "text", "label": str(number)} for number in range(7)],
    ],
)  # fmt: skip
def test_odd_questions_are_refused(inbox: Inbox, questions: Any) -> None:
    with tenant_scope(inbox.tenant_id), pytest.raises(ApplicationError):
        change_inbox(inbox=inbox, pre_chat=questions)


# --- While nobody is there ---------------------------------------------------------------------------


def test_outside_hours_the_visitor_hears_when_and_leaves_an_address(
    browser: Browser, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tenant_scope(inbox.tenant_id):
        change_inbox(inbox=inbox, hours=NIGHT)
    # Tuesday at noon in Shanghai: closed until Monday at nine there.
    monkeypatch.setattr(
        timezone, "now", lambda: datetime.fromisoformat("2026-11-24T04:00:00+00:00")
    )
    browser = Browser(inbox)
    assert browser.enter().json()["inbox"]["back"] == "2026-11-30T01:00:00+00:00"
    conversation = browser.say().json()["conversation"]
    assert not browser.post("conversations").json()["reachable"]
    browser.post("person", conversation=conversation)
    handed = [one for one in heard(browser, conversation) if one["type"] == "handoff"]
    assert handed[0]["data"]["back"] == "2026-11-30T01:00:00+00:00"
    left = {"conversation": conversation, "email": " li@example.com ", "text": "请回电"}
    sent = str(uuid.uuid4())
    for _again in range(2):
        assert browser.post("address", **left, client_id=sent).status_code == 200
    assert browser.post("conversations").json()["reachable"]
    with system_scope("test"):
        kept = Conversation.objects.get()
        assert Message.objects.filter(text="请回电").count() == 1
        assert Contact.objects.get().email == "li@example.com"
    assert (kept.owner, kept.state) == ("people", "open")
    assert kept.waiting_since is not None


def test_while_somebody_is_there_nothing_is_said_of_hours(browser: Browser) -> None:
    assert browser.enter().json()["inbox"]["back"] is None
    conversation = browser.say().json()["conversation"]
    browser.post("person", conversation=conversation)
    assert all("back" not in one.get("data", {}) for one in heard(browser, conversation))


@pytest.mark.parametrize(
    "email", ["", "li", "li@", "a@b.example\nBcc: x@y.example", "李 <a@b.c>", "x" * 300]
)
def test_an_address_that_is_none_is_refused(browser: Browser, email: str) -> None:
    conversation = browser.say().json()["conversation"]
    assert browser.post("address", conversation=conversation, email=email).status_code == 400


def test_a_verified_address_is_not_typed_over(inbox: Inbox) -> None:
    with tenant_scope(inbox.tenant_id):
        key = identity.add_key(inbox=inbox)
    known = Browser(inbox)
    known.enter(identity=signed(key, email="han@example.com"))
    conversation = known.say().json()["conversation"]
    known.post("address", conversation=conversation, email="evil@example.com")
    with system_scope("test"):
        assert Contact.objects.get().email == "han@example.com"
