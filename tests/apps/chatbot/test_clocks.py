"""Targets of people's answers: in business hours, what is due first stands first, missed once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apps.chatbot import services, tasks
from apps.chatbot.models import Conversation, Event, Inbox
from apps.chatbot.widget import events
from tenancy.models import Tenant
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member

SHANGHAI = {
    "zone": "Asia/Shanghai",
    "days": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
}


@pytest.fixture
def agent(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="wang@example.com", name="王芳")


@pytest.fixture
def inbox(in_tenant: Tenant) -> Inbox:
    return make_inbox(hours=SHANGHAI, first_response_minutes=30, next_response_minutes=120)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands still until it is set."""

    class Clock:
        now = datetime(2026, 11, 27, 9, 45, tzinfo=UTC)  # Friday, a quarter to six in Shanghai

    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    return Clock


def hand_over(inbox: Inbox) -> Conversation:
    conversation = make_conversation(inbox)
    ask(conversation, "我要找人工客服")
    services.hand_off(conversation=conversation, reason="customer_request")
    return conversation


def answer(conversation: Conversation, agent: User, **more: Any) -> None:
    services.post_message(
        conversation=conversation, role="agent", text="您好！", author=agent, **more
    )


def missed(conversation: Conversation) -> list[dict[str, Any]]:
    rows = Event.objects.filter(conversation=conversation, type="overdue").order_by("seq")
    return [one.data for one in rows]


def test_a_target_runs_in_business_hours(inbox: Inbox, agent: User, clock: Any) -> None:
    conversation = hand_over(inbox)
    assert conversation.due_at == datetime(2026, 11, 30, 1, 15, tzinfo=UTC)
    due = conversation.due_at
    ask(conversation, "在吗？")
    assert conversation.due_at == due
    answer(conversation, agent, private=True)
    assert conversation.due_at == due
    answer(conversation, agent)
    assert conversation.due_at is None
    clock.now = datetime(2026, 11, 30, 2, tzinfo=UTC)
    ask(conversation, "谢谢，还有一个问题")
    assert conversation.due_at == datetime(2026, 11, 30, 4, tzinfo=UTC)


def test_without_a_target_nothing_is_due(in_tenant: Tenant, agent: User) -> None:
    conversation = hand_over(make_inbox(hours=SHANGHAI))
    assert conversation.waiting_since is not None
    assert conversation.due_at is None


def test_what_is_missed_is_written_down_once(inbox: Inbox, agent: User, clock: Any) -> None:
    conversation = hand_over(inbox)
    assert tasks.note_overdue() == 0
    clock.now = conversation.due_at + timedelta(seconds=1)
    before = conversation.last_seq
    assert tasks.note_overdue() == 1
    assert tasks.note_overdue() == 0
    (late,) = missed(conversation)
    assert (late["target"], late["minutes"]) == ("first", 30)
    told = events.Reader(Conversation.objects.get(pk=conversation.pk), before).look()
    assert [name for name, _data in told] == ["nothing"]
    answer(conversation, agent)
    assert len(missed(conversation)) == 1
    ask(conversation, "还在吗？")
    clock.now = conversation.due_at + timedelta(seconds=1)
    # Nobody has looked yet, and the agent answers too late all the same.
    answer(conversation, agent)
    assert [one["target"] for one in missed(conversation)] == ["first", "next"]


def test_a_first_answer_that_comes_too_late_is_the_first_that_was_missed(
    inbox: Inbox, agent: User, clock: Any
) -> None:
    conversation = hand_over(inbox)
    clock.now = conversation.due_at + timedelta(seconds=1)
    answer(conversation, agent)
    assert [(one["target"], one["minutes"]) for one in missed(conversation)] == [("first", 30)]


def test_what_is_answered_in_time_or_asleep_is_not_missed(
    inbox: Inbox, agent: User, clock: Any
) -> None:
    in_time, asleep = hand_over(inbox), hand_over(inbox)
    answer(in_time, agent)
    services.snooze(conversation=asleep, until=clock.now + timedelta(days=9), actor=agent)
    clock.now += timedelta(days=7)
    assert tasks.note_overdue() == 0
    assert missed(in_time) == []


def test_a_case_that_begins_anew_has_a_first_answer_again(
    inbox: Inbox, agent: User, clock: Any
) -> None:
    conversation = hand_over(inbox)
    answer(conversation, agent)
    services.change_state(conversation=conversation, state="resolved", actor=agent)
    ask(conversation, "又有问题了")
    services.hand_off(conversation=conversation, reason="customer_request")
    assert conversation.due_at == datetime(2026, 11, 30, 1, 15, tzinfo=UTC)


def test_what_is_due_first_stands_first(
    tenant: Tenant, inbox: Inbox, agent: User, clock: Any
) -> None:
    clock.now = now = datetime.now(UTC)
    always = make_inbox(name="门店", first_response_minutes=10)
    without = hand_over(make_inbox(name="无目标"))
    later, late = hand_over(always), hand_over(always)
    Conversation.objects.filter(pk=late.pk).update(due_at=now - timedelta(minutes=5))
    assert list(Conversation.objects.waiting_for_people()) == [late, later, without]
    assert services.note_overdue_conversations() == 1
    browser = Client()
    browser.force_login(agent)
    page = text_of(browser.get(at(tenant, "desk/?show=waiting")))
    assert page.index("overdue 5 minutes ago") < page.index("due in 10 min")
    one = text_of(browser.get(at(tenant, f"desk/{late.pk}/")))
    assert "overdue 5 minutes ago" in one
    assert "No first answer within 10 minutes of business hours" in one
