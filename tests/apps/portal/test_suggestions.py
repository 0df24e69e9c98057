"""Suggested replies: written like every answer, read by an agent first, kept as pairs to learn from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.answering import pipeline, suggesting
from apps.chatbot.models import Conversation, Inbox, Message, Suggestion
from apps.chatbot.widget import events
from apps.portal.views.desk import Watch
from common.errors import ApplicationError
from gpt_core.client import EngineUnavailableError, Piece
from gpt_core.models import Deployment
from labeling.tasks import do_waiting_work
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.chatbot.test_knowledge import publish_all
from tests.apps.portal.scenes import make_base
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member, make_tenant

pytestmark = pytest.mark.django_db
PERMIT = "The fee is 25,000 to 50,000 SEK for a house."


@pytest.fixture
def inbox(tenant: Tenant) -> Inbox:
    with tenant_scope(tenant):
        publish_all()
        base = make_base()
        return make_inbox(deployment=Deployment.objects.create(name="support", base_model=base))


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def will_say(text: str) -> None:
        def stream(**_call: Any) -> Iterator[Piece]:
            yield Piece(text, "stop")

        monkeypatch.setattr(pipeline.client, "stream", stream)

    return will_say


@pytest.fixture
def conversation(tenant: Tenant, inbox: Inbox) -> Conversation:
    return handed_over(tenant, inbox, "What is the cost of a building permit?")


def handed_over(tenant: Tenant, inbox: Inbox, *texts: str) -> Conversation:
    with tenant_scope(tenant):
        found = make_conversation(inbox)
        for text in texts:
            ask(found, text)
        services.hand_off(conversation=found, reason="customer_request")
        return found


def work() -> None:
    with system_scope("test: be the worker"):
        do_waiting_work()


def suggested(tenant: Tenant, conversation: Conversation, agent: User) -> Suggestion:
    with tenant_scope(tenant):
        made = suggesting.suggest_reply(conversation=conversation, agent=agent)
    work()
    with tenant_scope(tenant):
        return Suggestion.objects.get(pk=made.pk)


def say(browser: Client, tenant: Tenant, conversation: Conversation, **body: Any) -> None:
    sent = {"client_id": str(uuid.uuid4())} | body
    address = at(tenant, f"desk/{conversation.pk}/say/")
    assert browser.post(address, sent, headers={"accept": "application/json"}).status_code == 200


def test_an_agent_asks_for_a_reply_and_the_visitor_sees_nothing_of_it(
    tenant: Tenant, browser: Client, agent: User, conversation: Conversation, says: Any
) -> None:
    says(PERMIT)
    address = at(tenant, f"desk/{conversation.pk}/suggestion/")
    before = conversation.last_seq
    browser.post(address, headers={"accept": "application/json"})
    browser.post(address)
    assert "It is being written" in text_of(browser.get(address))
    work()
    page = text_of(browser.get(at(tenant, f"desk/{conversation.pk}/")))
    assert PERMIT in page
    assert "What does a building permit cost?" in page
    with tenant_scope(tenant):
        one = Suggestion.objects.get()
        assert (one.actor, one.model, one.outcome) == (
            agent,
            "smollm2-135m-instruct",
            "generated",
        )
        assert one.prompt[-1]["content"].endswith("What is the cost of a building permit?")
        assert events.Reader(conversation, before).look() == []
        ((_name, heard),) = Watch(agent, conversation.pk).look()
        assert heard["suggestion"] == f"{one.pk} done"


@pytest.mark.parametrize(("sent", "verdict"), [(PERMIT, "accepted"), (f"您好！{PERMIT}", "edited")])
def test_what_is_sent_says_what_became_of_it(
    tenant: Tenant,
    browser: Client,
    agent: User,
    conversation: Conversation,
    says: Any,
    sent: str,
    verdict: str,
) -> None:
    says(PERMIT)
    one = suggested(tenant, conversation, agent)
    taken = browser.get(at(tenant, f"desk/{conversation.pk}/?take={one.pk}")).content.decode()
    assert f">{PERMIT}</textarea>" in taken
    say(browser, tenant, conversation, text="内部说明", private="on", suggestion=str(one.pk))
    say(browser, tenant, conversation, text=sent, suggestion=str(one.pk))
    with tenant_scope(tenant):
        one.refresh_from_db()
        assert one.verdict == verdict
        assert one.sent is not None
        assert one.sent.text == sent
        assert suggesting.current(conversation=conversation.pk, agent=agent) is None


def test_a_rejected_one_is_kept_with_what_was_said_instead(
    tenant: Tenant, browser: Client, agent: User, conversation: Conversation, says: Any
) -> None:
    says(PERMIT)
    one = suggested(tenant, conversation, agent)
    browser.post(at(tenant, f"desk/{conversation.pk}/suggestion/reject/"))
    assert PERMIT not in text_of(browser.get(at(tenant, f"desk/{conversation.pk}/")))
    say(browser, tenant, conversation, text="请稍等，我问一下同事。")
    say(browser, tenant, conversation, text="好了。", suggestion=str(one.pk))
    with tenant_scope(tenant):
        one.refresh_from_db()
        assert one.verdict == "rejected"
        assert one.sent is not None
        assert one.sent.text == "请稍等，我问一下同事。"


def test_asking_for_a_person_is_not_what_is_answered(
    tenant: Tenant, agent: User, inbox: Inbox
) -> None:
    found = handed_over(tenant, inbox, "退换货政策是什么", "转人工")
    one = suggested(tenant, found, agent)
    assert one.text == "签收后七天内无理由退货，生鲜除外。"
    assert one.outcome == "passage"
    assert one.prompt[-1]["content"].endswith("退换货政策是什么")
    only = handed_over(tenant, inbox, "转人工")
    with tenant_scope(tenant), pytest.raises(ApplicationError, match="nothing_to_answer"):
        suggesting.suggest_reply(conversation=only, agent=agent)


def test_where_nothing_is_known_nothing_is_suggested(
    tenant: Tenant, browser: Client, agent: User, inbox: Inbox
) -> None:
    found = handed_over(tenant, inbox, "xylophone zyzzyva?")
    assert suggested(tenant, found, agent).text == ""
    page = text_of(browser.get(at(tenant, f"desk/{found.pk}/")))
    assert "Nothing in the knowledge answers this" in page


def test_an_engine_that_is_away_is_said_with_its_code(
    tenant: Tenant,
    browser: Client,
    agent: User,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(**_call: Any) -> Iterator[Piece]:
        raise EngineUnavailableError("no engine")
        yield

    monkeypatch.setattr(pipeline.client, "stream", away)
    assert suggested(tenant, conversation, agent).state == "failed"
    assert "None could be written" in text_of(browser.get(at(tenant, f"desk/{conversation.pk}/")))
    with tenant_scope(tenant):
        suggesting.suggest_reply(conversation=conversation, agent=agent)
        assert Suggestion.objects.count() == 2


def test_while_the_bot_has_it_there_is_nothing_to_suggest(
    tenant: Tenant, browser: Client, inbox: Inbox
) -> None:
    with tenant_scope(tenant):
        found = make_conversation(inbox)
        ask(found, "退换货政策是什么")
    address = at(tenant, f"desk/{found.pk}/suggestion/")
    refused = browser.post(address, headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (409, "with_bot")
    assert "ask-suggestion" not in text_of(browser.get(at(tenant, f"desk/{found.pk}/")))


def test_a_suggestion_is_its_agents_own_and_its_companys(
    tenant: Tenant, agent: User, conversation: Conversation, says: Any
) -> None:
    says(PERMIT)
    one = suggested(tenant, conversation, agent)
    colleague = Client()
    colleague.force_login(make_member(tenant, "agent", email="zhao@example.com"))
    colleague.post(at(tenant, f"desk/{conversation.pk}/suggestion/reject/"))
    say(colleague, tenant, conversation, text=PERMIT, suggestion=str(one.pk))
    other = make_tenant("other")
    foreign = Client()
    foreign.force_login(make_member(other, "owner", email="x@example.com"))
    address = at(other, f"desk/{conversation.pk}/suggestion/reject/")
    assert foreign.post(address).status_code == 404
    assert foreign.get(at(other, f"desk/{conversation.pk}/suggestion/")).status_code == 404
    with tenant_scope(tenant):
        one.refresh_from_db()
        assert (one.verdict, one.sent) == ("", None)
        assert Message.objects.filter(text=PERMIT).exists()
