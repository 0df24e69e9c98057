"""What waits goes round: to who is there and has room, each once, and the rest goes on waiting."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import User
from apps.chatbot import services, tasks
from apps.chatbot.models import Attendance, Conversation, Event, Inbox
from tenancy.models import Membership, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.factories import make_member
from tests.tenancy.threads import Threads


@pytest.fixture
def wang(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="wang@example.com", name="王芳")


@pytest.fixture
def zhao(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="zhao@example.com", name="赵敏")


@pytest.fixture
def inbox(in_tenant: Tenant) -> Inbox:
    return make_inbox(auto_assign=True, capacity=2)


def hand_over(inbox: Inbox, text: str = "我要找人工客服") -> Conversation:
    conversation = make_conversation(inbox)
    ask(conversation, text)
    services.hand_off(conversation=conversation, reason="customer_request")
    return conversation


def whose(conversation: Conversation) -> User | None:
    return Conversation.objects.get(pk=conversation.pk).assignee


def test_conversations_go_round_and_the_rest_waits(inbox: Inbox, wang: User, zhao: User) -> None:
    for agent in (wang, zhao):
        services.set_available(agent=agent, available=True)
    waiting = [hand_over(inbox) for _ in range(5)]
    assert services.give_out_conversations() == 4
    assert [whose(one) for one in waiting] == [wang, zhao, wang, zhao, None]
    assert services.give_out_conversations() == 0
    event = Event.objects.get(conversation=waiting[0], type="assigned")
    assert (event.private, event.actor, event.data) == (True, None, {"assignee": str(wang.pk)})
    services.change_state(conversation=waiting[1], state="resolved", actor=zhao)
    assert services.give_out_conversations() == 1
    assert whose(waiting[4]) == zhao


def test_who_becomes_available_is_given_what_waits(inbox: Inbox, wang: User) -> None:
    waiting = hand_over(inbox)
    assert services.give_out_conversations() == 0
    services.set_available(agent=wang, available=True)
    assert tasks.give_out_conversations() == 1
    assert whose(waiting) == wang


def test_who_is_away_or_silent_or_may_not_answer_is_given_nothing(
    inbox: Inbox, wang: User, zhao: User
) -> None:
    for agent in (wang, zhao):
        services.set_available(agent=agent, available=True)
    services.set_available(agent=wang, available=False)
    Attendance.objects.filter(user=zhao).update(seen_at=timezone.now() - timedelta(minutes=6))
    waiting = hand_over(inbox)
    assert services.give_out_conversations() == 0
    services.note_seen(wang)
    assert not services.is_here(wang)
    services.note_seen(zhao)
    assert services.is_here(zhao)
    Membership.objects.filter(user=zhao).update(role="viewer")
    assert services.give_out_conversations() == 0
    Membership.objects.filter(user=zhao).update(role="agent")
    assert services.give_out_conversations() == 1
    assert whose(waiting) == zhao


def test_an_inbox_gives_nothing_out_before_it_is_told_to(inbox: Inbox, wang: User) -> None:
    Inbox.objects.update(auto_assign=False)
    services.set_available(agent=wang, available=True)
    waiting = hand_over(inbox)
    assert services.give_out_conversations() == 0
    assert whose(waiting) is None


def test_what_is_with_the_bot_or_asleep_is_not_given(inbox: Inbox, wang: User) -> None:
    services.set_available(agent=wang, available=True)
    ask(make_conversation(inbox), "退货要多久？")
    asleep = hand_over(inbox)
    services.snooze(conversation=asleep, until=timezone.now() + timedelta(hours=1), actor=wang)
    assert services.give_out_conversations() == 0


def test_whoever_gives_out_at_once_gives_each_once_and_nobody_too_many(
    transactional_db: None, tmp_path: Path, tenant: Tenant, wang: User, zhao: User
) -> None:
    with tenant_scope(tenant):
        inbox = make_inbox(auto_assign=True, capacity=3)
        for agent in (wang, zhao):
            services.set_available(agent=agent, available=True)
        waiting = [hand_over(inbox) for _ in range(8)]
    threads = Threads(tenant, tmp_path)
    assert sum(threads.at_once(services.give_out_conversations, times=4, threads=4)) == 6
    has = threads.once(lambda: [whose(one) for one in waiting])
    assert has == [wang, zhao, wang, zhao, wang, zhao, None, None]
    assert threads.once(lambda: Event.objects.filter(type="assigned").count()) == 6
