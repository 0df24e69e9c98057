"""Conversations that are over become drafts to review, once each, without anybody's data, and questions
without an article are gathered until one is written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.chatbot import learning, services
from apps.chatbot.models import (
    Answer,
    Contact,
    Conversation,
    Gap,
    GapQuestion,
    Inbox,
    Message,
    Suggestion,
)
from apps.chatbot.services import knowledge
from labeling.models import Example, LabelingTask
from tenancy.models import Tenant
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox

pytestmark = pytest.mark.django_db


def answered(conversation: Conversation, question: str, text: str = "", **more: object) -> Message:
    """The bot's message; without a text, a hand-over for lack of knowledge."""
    answer = ask(conversation, question).answer
    assert answer is not None
    Answer.objects.filter(pk=answer.pk).claim()
    answer.refresh_from_db()
    given = {"text": text, "outcome": "generated", "confidence": 0.8}
    if not text:
        given = {"outcome": "handoff", "handoff": "missing_knowledge", "confidence": 0.2}
    said = services.end_answer(answer, **(given | more))
    return said  # type: ignore[return-value]


def reply(conversation: Conversation, text: str, **more: object) -> Message:
    return services.post_message(conversation=conversation, role="agent", text=text, **more).message


def solve(conversation: Conversation) -> None:
    services.change_state(conversation=conversation, state="resolved")


def drafts() -> list[tuple[str, str, str]]:
    """(why, question, answer)"""
    return [
        (one.source_ref.partition("/")[0], *(m["content"] for m in one.content["messages"]))
        for one in Example.objects.order_by("created_at")
    ]


@pytest.fixture
def inbox(in_tenant: Tenant) -> Inbox:
    return make_inbox()


def visit(inbox: Inbox, name: str = "李雷") -> Conversation:
    return make_conversation(inbox, contact=Contact.objects.create(name=name))


def test_what_people_answer_after_a_handoff_is_a_draft_with_its_place(inbox: Inbox) -> None:
    conversation = visit(inbox)
    answered(conversation, "您好，请问实木地板能用蒸汽拖把吗？")
    ask(conversation, "转人工")
    said = reply(conversation, "不建议使用蒸汽拖把，高温会让地板变形，请用微湿的布擦拭。")
    reply(conversation, "内部备注", private=True)
    solve(conversation)
    assert services.learn_from_conversations() == 1
    assert drafts() == [
        (
            "answered",
            "请问实木地板能用蒸汽拖把吗？",
            "不建议使用蒸汽拖把，高温会让地板变形，请用微湿的布擦拭。",
        )
    ]
    example = Example.objects.get()
    assert example.source_ref == f"answered/{said.pk}"
    assert example.source_kind == Example.Source.MESSAGE
    assert example.subject == example.group == f"contact:{conversation.contact_id}"
    assert example.state == Example.State.DRAFT
    inbox.refresh_from_db()
    assert example.dataset == inbox.dataset
    assert LabelingTask.objects.get().dataset == inbox.dataset


def test_thumbs_say_which_of_the_bots_answers_to_look_at(inbox: Inbox) -> None:
    conversation = visit(inbox)
    bad = answered(conversation, "Do you deliver on Sundays?", "We deliver on working days only.")
    good = answered(conversation, "Can I pay by invoice?", "Invoices are sent with each delivery.")
    services.judge_message(message=bad, helpful=False, reason="incomplete")
    services.judge_message(message=good, helpful=True)
    solve(conversation)
    services.learn_from_conversations()
    assert [why for why, *_rest in drafts()] == ["thumb_down", "thumb_up"]


def test_a_thumb_that_comes_later_or_turns_is_followed_until_somebody_has_looked(
    inbox: Inbox,
) -> None:
    conversation = visit(inbox)
    said = answered(conversation, "Do you deliver on Sundays?", "We deliver on working days only.")
    solve(conversation)
    services.learn_from_conversations()
    assert drafts() == []
    services.judge_message(message=said, helpful=True)
    services.learn_from_conversations()
    services.judge_message(message=said, helpful=False, reason="wrong")
    services.learn_from_conversations()
    assert [why for why, *_rest in drafts()] == ["thumb_down"]
    Example.objects.update(state=Example.State.ACCEPTED)
    services.judge_message(message=said, helpful=True)
    services.learn_from_conversations()
    assert [why for why, *_rest in drafts()] == ["thumb_down"]


def test_a_case_that_comes_back_puts_the_last_answer_in_question(inbox: Inbox) -> None:
    conversation = visit(inbox)
    answered(conversation, "怎么申请开发票？", "在订单页面点击按钮即可，电子发票一分钟内生成。")
    solve(conversation)
    services.learn_from_conversations()
    assert drafts() == []
    ask(conversation, "还是找不到那个按钮")
    solve(conversation)
    services.learn_from_conversations()
    assert drafts() == [
        ("reopened", "怎么申请开发票？", "在订单页面点击按钮即可，电子发票一分钟内生成。")
    ]


def test_looking_twice_makes_nothing_twice(inbox: Inbox) -> None:
    conversation = visit(inbox)
    answered(conversation, "Which glue fits bathroom tiles?")
    reply(conversation, "Use a flexible cement adhesive for tiles that get wet.")
    solve(conversation)
    assert services.learn_from_conversations() == 1
    assert services.learn_from_conversations() == 0
    Conversation.objects.update(learned_seq=0)
    services.learn_from_conversations()
    assert len(drafts()) == 1
    assert GapQuestion.objects.count() == 1


def test_no_personal_data_and_no_private_case_is_kept(inbox: Inbox) -> None:
    conversation = visit(inbox, "韩梅梅")
    answered(conversation, "我的手机是13812345678，快递到哪儿了？")
    reply(conversation, "您的订单已经发出，预计明天送到韩梅梅手上。")
    solve(conversation)
    other = visit(inbox, "Jane Öberg")
    answered(other, "My mail is jane@example.com. Can a wooden floor be heated from below?")
    reply(other, "Yes, up to 27 degrees at the surface, says every maker of our floors.")
    solve(other)
    services.learn_from_conversations()
    assert drafts() == [
        (
            "answered",
            "Can a wooden floor be heated from below?",
            "Yes, up to 27 degrees at the surface, says every maker of our floors.",
        )
    ]
    kept = " ".join(GapQuestion.objects.values_list("text", flat=True))
    assert "jane@" not in kept
    assert "138" not in kept


def test_what_is_still_going_on_is_left_alone(inbox: Inbox) -> None:
    conversation = visit(inbox)
    answered(conversation, "Which glue fits bathroom tiles?")
    assert services.tenants_with_conversations_to_learn_from() == []
    assert services.learn_from_conversations() == 0
    Conversation.objects.update(updated_at=timezone.now() - timedelta(hours=2))
    assert services.learn_from_conversations() == 1


def test_what_was_proposed_and_sent_otherwise_stands_beside_the_draft(inbox: Inbox) -> None:
    conversation = visit(inbox)
    answered(conversation, "Which glue fits bathroom tiles?")
    said = reply(conversation, "Use a flexible cement adhesive for tiles that get wet.")
    Suggestion.objects.create(
        conversation=conversation,
        question=conversation.messages.get(seq=1),
        text="Any glue. Or call 13812345678.",
        verdict=Suggestion.Verdict.EDITED,
        sent=said,
    )
    solve(conversation)
    services.learn_from_conversations()
    rejected = {"role": "assistant", "content": "Any glue. Or call [PHONE_1]."}
    assert Example.objects.get().preference == {"rejected": rejected}


# --- Unanswered questions --------------------------------------------------------------------------


def unanswered(inbox: Inbox, *questions: str) -> None:
    for question in questions:
        conversation = visit(inbox)
        answered(conversation, question)
        solve(conversation)
    services.learn_from_conversations()


def test_questions_are_gathered_by_their_matter_in_both_languages(inbox: Inbox) -> None:
    unanswered(
        inbox,
        "Can I have the facade painted in winter?",
        "Hello, can I have the facade painted in winter? Thanks",
        "Painting the facade in winter: can I have that?",
        "冬天可以刷外墙吗？",
        "你好，请问冬天可以刷外墙吗",
        "转人工",
        "好的",
    )
    asked = sorted(gap.questions.count() for gap in Gap.objects.open())
    assert asked == [2, 3]


def test_a_thumb_down_is_a_question_without_an_article_but_a_wrong_tone_is_none(
    inbox: Inbox,
) -> None:
    for question, reason in (("地板可以地暖吗？", "wrong"), ("门可以定做吗？", "rude")):
        conversation = visit(inbox)
        said = answered(conversation, question, "可以的，我们都能做，请放心联系我们。")
        services.judge_message(message=said, helpful=False, reason=reason)
        solve(conversation)
    services.learn_from_conversations()
    assert [one.text for one in GapQuestion.objects.all()] == ["地板可以地暖吗？"]
    assert GapQuestion.objects.get().why == GapQuestion.Why.THUMB_DOWN


def test_a_matter_goes_once_an_article_answers_it_and_comes_back_if_that_does_not_help(
    inbox: Inbox,
) -> None:
    unanswered(inbox, "冬天可以刷外墙吗？")
    other = knowledge.write_article(title="发票", body="在订单页面申请发票。", language="zh")
    knowledge.publish_article(article=other)
    assert services.tenants_with_gaps()
    assert learning.close_answered() == 0
    article = knowledge.write_article(
        title="冬天可以刷外墙吗", body="气温高于五度时冬天可以刷外墙。", language="zh"
    )
    assert learning.close_answered() == 0
    knowledge.publish_article(article=article)
    assert learning.close_answered() == 1
    assert not Gap.objects.open().exists()
    assert services.tenants_with_gaps() == []
    unanswered(inbox, "冬天可以刷外墙吗？")
    assert Gap.objects.open().get().questions.count() == 2


def test_what_was_dismissed_stays_away(inbox: Inbox) -> None:
    unanswered(inbox, "你们老板叫什么名字？")
    services.dismiss_gap(gap=Gap.objects.get())
    unanswered(inbox, "你们老板叫什么名字？")
    assert not Gap.objects.open().exists()
    assert Gap.objects.get().questions.count() == 2


def test_an_erased_visitor_leaves_no_words(inbox: Inbox) -> None:
    unanswered(inbox, "冬天可以刷外墙吗？")
    Contact.objects.all().delete()
    assert not GapQuestion.objects.exists()
    assert not Gap.objects.open().exists()
