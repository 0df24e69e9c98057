"""Messages have an order without gaps; a repeated send is one message; one question has one answer."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.chatbot import services
from apps.chatbot.models import Answer, Conversation, Event, Handoff, Message
from apps.chatbot.services.answers import AnswerLostError
from common.errors import ApplicationError, ConflictError
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def claimed() -> Answer:
    with system_scope("test: write an answer"):
        answer = services.claim_answer()
    assert answer is not None
    return answer


def let_the_pause_pass() -> None:
    Answer.objects.filter(state="waiting").update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_question_is_kept_with_the_answer_that_waits(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    posted = ask(conversation)
    assert posted.is_new
    assert posted.answer is not None
    assert posted.answer.state == "waiting"
    events = list(conversation.events.values_list("seq", "type"))
    assert events == [(1, "message.created"), (2, "answer.waiting")]
    assert conversation.last_seq == 2


def test_the_same_send_is_the_same_message_for_ever(in_tenant: Tenant) -> None:
    conversation, sent = make_conversation(), uuid.uuid4()
    first = ask(conversation, client_id=sent)
    again = ask(conversation, client_id=sent)
    assert again.message == first.message
    assert again.answer == first.answer
    assert not again.is_new
    with pytest.raises(ConflictError, match="message_id_reused"):
        ask(conversation, "别的", client_id=sent)
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "code"), [("  \n", "message_empty"), ("字" * 8001, "message_too_long")]
)
def test_what_is_no_message_changes_nothing(in_tenant: Tenant, text: str, code: str) -> None:
    conversation = make_conversation()
    with pytest.raises(ApplicationError, match=code):
        ask(conversation, text)
    assert not Event.objects.exists()


def test_an_answer_is_said_once(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    ask(conversation)
    answer = claimed()
    services.keep_writing(answer, "我们")
    services.end_answer(answer, text="我们免费测量。", outcome="generated", confidence=0.8)
    assert [m.text for m in conversation.messages.all()][-1] == "我们免费测量。"
    with pytest.raises(AnswerLostError):
        services.end_answer(answer, text="我们免费测量。", outcome="generated")
    assert Message.objects.filter(role="assistant").count() == 1
    with system_scope("test"):
        assert services.claim_answer() is None


def test_a_writer_that_was_given_up_writes_no_more(in_tenant: Tenant) -> None:
    ask(make_conversation())
    slow = claimed()
    services.keep_writing(slow, "从前")
    Answer.objects.update(lease_until=timezone.now() - timedelta(seconds=5))
    second = claimed()
    assert second.pk == slow.pk
    assert second.attempt == slow.attempt + 1
    assert second.text == ""
    with pytest.raises(AnswerLostError):
        services.keep_writing(slow, "从前有座山")
    with pytest.raises(AnswerLostError):
        services.end_answer(slow, text="从前有座山", outcome="generated")
    services.end_answer(second, text="好的。", outcome="generated")
    assert list(Message.objects.filter(role="assistant").values_list("text", flat=True)) == [
        "好的。"
    ]


def test_after_four_failed_attempts_people_are_asked(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    ask(conversation)
    for left in (True, True, True, False):
        assert services.give_back(claimed(), code="engine_unavailable") is left
        let_the_pause_pass()
    conversation.refresh_from_db()
    assert conversation.owner == "people"
    assert Handoff.objects.get().reason == "tool_failure"
    assert Answer.objects.get().state == "failed"


def test_an_answer_that_failed_waits_a_while_before_it_is_tried_again(in_tenant: Tenant) -> None:
    ask(make_conversation())
    first = claimed()
    assert services.give_back(first, code="engine_unavailable")
    with system_scope("test: be the worker"):
        assert services.claim_answer() is None
    let_the_pause_pass()
    assert claimed().pk == first.pk


def test_the_bot_is_silent_while_people_have_the_conversation(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    ask(conversation)
    writing = claimed()
    services.hand_off(conversation=conversation, reason="customer_request", summary="要退货")
    with pytest.raises(AnswerLostError):
        services.end_answer(writing, text="等等", outcome="generated")
    assert ask(conversation, "还在吗").answer is None
    assert conversation.waiting_since is not None
    agent = make_member(in_tenant, "agent")
    services.post_message(conversation=conversation, role="agent", text="在的", author=agent)
    assert conversation.waiting_since is None
    assert conversation.assignee == agent
    services.hand_back(conversation=conversation)
    assert ask(conversation, "谢谢").answer is not None
    assert conversation.context_from > 0


def test_a_private_note_is_not_a_word_to_the_visitor(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    ask(conversation)
    note = services.post_message(
        conversation=conversation, role="agent", text="老客户", private=True
    )
    assert conversation.owner == "bot"
    assert note.message.event.private


def test_a_bot_that_is_switched_off_leaves_the_conversation_to_people(in_tenant: Tenant) -> None:
    inbox = make_inbox()
    conversation = make_conversation(inbox)
    inbox.bot_enabled = False
    inbox.save()
    assert ask(conversation).answer is None
    assert conversation.owner == "people"


def test_a_solved_conversation_begins_anew(in_tenant: Tenant) -> None:
    conversation = make_conversation()
    ask(conversation)
    services.change_state(conversation=conversation, state="resolved")
    assert Answer.objects.get().state == "withdrawn"
    solved_at = conversation.context_from
    posted = ask(conversation, "又坏了")
    assert posted.answer is not None
    assert conversation.state == "pending"
    assert solved_at > 0
    assert Event.objects.filter(type="status", data__reopened=True).exists()


def test_tenants_take_turns_with_their_answers(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        for _number in range(5):
            ask(make_conversation())
    with tenant_scope(other_tenant):
        ask(make_conversation())
    first, second = claimed(), claimed()
    assert {first.tenant_id, second.tenant_id} == {tenant.pk, other_tenant.pk}


STEPS = st.lists(
    st.sampled_from(["ask", "repeat", "agent", "note", "off", "back", "write", "lose", "solve"]),
    max_size=25,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_whatever_happens_the_numbers_have_no_gap(in_tenant: Tenant, steps: list[str]) -> None:
    conversation = make_conversation(make_inbox(name=uuid.uuid4().hex))
    sent: list[uuid.UUID] = []
    for step in steps:
        match step:
            case "ask":
                sent.append(uuid.uuid4())
                ask(conversation, client_id=sent[-1])
            case "repeat" if sent:
                assert not ask(conversation, client_id=sent[-1]).is_new
            case "agent" | "note":
                services.post_message(
                    conversation=conversation, role="agent", text="好", private=step == "note"
                )
            case "off":
                services.hand_off(conversation=conversation, reason="missing_knowledge")
            case "back":
                services.hand_back(conversation=conversation)
            case "solve":
                services.change_state(conversation=conversation, state="resolved")
            case "write" | "lose":
                with system_scope("test"):
                    answer = services.claim_answer()
                if answer is not None and step == "write":
                    services.end_answer(answer, text="是", outcome="generated")
    conversation.refresh_from_db()
    numbers = list(Event.objects.filter(conversation=conversation).values_list("seq", flat=True))
    assert numbers == list(range(1, conversation.last_seq + 1))
    asked = Message.objects.filter(conversation=conversation, role="user").count()
    assert asked == len(sent)
    said = Message.objects.filter(conversation=conversation, role="assistant").count()
    assert said == Answer.objects.filter(conversation=conversation, state="done").count()
    Conversation.objects.filter(pk=conversation.pk).delete()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_lose_nothing_and_double_nothing(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        conversation = make_conversation()
    ids = [uuid.uuid4() for _number in range(20)]
    faults: list[BaseException] = []

    def send(mine: list[uuid.UUID]) -> None:
        try:
            with tenant_scope(tenant):
                for one in mine:
                    ask(Conversation.objects.get(pk=conversation.pk), client_id=one)
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    # Each id is sent by two threads at once.
    senders = [threading.Thread(target=send, args=(ids[k::4],)) for k in (0, 1, 2, 3, 0, 1, 2, 3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    assert not faults
    with tenant_scope(tenant):
        assert set(Message.objects.values_list("client_id", flat=True)) == set(ids)
        numbers = list(Event.objects.order_by("seq").values_list("seq", flat=True))
        assert numbers == list(range(1, 41))
