"""Canned replies: kept by the team, filled in for whoever is spoken to."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from apps.chatbot.models import CannedReply, Conversation
from apps.chatbot.services.replies import replies_for, write_reply
from common.errors import ApplicationError
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import desk_scene
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db
FORM = {
    "shortcut": "/退货",
    "language": "zh-hans",
    "text": "{{contact.name}}您好，七天内可以退货。— {{ agent.name }}，{{inbox.name}}",
}


def offered(tenant: Tenant, conversation: Conversation, agent: User, asked: str) -> list[str]:
    with tenant_scope(tenant):
        held = Conversation.objects.get(pk=conversation.pk)
        found = replies_for(conversation=held, agent=agent, asked=asked)
        return [one.text for one in found]


def test_a_reply_is_written_changed_and_deleted(tenant: Tenant, door: Door) -> None:
    client = door("agent")
    assert "No canned reply yet" in text_of(client.get(at(tenant, "replies/")))
    page = client.post(at(tenant, "replies/new/"), FORM, follow=True)
    assert "/退货" in text_of(page)
    with tenant_scope(tenant):
        made = CannedReply.objects.get()
    address = at(tenant, f"replies/{made.pk}/")
    assert "七天内" in text_of(client.get(address))
    client.post(address, FORM | {"text": "十天内可以退货。"})
    with tenant_scope(tenant):
        assert CannedReply.objects.get().text == "十天内可以退货。"
    client.post(at(tenant, f"replies/{made.pk}/delete/"))
    with tenant_scope(tenant):
        assert not CannedReply.objects.exists()
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"reply.written", "reply.deleted"} <= actions


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"text": "{{contact.phone}}您好"}, "There is no variable “{{contact.phone}}”"),
        ({"text": "{{客户}}您好"}, "There is no variable “{{客户}}”"),
        ({"text": "{{contact.name您好"}, "There is no variable “{{”"),
        ({"text": "  "}, "This field is required"),
        ({"shortcut": "thank you"}, "A shortcut is letters"),
        ({"shortcut": "a\0"}, "Null characters are not allowed"),
        ({"language": "xx"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_name(
    tenant: Tenant, door: Door, wrong: dict[str, str], told: str
) -> None:
    page = door("agent").post(at(tenant, "replies/new/"), FORM | wrong)
    assert page.status_code == 400
    assert told in text_of(page)
    with tenant_scope(tenant):
        assert not CannedReply.objects.exists()


def test_a_shortcut_stands_once_in_a_language(in_tenant: Tenant) -> None:
    write_reply(shortcut="Hours", text="Nine to five.", language="en")
    write_reply(shortcut="ｈｏｕｒｓ", text="朝九晚五。", language="zh-hans")
    with pytest.raises(ApplicationError, match="shortcut_taken"):
        write_reply(shortcut="hours", text="Always.", language="en")


def test_the_visitors_language_comes_first_and_names_are_filled_in(
    tenant: Tenant, scene: desk_scene.Desk, agent: User
) -> None:
    with tenant_scope(tenant):
        write_reply(shortcut="hello", text="Hello {{contact.name}}", language="en")
        write_reply(shortcut="hello", text="{{contact.name}}您好", language="zh-hans")
    assert offered(tenant, scene.waiting, agent, "hel") == ["李雷您好"]
    assert offered(tenant, scene.mine, agent, "hel") == ["Hello Jane Öberg"]
    assert offered(tenant, scene.mine, agent, "来信") == ["Jane Öberg您好，感谢您的来信。王芳"]
    assert offered(tenant, scene.waiting, agent, "") == [
        "李雷您好",
        "Thank you, 李雷. 官网 website",
        "李雷您好，感谢您的来信。王芳",
    ]


def test_the_picker_names_what_is_not_known(
    tenant: Tenant, scene: desk_scene.Desk, agent: User
) -> None:
    client = Client()
    client.force_login(agent)
    page = client.get(at(tenant, f"desk/{scene.with_bot.pk}/replies/?q=谢"))
    assert 'data-missing="contact.name"' in page.content.decode()


def test_who_may_not_answer_reads_and_changes_nothing(
    tenant: Tenant, door: Door, scene: desk_scene.Desk
) -> None:
    client = door("viewer")
    address = at(tenant, f"replies/{scene.reply.pk}/")
    assert "感谢您的来信" in text_of(client.get(address))
    assert client.post(address, FORM).status_code == 403
    assert client.get(at(tenant, "replies/new/")).status_code == 403


def test_another_companys_reply_is_not_there(tenant: Tenant, door: Door) -> None:
    other = make_tenant("other")
    foreign = desk_scene.tell(other, make_member(other, "agent", email="x@example.com")).reply
    client = door("owner")
    assert client.get(at(tenant, f"replies/{foreign.pk}/")).status_code == 404
    assert client.post(at(tenant, f"replies/{foreign.pk}/delete/")).status_code == 404
