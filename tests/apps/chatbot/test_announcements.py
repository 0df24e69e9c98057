"""What happens in conversations is told to webhooks: once, in its order, and without anybody's words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Conversation
from apps.chatbot.services import knowledge
from tenancy.models import Tenant
from tenancy.webhooks.models import WebhookEvent
from tenancy.webhooks.services import create_endpoint
from tenancy.webhooks.types import EVENT_TYPES
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.factories import make_member

pytestmark = pytest.mark.django_db
OURS = {
    one
    for one in EVENT_TYPES
    if one.startswith(("conversation.", "message.", "feedback.", "article.", "trial."))
}


@pytest.fixture
def listened(in_tenant: Tenant) -> Tenant:
    create_endpoint(url="https://example.com/parley")
    return in_tenant


def told() -> list[tuple[str, dict[str, Any]]]:
    return list(WebhookEvent.objects.order_by("created_at", "pk").values_list("type", "data"))


def test_a_conversation_is_told_from_its_beginning_to_its_second_end(listened: Tenant) -> None:
    agent = make_member(listened, "agent")
    conversation = make_conversation()
    ask(conversation, "我的订单秘密号码是多少？")
    services.hand_off(conversation=conversation, reason="customer_request")
    say = {"conversation": conversation, "role": "agent", "author": agent}
    services.post_message(**say, text="内部秘密", private=True)
    message = services.post_message(**say, text="秘密已发送").message
    services.change_state(conversation=conversation, state="resolved", actor=agent)
    services.rate_conversation(conversation=conversation, score=5, comment="秘密很好")
    services.reopen(conversation=conversation)
    services.change_state(conversation=conversation, state="resolved", actor=agent)
    ask(conversation, "还有一个秘密")
    assert [one for one, _data in told()] == [
        "conversation.created",
        "message.created",
        "conversation.handed_off",
        "message.created",
        "conversation.resolved",
        "conversation.rated",
        "conversation.reopened",
        "conversation.resolved",
        "message.created",
        "conversation.reopened",
    ]
    said = [data for _one, data in told()]
    assert said[2]["reason"] == "customer_request"
    assert (said[3]["id"], said[3]["role"]) == (str(message.pk), "agent")
    assert said[3]["conversation"]["id"] == str(conversation.pk)
    assert said[5]["score"] == 5
    assert "秘密" not in json.dumps(said, ensure_ascii=False)


def test_what_the_bot_solved_is_told_to_be_open_when_somebody_takes_it(listened: Tenant) -> None:
    conversation = make_conversation()
    services.change_state(conversation=conversation, state="resolved")
    services.take_over(conversation=conversation, agent=make_member(listened, "agent"))
    assert [one for one, _data in told()] == [
        "conversation.created",
        "conversation.resolved",
        "conversation.reopened",
        "conversation.handed_off",
    ]
    assert conversation.resolved_at is None


def test_thumbs_and_articles_are_told(listened: Tenant) -> None:
    message = ask(make_conversation(make_inbox())).message
    services.judge_message(message=message, helpful=False, reason="wrong", comment="秘密")
    article = knowledge.write_article(title="退货", body="七天内", language="zh")
    knowledge.publish_article(article=article)
    feedback, published = told()[-2:]
    assert feedback[0] == "feedback.given"
    assert (feedback[1]["helpful"], feedback[1]["reason"]) == (False, "wrong")
    assert published == (
        "article.published",
        {"id": str(article.pk), "external_id": "", "language": "zh", "version": 1},
    )


def test_what_is_undone_is_not_told(listened: Tenant) -> None:
    conversation = make_conversation()
    with pytest.raises(ValueError, match="无"):
        _say_and_fail(conversation)
    assert [one for one, _data in told()] == ["conversation.created"]


def _say_and_fail(conversation: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        ask(conversation)
        raise ValueError("无")


def test_every_type_that_is_promised_of_support_is_told_somewhere() -> None:
    from pathlib import Path

    from apps.chatbot import announcements, services

    sources = [Path(announcements.__file__), *Path(services.__file__).parent.glob("*.py")]
    source = "".join(path.read_text() for path in sources)
    assert {one for one in OURS if f'"{one}"' not in source} == set()


def test_a_conversation_that_nobody_answered_in_time_is_told_once(listened: Tenant) -> None:
    conversation = make_conversation(make_inbox(first_response_minutes=30))
    ask(conversation, "有人吗？秘密")
    services.hand_off(conversation=conversation, reason="customer_request")
    Conversation.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    assert services.note_overdue_conversations() == 1
    assert services.note_overdue_conversations() == 0
    late = [data for name, data in told() if name == "conversation.overdue"]
    assert [(one["id"], one["target"]) for one in late] == [(str(conversation.pk), "first")]
    assert "秘密" not in json.dumps(late, ensure_ascii=False)
