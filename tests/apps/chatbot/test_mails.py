"""An agent's words reach a visitor who has left: once, these words alone, at the address they gave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Contact, Conversation, Inbox, ReplyMail, WidgetSession
from apps.chatbot.services import mails
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.visitor import SITE, Browser

pytestmark = pytest.mark.django_db


def left(browser: Browser, email: str = "li@example.com", **fields: Any) -> Conversation:
    """A visitor who asked, gave an address and has been gone for an hour."""
    browser.say("我的秘密：4111", page=f"{SITE}/basket?card=4111", **fields)
    with tenant_scope(browser.inbox.tenant_id):
        WidgetSession.objects.update(seen_at=timezone.now() - timedelta(hours=1))
        Contact.objects.update(email=email)
        return Conversation.objects.get()


def answer(conversation: Conversation, text: str = "可以退货，七天内。", **fields: Any) -> None:
    with tenant_scope(conversation.tenant_id):
        services.post_message(conversation=conversation, role="agent", text=text, **fields)


def send() -> int:
    with system_scope("test"):
        return services.send_mails()


def test_who_has_left_gets_these_words_and_no_others(browser: Browser) -> None:
    conversation = left(browser, language="zh-CN")
    answer(conversation, "内部：此人难缠", private=True)
    answer(conversation)
    assert (send(), send()) == (1, 0)
    [letter] = mail.outbox
    assert letter.to == ["li@example.com"]
    assert letter.body.startswith("可以退货，七天内。")
    assert SITE in letter.body
    for secret in ("4111", "难缠", "basket", str(conversation.pk)):
        assert secret not in letter.body + letter.subject
    assert "网站" in letter.subject


def test_who_is_still_there_reads_it_in_the_widget(browser: Browser) -> None:
    conversation = left(browser)
    with tenant_scope(conversation.tenant_id):
        WidgetSession.objects.update(seen_at=timezone.now())
    answer(conversation)
    assert send() == 0
    with tenant_scope(conversation.tenant_id):
        waits = ReplyMail.objects.get()
        assert waits.due_at > timezone.now() + timedelta(minutes=5)
        ReplyMail.objects.update(due_at=timezone.now())
        WidgetSession.objects.update(seen_at=timezone.now() + timedelta(seconds=1))
    assert send() == 0
    with tenant_scope(conversation.tenant_id):
        assert ReplyMail.objects.get().state == "needless"
    assert not mail.outbox


def test_without_an_address_nothing_is_sent(browser: Browser) -> None:
    answer(left(browser, email=""))
    with system_scope("test"):
        assert not ReplyMail.objects.exists()


def test_a_mail_server_that_fails_is_tried_again_and_given_up_at_last(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = left(browser)
    answer(conversation)

    class Broken:
        def send(self) -> None:
            raise OSError("li@example.com refused")

    monkeypatch.setattr(mails, "letter_of", lambda _mail: Broken())
    for tries in range(1, len(mails.PAUSES) + 2):
        assert (send(), send()) == (0, 0)
        with tenant_scope(conversation.tenant_id):
            waits = ReplyMail.objects.get()
            assert waits.tries == tries
            ReplyMail.objects.update(due_at=timezone.now())
    assert waits.state == "failed"
    assert send() == 0


def test_a_worker_that_died_leaves_it_to_the_next_under_the_same_id(browser: Browser) -> None:
    conversation = left(browser)
    answer(conversation)
    with tenant_scope(conversation.tenant_id):
        row = ReplyMail.objects.get()
        first = mails.letter_of(row).extra_headers["Message-ID"]
        ReplyMail.objects.update(tries=1, due_at=timezone.now() + mails.LEASE)
    assert send() == 0
    with tenant_scope(conversation.tenant_id):
        ReplyMail.objects.update(due_at=timezone.now())
    assert send() == 1
    assert mail.outbox[0].extra_headers["Message-ID"] == first


def test_a_name_on_several_lines_makes_no_header(browser: Browser, inbox: Inbox) -> None:
    conversation = left(browser)
    with tenant_scope(inbox.tenant_id):
        Inbox.objects.update(name="网站\r\nBcc: evil@example.com")
    answer(conversation)
    assert send() == 1
    assert "\n" not in mail.outbox[0].subject


def test_being_seen_is_written_down_to_the_minute(browser: Browser) -> None:
    conversation = left(browser)
    browser.post("conversations")
    with tenant_scope(conversation.tenant_id):
        assert WidgetSession.objects.get().seen_at > timezone.now() - timedelta(minutes=1)
