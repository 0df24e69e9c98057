"""Colleagues at one desk: named in notes, seen in the same conversation, not answered over."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Conversation, Mention, Message, Presence
from apps.chatbot.services.mentions import mentioned
from apps.portal.views.desk import Watch
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import desk_scene
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def wang(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="wang@example.com", name="王芳")


@pytest.fixture
def jane(tenant: Tenant) -> User:
    return make_member(tenant, "agent", email="jane@example.com", name="Jane Doe")


@pytest.fixture
def scene(tenant: Tenant, wang: User) -> desk_scene.Desk:
    return desk_scene.tell(tenant, wang)


def door(member: User) -> Client:
    client = Client()
    client.force_login(member)
    return client


def say(browser: Client, tenant: Tenant, conversation: Conversation, text: str, **body: Any) -> Any:
    sent = {"text": text, "client_id": str(uuid.uuid4())} | body
    address = at(tenant, f"desk/{conversation.pk}/say/")
    return browser.post(address, sent, headers={"accept": "application/json"})


# --- Mentions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@王芳请看一下", ["王芳"]),
        ("＠王芳 谢谢", ["王芳"]),
        ("请@王芳芳看", ["王芳芳"]),
        ("@王芳 @王芳芳", ["王芳", "王芳芳"]),
        ("@jane doe, please", ["Jane Doe"]),
        ("@JANE@EXAMPLE.COM", ["Jane Doe"]),
        ("@Jane Doesn't", []),
        ("王芳 jane@example.org", []),
        ("@ @@ @李雷", []),
    ],
)
def test_members_are_named_by_name_or_address(text: str, names: list[str]) -> None:
    team = [
        User(name="王芳", email="w@example.com"),
        User(name="王芳芳", email="f@example.com"),
        User(name="Jane Doe", email="jane@example.com"),
        User(name="", email="x@example.com"),
    ]
    assert sorted(one.name for one in mentioned(text, team)) == names


def test_who_is_named_in_a_note_finds_it_until_it_is_seen(
    tenant: Tenant, scene: desk_scene.Desk, wang: User, jane: User
) -> None:
    note = "@Jane Doe 能帮忙看看吗？@王芳"
    assert say(door(wang), tenant, scene.waiting, note, private="on").status_code == 200
    say(door(wang), tenant, scene.mine, "@Jane Doe is told nothing of a reply")
    with tenant_scope(tenant):
        assert [one.user for one in Mention.objects.all()] == [jane]
    hers = door(jane)
    assert "Mentions you 1" in text_of(hers.get(at(tenant, "desk/")))
    assert "Mentions you 0" in text_of(door(wang).get(at(tenant, "desk/")))
    listed = text_of(hers.get(at(tenant, "desk/?show=mentions")))
    assert "李雷" in listed
    assert "mentions you ·" in listed
    assert "Jane Öberg" not in listed
    hers.get(at(tenant, f"desk/{scene.waiting.pk}/"))
    page = text_of(hers.get(at(tenant, "desk/?show=mentions")))
    assert "Mentions you 0" in page
    assert "李雷" in page
    assert "mentions you ·" not in page


def test_the_picker_offers_colleagues(tenant: Tenant, wang: User, jane: User) -> None:
    found = text_of(door(jane).get(at(tenant, "desk/members/?q=王")))
    assert "王芳" in found
    assert "Jane" not in text_of(door(jane).get(at(tenant, "desk/members/?q=")))
    assert 'data-text="@王芳 "' in door(jane).get(at(tenant, "desk/members/")).content.decode()


# --- In each other's way -------------------------------------------------------------------------


def test_colleagues_see_each_other_in_a_conversation(
    tenant: Tenant, scene: desk_scene.Desk, wang: User, jane: User
) -> None:
    here = scene.waiting.pk
    with tenant_scope(tenant):
        ((name, said),) = Watch(jane, here).look()
        assert (name, said["others"]) == ("look", [])
        watch = Watch(wang, here)
        ((_name, said),) = watch.look()
        assert said["others"] == [[str(jane.pk), False]]
        assert watch.look() == []
    shown = text_of(door(wang).get(at(tenant, f"desk/{here}/others/")))
    assert "Jane Doe is looking at this too" in shown
    assert door(jane).post(at(tenant, f"desk/{here}/typing/")).status_code == 204
    assert "Jane Doe is writing here now" in text_of(door(wang).get(at(tenant, f"desk/{here}/")))
    assert "王芳" not in text_of(door(wang).get(at(tenant, f"desk/{here}/others/")))
    with tenant_scope(tenant):
        ((_name, said),) = watch.look()
        assert said["others"] == [[str(jane.pk), True]]
        Presence.objects.update(seen_at=timezone.now() - timedelta(seconds=30))
        assert services.others_at(conversation=here, member=wang) == []
        assert services.others_at(conversation=scene.mine.pk, member=wang) == []


def test_old_presences_are_forgotten(in_tenant: Tenant, scene: desk_scene.Desk, wang: User) -> None:
    services.note_presence(conversation=scene.mine.pk, member=wang)
    Presence.objects.update(seen_at=timezone.now() - timedelta(hours=2))
    services.note_presence(conversation=scene.waiting.pk, member=wang)
    assert [one.conversation_id for one in Presence.objects.all()] == [scene.waiting.pk]


def test_nobody_answers_over_a_colleague_unasked(
    tenant: Tenant, scene: desk_scene.Desk, wang: User, jane: User
) -> None:
    opened = scene.waiting.last_seq
    first = say(door(jane), tenant, scene.waiting, "我来处理。", read_to=opened)
    assert first.status_code == 200
    refused = say(door(wang), tenant, scene.waiting, "您好！", read_to=opened)
    assert (refused.status_code, refused.json()["code"]) == (409, "answered_meanwhile")
    assert "Jane Doe has answered" in refused.json()["detail"]
    assert (
        say(door(wang), tenant, scene.waiting, "同事", read_to=opened, private="on").status_code
        == 200
    )
    again = say(door(jane), tenant, scene.waiting, "还有一点。", read_to=opened)
    assert again.status_code == 200
    sure = say(door(wang), tenant, scene.waiting, "您好！", read_to=opened, sure="on")
    assert sure.status_code == 200


def test_a_repeat_of_what_was_sent_is_no_collision(
    tenant: Tenant, scene: desk_scene.Desk, wang: User, jane: User
) -> None:
    opened, once = scene.waiting.last_seq, str(uuid.uuid4())
    first = say(door(wang), tenant, scene.waiting, "您好！", read_to=opened, client_id=once)
    say(door(jane), tenant, scene.waiting, "我也在。")
    again = say(door(wang), tenant, scene.waiting, "您好！", read_to=opened, client_id=once)
    assert json.loads(again.content) == json.loads(first.content)


def test_without_script_nothing_that_was_written_is_lost(
    tenant: Tenant, scene: desk_scene.Desk, wang: User, jane: User
) -> None:
    opened = scene.waiting.last_seq
    say(door(jane), tenant, scene.waiting, "我来处理。")
    address = at(tenant, f"desk/{scene.waiting.pk}/say/")
    page = door(wang).post(address, {"text": "您好，<b>王芳</b>为您服务。", "read_to": opened})
    assert page.status_code == 409
    html = " ".join(page.content.decode().split())
    assert "您好，&lt;b&gt;王芳&lt;/b&gt;为您服务。" in html
    assert "Send anyway" in text_of(page)
    assert 'name="sure" value="on"' in html
    with tenant_scope(tenant):
        assert not Message.objects.filter(text__contains="为您服务").exists()


def test_another_companys_conversation_has_nobody(tenant: Tenant, wang: User) -> None:
    other = make_tenant("other")
    foreign = desk_scene.tell(other, make_member(other, "agent", email="x@example.com")).waiting
    assert door(wang).get(at(tenant, f"desk/{foreign.pk}/others/")).status_code == 404
    assert door(wang).post(at(tenant, f"desk/{foreign.pk}/typing/")).status_code == 404
