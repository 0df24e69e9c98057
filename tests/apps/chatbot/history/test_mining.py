"""What is a question with its answer, and why the rest is not."""

from __future__ import annotations

import pytest

from apps.chatbot.mining.rules import Pair, Skipped, pairs_of
from apps.chatbot.mining.turns import Turn, turns_of
from apps.chatbot.models import PastPart
from tests.apps.chatbot.history.files import ANSWER, ANSWER_ZH, QUESTION, QUESTION_ZH


def talk(*said: tuple[str, str]) -> list[Turn]:
    """Turns of (role, text); a "-" in front marks a private note."""
    return turns_of(
        PastPart(
            position=at,
            role=role.lstrip("-"),
            is_private=role.startswith("-"),
            text=text,
            attachments=text.count("[图片]") or int(not text),
        )
        for at, (role, text) in enumerate(said)
    )


def mined(*said: tuple[str, str]) -> list[tuple[str, str] | str]:
    return [
        (one.question, one.answer) if isinstance(one, Pair) else one.reason
        for one in pairs_of(talk(*said))
    ]


def test_bursts_of_both_sides_are_one_question_and_one_answer() -> None:
    assert mined(
        ("visitor", "Hi"),
        ("visitor", "How do I return shoes?"),
        ("visitor", "They do not fit."),
        ("agent", "Within 30 days of delivery."),
        ("agent", "Print the label in your profile."),
    ) == [
        (
            "How do I return shoes?\nThey do not fit.",
            "Within 30 days of delivery.\nPrint the label in your profile.",
        )
    ]
    assert mined(("visitor", "在吗"), ("visitor", QUESTION_ZH), ("agent", ANSWER_ZH)) == [
        (QUESTION_ZH, ANSWER_ZH)
    ]


def test_notes_robots_and_machines_answer_nothing() -> None:
    assert mined(("visitor", QUESTION), ("bot", ANSWER)) == ["bot_answered"]
    assert mined(("visitor", QUESTION), ("-agent", ANSWER)) == ["no_answer"]
    assert mined(("visitor", QUESTION), ("system", ANSWER)) == ["no_answer"]
    assert mined(("visitor", QUESTION), ("bot", "I fetch somebody."), ("agent", ANSWER)) == [
        (QUESTION, ANSWER)
    ]


def test_an_answer_may_come_after_a_request_for_patience() -> None:
    assert mined(
        ("visitor", QUESTION), ("agent", "Let me check."), ("visitor", "ok"), ("agent", ANSWER)
    ) == [(QUESTION, ANSWER)]
    assert mined(
        ("visitor", QUESTION_ZH), ("agent", "亲，稍等，我帮您查一下"), ("visitor", "好的"), ("agent", ANSWER_ZH)
    ) == [(QUESTION_ZH, ANSWER_ZH)]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        (QUESTION, "Please hold on, I will look into it and get back to you.", "incomplete"),
        (QUESTION_ZH, "您好，已经帮您反馈，请稍等", "incomplete"),
        (QUESTION, "Could you please send me your order number?", "asks_back"),
        (QUESTION_ZH, "麻烦您提供一下订单号", "asks_back"),
        (QUESTION, "https://example.com/returns", "link_only"),
        (QUESTION, "I have refunded you just now, it takes five days to arrive.", "private_case"),
        (QUESTION, "Your parcel is on its way and arrives tomorrow morning.", "private_case"),
        (QUESTION_ZH, "已为您申请退款，三天内原路退回到您的账户。", "private_case"),
        (QUESTION_ZH, "您的快递目前在上海中转，预计明天送到。", "private_case"),
        (QUESTION, "Write to [EMAIL_1] and they will send you a label.", "personal_data"),
        (QUESTION, "Yes.", "chatter"),
        (QUESTION_ZH, "好的，不客气", "chatter"),
        ("Thank you so much!", ANSWER, "chatter"),
        ("谢谢", ANSWER_ZH, "chatter"),
        ("My order is [ORDER_1].", ANSWER, "private_case"),
        ("Buy backlinks, rank your site on Google", ANSWER, "spam"),
        ("需要代开发票加微信", ANSWER_ZH, "spam"),
        ("[图片]", ANSWER_ZH, "file_only"),
        (QUESTION, "", "file_only"),
        (QUESTION, "word " * 2_000, "too_long"),
    ],
)
def test_what_teaches_nothing_is_skipped_with_its_reason(
    question: str, answer: str, reason: str
) -> None:
    assert mined(("visitor", question), ("agent", answer)) == [reason]


def test_what_makes_sense_only_behind_something_else_is_no_question_of_its_own() -> None:
    found = mined(
        ("visitor", QUESTION),
        ("agent", ANSWER),
        ("visitor", "And for Norway?"),
        ("agent", "The same within sixty days."),
        ("visitor", "那运费呢？"),
        ("agent", "由我们承担，不需要您付款。"),
        ("visitor", "Do you also repair shoes that are older than two years?"),
        ("agent", "We do, at cost, in any of our shops."),
    )
    assert [one if isinstance(one, str) else one[0] for one in found] == [
        QUESTION,
        "follow_up",
        "follow_up",
        "Do you also repair shoes that are older than two years?",
    ]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Hi [NAME_1],\n{ANSWER}\nBest regards,\n[NAME_2]\nCustomer care", f"Hi,\n{ANSWER}\nBest regards,"),
        (f"Dear [NAME_1],\n{ANSWER}", ANSWER),
        (f"[NAME_1]您好，{ANSWER_ZH}", f"您好，{ANSWER_ZH}"),
        (f"您好，我是客服[NAME_1]，很高兴为您服务。{ANSWER_ZH}", f"您好，{ANSWER_ZH}"),
        (f"My name is [NAME_1]. {ANSWER}", ANSWER),
    ],
)  # fmt: skip
def test_the_answer_keeps_its_voice_and_loses_its_people(said: str, kept: str) -> None:
    assert mined(("visitor", QUESTION), ("agent", said)) == [(QUESTION, kept)]


def test_a_question_is_kept_without_the_sentence_about_the_person() -> None:
    asked = f"Hello, {QUESTION} My name is [NAME_1], my number is [PHONE_1]. Thanks"
    assert mined(("visitor", asked), ("agent", ANSWER)) == [(QUESTION, ANSWER)]
    asked = f"您好，我的订单号是[ORDER_1]。{QUESTION_ZH}谢谢"
    assert mined(("visitor", asked), ("agent", ANSWER_ZH)) == [(QUESTION_ZH, ANSWER_ZH)]


def test_the_place_of_a_question_is_that_of_its_first_message() -> None:
    turns = talk(("agent", "Hello"), ("visitor", QUESTION), ("visitor", "?"), ("agent", ANSWER))
    assert pairs_of(turns) == [Pair(1, f"{QUESTION}\n?", ANSWER)]
    assert pairs_of(talk(("visitor", QUESTION))) == [Skipped(0, "no_answer")]
