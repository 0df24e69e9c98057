"""The agents' desk: who waits is seen, an agent takes over, answers, notes and gives back."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Conversation, Event, Message
from apps.chatbot.widget import events
from common.errors import ApplicationError
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import ask
from tests.apps.portal import desk_scene
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db


def of(conversation: Conversation, rest: str = "") -> str:
    return f"desk/{conversation.pk}/{rest}"


def now(conversation: Conversation) -> Conversation:
    with tenant_scope(conversation.tenant_id):
        return Conversation.objects.get(pk=conversation.pk)


def say(browser: Client, tenant: Tenant, conversation: Conversation, **body: Any) -> Any:
    sent = {"text": "您好，我来帮您。", "client_id": str(uuid.uuid4())} | body
    return browser.post(
        at(tenant, of(conversation, "say/")), sent, headers={"accept": "application/json"}
    )


def test_who_waits_for_a_person_stands_first_with_the_reason(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    page = text_of(browser.get(at(tenant, "desk/")))
    assert "Needs a person 1 Mine 1 All open 3 Snoozed 0 Resolved 1 Mentions you 0" in page
    assert "李雷" in page
    assert "7 minutes ago" in page
    assert "the visitor asked for a person" in page
    assert "我的订单已经十天了" in page
    assert "Jane" not in page
    assert "Jane" in text_of(browser.get(at(tenant, "desk/?show=mine")))
    assert "韩梅梅" in text_of(browser.get(at(tenant, "desk/?show=resolved")))


def test_a_conversation_shows_what_was_generated_and_from_what(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    page = text_of(browser.get(at(tenant, of(scene.waiting))))
    assert "Bot generated" in page
    assert "[1] 退货政策" in page
    assert "Handed to people: the visitor asked for a person" in page
    assert re.search(r"Asked last: 可以退货吗？\s*我的订单已经十天了", page)
    assert "private note" in page
    assert "老客户" in page
    assert "li@example.com (not verified)" in page


def test_a_reply_takes_the_conversation_and_is_kept_once(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, agent: User
) -> None:
    sent = str(uuid.uuid4())
    first = say(browser, tenant, scene.waiting, client_id=sent)
    assert first.status_code == 200
    assert say(browser, tenant, scene.waiting, client_id=sent).json() == first.json()
    other = say(browser, tenant, scene.waiting, client_id=sent, private="on")
    assert (other.status_code, other.json()["code"]) == (409, "message_id_reused")
    held = now(scene.waiting)
    assert (held.assignee, held.waiting_since) == (agent, None)
    with tenant_scope(tenant):
        assert Message.objects.filter(client_id=sent).count() == 1
        assert held.handoffs.get().taken_by == agent


def test_a_note_reaches_no_visitor(tenant: Tenant, browser: Client, scene: desk_scene.Desk) -> None:
    before = now(scene.waiting).last_seq
    assert say(browser, tenant, scene.waiting, text="他很着急", private="on").status_code == 200
    browser.post(at(tenant, of(scene.waiting, "change/")), {"do": "take"})
    with tenant_scope(tenant):
        told = events.Reader(now(scene.waiting), before).look()
        assert Event.objects.filter(private=True, seq__gt=before).count() == 2
    assert {name for name, _data in told} == {"nothing"}
    heard = json.dumps(told, ensure_ascii=False)
    assert "着急" not in heard
    assert "王芳" not in heard
    assert [data["seq"] for _name, data in told] == list(range(before + 1, before + 3))


def test_the_bot_is_silent_from_take_over_until_it_is_given_back(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, agent: User
) -> None:
    address = at(tenant, of(scene.with_bot, "change/"))
    browser.post(address, {"do": "take"})
    with tenant_scope(tenant):
        assert ask(now(scene.with_bot), "有人吗").answer is None
    assert now(scene.with_bot).assignee == agent
    page = text_of(browser.get(at(tenant, of(scene.with_bot))))
    assert "王芳 took over from the bot" in page
    assert "王芳 has it now" in page
    browser.post(address, {"do": "give-back"})
    with tenant_scope(tenant):
        assert ask(now(scene.with_bot), "还在吗").answer is not None
        done = list(AuditEntry.objects.values_list("action", flat=True))
    assert "conversation.taken" in done
    assert "conversation.returned" in done


def test_it_is_given_to_somebody_who_may_answer_and_to_nobody_else(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    admin = make_member(tenant, "admin", email="chen@example.com", name="陈静")
    viewer = make_member(tenant, "viewer", email="v@example.com")
    address = at(tenant, of(scene.waiting, "change/"))
    browser.post(address, {"do": "give", "assignee": str(admin.pk)})
    assert now(scene.waiting).assignee == admin
    assert "王芳 gave it to 陈静" in text_of(browser.get(at(tenant, of(scene.waiting))))
    assert browser.post(address, {"do": "give", "assignee": str(viewer.pk)}).status_code == 404
    browser.post(address, {"do": "give", "assignee": ""})
    assert now(scene.waiting).assignee is None


def test_what_is_solved_can_be_opened_again(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk, agent: User
) -> None:
    address = at(tenant, of(scene.waiting, "change/?show=waiting"))
    to = browser.post(address, {"do": "resolve"})
    assert to["Location"].endswith(f"/desk/{scene.waiting.pk}/?show=waiting")
    assert now(scene.waiting).state == "resolved"
    page = text_of(browser.get(at(tenant, of(scene.waiting))))
    assert "王芳 resolved it" in page
    assert "Open again" in page
    browser.post(address, {"do": "take"})
    held = now(scene.waiting)
    assert (held.state, held.assignee, held.resolved_at) == ("open", agent, None)


def test_only_what_is_new_comes_live(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    held = now(scene.waiting)
    address = at(tenant, of(held, f"live/?after={held.last_seq}"))
    assert browser.get(address).status_code == 204
    queue = browser.get(at(tenant, "desk/live/"))
    mark = queue.content.decode().partition('data-mark="')[2].partition('"')[0]
    assert browser.get(at(tenant, f"desk/live/?seen={mark}")).status_code == 204
    with tenant_scope(tenant):
        ask(held, "在吗？")
    fresh = browser.get(address)
    assert "在吗？" in text_of(fresh)
    assert "老客户" not in text_of(fresh)
    assert "在吗？" in text_of(browser.get(at(tenant, f"desk/live/?seen={mark}")))


def test_who_may_only_look_finds_nothing_to_press(tenant: Tenant, scene: desk_scene.Desk) -> None:
    client = Client()
    client.force_login(make_member(tenant, "annotator", email="a@example.com"))
    page = client.get(at(tenant, of(scene.waiting)))
    assert page.status_code == 200
    assert 'id="say"' not in page.content.decode()
    assert say(client, tenant, scene.waiting).status_code == 403
    assert client.post(at(tenant, of(scene.waiting, "change/")), {"do": "take"}).status_code == 403


def test_another_companys_conversation_is_not_there(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    other = make_tenant("other")
    foreign = desk_scene.tell(other, make_member(other, "agent", email="x@example.com")).waiting
    assert browser.get(at(tenant, of(foreign))).status_code == 404
    assert browser.get(at(tenant, f"desk/stream/?conversation={foreign.pk}")).status_code == 404
    assert say(browser, tenant, foreign).status_code == 404


def test_an_empty_message_is_refused_with_a_reason(
    tenant: Tenant, browser: Client, scene: desk_scene.Desk
) -> None:
    refused = say(browser, tenant, scene.waiting, text="   ")
    assert refused.status_code == 400
    assert refused.json()["code"] == "message_refused"


def test_who_is_snoozed_comes_back_when_it_is_time(
    tenant: Tenant, agent: User, scene: desk_scene.Desk
) -> None:
    with tenant_scope(tenant):
        held = Conversation.objects.get(pk=scene.waiting.pk)
        services.snooze(conversation=held, until=timezone.now() + timedelta(hours=1), actor=agent)
        assert services.wake_conversations() == 0
        assert now(held).state == Conversation.State.SNOOZED
        # SQLite's own clock knows no less than a thousandth of a second.
        over = timezone.now() - timedelta(seconds=1)
        Conversation.objects.filter(pk=held.pk).update(snoozed_until=over)
        assert services.wake_conversations() == 1
        woken = now(held)
        assert (woken.state, woken.owner) == (Conversation.State.OPEN, Conversation.Owner.PEOPLE)
        assert woken.waiting_since is not None


def test_nobody_is_snoozed_into_the_past(
    tenant: Tenant, agent: User, scene: desk_scene.Desk
) -> None:
    with tenant_scope(tenant):
        held = Conversation.objects.get(pk=scene.waiting.pk)
        with pytest.raises(ApplicationError, match="still to come"):
            services.snooze(conversation=held, until=timezone.now(), actor=agent)


def test_an_agent_says_whether_conversations_come_to_them(
    tenant: Tenant, browser: Client, agent: User, scene: desk_scene.Desk
) -> None:
    page = browser.get(at(tenant, "desk/"))
    assert 'aria-checked="false"' in page.content.decode()
    page = browser.post(at(tenant, "desk/available/?show=open"), {"to": "on"}, follow=True)
    assert 'aria-checked="true"' in page.content.decode()
    assert page.redirect_chain[0][0].endswith("/desk/?show=open")
    page = browser.get(at(tenant, of(scene.waiting)))
    assert "王芳 (available)" in text_of(page)
    with tenant_scope(tenant):
        assert services.is_here(agent)
    browser.post(at(tenant, "desk/available/"), {"to": "off"})
    with tenant_scope(tenant):
        assert not services.is_here(agent)
    viewer = Client()
    viewer.force_login(make_member(tenant, "viewer", email="v@example.com"))
    assert "aria-checked" not in viewer.get(at(tenant, "desk/")).content.decode()
    assert viewer.post(at(tenant, "desk/available/"), {"to": "on"}).status_code == 403
