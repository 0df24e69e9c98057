"""A support inbox in the middle of a day, for the pages of the desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Answer, CannedReply, Contact, Conversation, Suggestion
from apps.chatbot.services import knowledge
from apps.chatbot.services.replies import write_reply
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox


@dataclass(frozen=True)
class Desk:
    waiting: Conversation
    mine: Conversation
    with_bot: Conversation
    solved: Conversation
    reply: CannedReply


def tell(tenant: Tenant, agent: User) -> Desk:
    """One waits for a person, one is the agent's, one is with the bot, one is solved."""
    with tenant_scope(tenant):
        inbox = make_inbox(name="官网 website", allowed_origins=["https://acme.example"])
        article = knowledge.write_article(
            title="退货政策", body="收到后七天内可以退货，运费由我们承担。", language="zh-hans"
        )
        knowledge.publish_article(article=article)
        passage = article.versions.get().passages.get()
        waiting = make_conversation(
            inbox,
            contact=Contact.objects.create(name="李雷", email="li@example.com", language="zh-hans"),
            language="zh-hans",
            page="https://acme.example/orders",
        )
        answer = ask(waiting, "可以退货吗？").answer
        assert answer is not None
        Answer.objects.filter(pk=answer.pk).claim()
        answer.refresh_from_db()
        services.end_answer(
            answer,
            text="收到后七天内可以退货，运费由我们承担 [1]。",
            outcome="generated",
            confidence=0.82,
            passages=[passage],
        )
        asked = ask(waiting, "我的订单已经十天了，能不能破例？我想找人工客服。")
        services.hand_off(conversation=waiting, reason="customer_request")
        services.post_message(
            conversation=waiting,
            role="agent",
            author=None,
            text="老客户，去年买过三次。",
            private=True,
        )

        mine = make_conversation(
            inbox, contact=Contact.objects.create(name="Jane Öberg", language="en")
        )
        ask(mine, "My parcel says delivered, but nothing is here.")
        services.hand_off(conversation=mine, reason="missing_knowledge")
        services.post_message(
            conversation=mine,
            role="agent",
            author=agent,
            text="I am sorry. I have asked the carrier and write to you before noon.",
        )

        with_bot = make_conversation(inbox, contact=Contact.objects.create())
        ask(with_bot, "Do you measure for free?")

        solved = make_conversation(inbox, contact=Contact.objects.create(name="韩梅梅"))
        ask(solved, "谢谢，收到了")
        services.change_state(conversation=solved, state="resolved", actor=agent)
        Conversation.objects.filter(pk=waiting.pk).update(
            waiting_since=timezone.now() - timedelta(minutes=7)
        )
        waiting.refresh_from_db()
        Suggestion.objects.create(
            conversation=waiting,
            question=asked.message,
            actor=agent,
            state=Suggestion.State.DONE,
            text="收到后七天内可以退货；您的订单已满十天，我去问一下能否破例。",
            outcome="generated",
            passages=[{"title": "退货政策", "text": passage.text}],
        )
        reply = write_reply(
            shortcut="谢谢",
            language="zh-hans",
            text="{{contact.name}}您好，感谢您的来信。{{agent.name}}",
        )
        write_reply(shortcut="thanks", text="Thank you, {{contact.name}}. {{inbox.name}}")
    return Desk(waiting, mine, with_bot, solved, reply)
