"""From question to answer: what is shown stands in the passages; what does not goes another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.chatbot import tasks
from apps.chatbot.answering import checks, pipeline
from apps.chatbot.answering.prompts import NOT_HERE, messages_for, says_not_here
from apps.chatbot.answering.understanding import language_of, understand
from apps.chatbot.models import Answer, Conversation, Handoff, Inbox, Message
from gpt_core.client import EngineUnavailableError, Piece
from gpt_core.models import Deployment
from labeling.grounding import grounded_question, rendered
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.chatbot.test_knowledge import publish_all
from tests.apps.portal.scenes import make_base

Says = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """`asked = says("...")`: what the engine will answer, word by word; `asked` are its calls."""

    def will_say(text: str) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def stream(**call: Any) -> Iterator[Piece]:
            calls.append(call)
            for word in text.split(" "):
                yield Piece(f"{word} ")
            yield Piece("", "stop")

        monkeypatch.setattr(pipeline.client, "stream", stream)
        return calls

    return will_say


@pytest.fixture
def inbox(in_tenant: Tenant) -> Inbox:
    publish_all()
    base = make_base()
    return make_inbox(deployment=Deployment.objects.create(name="support", base_model=base))


def answered(conversation: Conversation, question: str) -> Answer:
    posted = ask(conversation, question)
    with system_scope("test: be the worker"):
        assert tasks.write_answers() == 1
    conversation.refresh_from_db()
    assert posted.answer is not None
    posted.answer.refresh_from_db()
    return posted.answer


def test_a_grounded_answer_is_said_with_its_source(inbox: Inbox, says: Says) -> None:
    asked = says("The fee is 25,000 to 50,000 SEK for a house. It depends on the size.")
    answer = answered(make_conversation(inbox), "What is the cost of a building permit?")
    assert answer.state == "done"
    assert answer.outcome == "generated"
    assert answer.message is not None
    assert answer.message.text.startswith("The fee is 25,000")
    cited = [one.passage.version.title for one in answer.citations.all()]
    assert cited[0] == "What does a building permit cost?"
    prompt = asked[0]["messages"][-1]["content"]
    assert prompt.startswith("[1] What does a building permit cost?\n")
    assert prompt.endswith("What is the cost of a building permit?")
    assert answer.knowledge_revision == 0 or answer.model


def test_a_made_up_figure_is_never_shown(inbox: Inbox, says: Says) -> None:
    says("The fee is due to the municipality. It is 99,000 SEK. Pay soon.")
    answer = answered(make_conversation(inbox), "What is the cost of a building permit?")
    assert answer.message is not None
    assert answer.message.text == "The fee is due to the municipality."
    assert answer.checks["fault"] == "ungrounded"


def test_where_nothing_may_be_shown_the_passage_stands_in(inbox: Inbox, says: Says) -> None:
    says("It is 99,000 SEK.")
    answer = answered(make_conversation(inbox), "What is the cost of a building permit?")
    assert answer.outcome == "passage"
    assert answer.message is not None
    assert "25,000 to 50,000 SEK" in answer.message.text


@pytest.mark.parametrize(
    ("text", "is_refusal"),
    [
        (NOT_HERE["en"], True),
        (NOT_HERE["zh"], True),
        ("Not in the articles.", True),
        ("不好意思，资料里没有这方面内容。", True),
        ("The articles of association are needed.", False),
        ("资料要在七天内交齐。", False),
    ],
)
def test_a_refusal_is_known_again_though_words_are_missing(text: str, is_refusal: bool) -> None:
    assert says_not_here(text) is is_refusal


@pytest.mark.parametrize(
    ("confidence", "outcome", "reason"),
    [(0.95, "passage", ""), (0.7, "handoff", "missing_knowledge")],
)
def test_where_the_model_finds_nothing_the_surest_passage_stands_or_people_come(
    inbox: Inbox, says: Says, monkeypatch: pytest.MonkeyPatch,
    confidence: float, outcome: str, reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(pipeline, "confidence_of", lambda found: confidence)
    says(f"{NOT_HERE['en']} Ask somebody else.")
    conversation = make_conversation(inbox)
    answer = answered(conversation, "What is the cost of a building permit?")
    assert answer.outcome == outcome
    assert answer.checks["fault"] == "not_in_passages"
    assert NOT_HERE["en"] not in (answer.message.text if answer.message else "")
    assert [one.reason for one in conversation.handoffs.all()] == ([reason] if reason else [])


def test_a_base_that_writes_no_chinese_hands_out_the_passage(inbox: Inbox, says: Says) -> None:
    asked = says("This must not be asked.")
    answer = answered(make_conversation(inbox), "退换货政策是什么")
    assert answer.outcome == "passage"
    assert answer.message is not None
    assert answer.message.text == "签收后七天内无理由退货，生鲜除外。"
    assert asked == []


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Can you recommend a xylophone teacher?", "missing_knowledge"),
        ("今天天气怎么样", "missing_knowledge"),
        ("I want to talk to a human", "customer_request"),
        ("转人工", "customer_request"),
        ("人工客服", "customer_request"),
    ],
)
def test_what_is_not_known_goes_to_people(
    inbox: Inbox, says: Says, question: str, reason: str
) -> None:
    says("I can tell you anything.")
    conversation = make_conversation(inbox)
    answer = answered(conversation, question)
    assert answer.outcome == "handoff"
    assert conversation.owner == "people"
    assert Handoff.objects.get().reason == reason
    assert not Message.objects.filter(role="assistant").exists()


def test_an_engine_that_is_away_is_tried_again_and_then_people_come(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(**call: Any) -> Iterator[Piece]:
        raise EngineUnavailableError
        yield

    monkeypatch.setattr(pipeline.client, "stream", stream)
    conversation = make_conversation(inbox)
    posted = ask(conversation, "What does a building permit cost?")
    assert posted.answer is not None
    for _attempt in range(4):
        Answer.objects.filter(pk=posted.answer.pk).update(lease_until=None)
        with system_scope("test: be the worker"):
            assert tasks.write_answers() == 1
    conversation.refresh_from_db()
    posted.answer.refresh_from_db()
    assert posted.answer.attempt == 4
    assert posted.answer.failure_code == "engine_unavailable"
    assert conversation.owner == "people"


def test_a_following_question_is_looked_up_with_the_one_before(inbox: Inbox, says: Says) -> None:
    says("The municipality decides.")
    conversation = make_conversation(inbox)
    answered(conversation, "How long does a building permit take?")
    answer = answered(conversation, "And what does it cost?")
    assert answer.query == "How long does a building permit take?\nAnd what does it cost?"


@pytest.mark.parametrize(
    ("text", "made_up"),
    [
        ("It costs 25 000 SEK.", []),
        ("It costs 250,000 SEK.", ["number:250000"]),
        ("Ten weeks.", []),
        ("Twelve weeks.", ["word:twelve"]),
        ("See https://www.acme.example/fees.", []),
        ("See acme.evil.com", ["link:acme.evil.com"]),
        ("Write to help@acme.example", []),
        ("Write to boss@acme.example", ["mail:boss@acme.example"]),
        ("需要 25,000 元", []),
        ("需要三百元", ["word:三百"]),
        ("２５０００ 克朗", []),
    ],
)
def test_every_figure_of_an_answer_stands_in_its_sources(text: str, made_up: list[str]) -> None:
    sources = [
        "The fee is 25,000 SEK and the decision takes ten weeks.",
        "acme.example/fees, help@acme.example https://acme.example/fees",
    ]
    assert checks.ungrounded(text, sources) == made_up


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("We are happy to help.", ""),
        ("  ", "empty"),
        ("好" * 2000, "too_long"),
        ("We help you gladly. " * 4, "repetition"),
        ("我们很乐意帮助您。", "language"),
        ("Please call our  COMPETITOR now.", "banned_phrase"),
    ],
)
def test_words_are_checked_before_they_are_shown(text: str, fault: str) -> None:
    found = checks.refused(text, sources=[], language="en", banned=["our competitor"])
    assert found == fault


def test_sentences_put_together_are_the_text() -> None:
    text = "First one. Second！第三句。“真的？” Last\nline"
    assert "".join(checks.sentences(text)) == text
    assert len(checks.sentences(text)) > 4


@pytest.mark.parametrize(
    ("text", "language"),
    [("怎么退货", "zh"), ("iPhone 15 怎么退货", "zh"), ("How are you", "en"), ("123 ?", "")],
)
def test_the_language_is_that_of_most_signs(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text", ["What is a human error?", "人工费多少钱？", "Who is the person in charge of safety?"]
)
def test_speaking_of_people_is_not_asking_for_one(text: str) -> None:
    assert not understand(text, earlier=[]).wants_person


@pytest.mark.parametrize(
    ("earlier", "question", "leans_on"),
    [
        (["What does the Ember cost?"], "and how tall is it?", "What does the Ember cost?"),
        (
            [
                "Hello",
                "What does the Ember cost?",
                "and how tall is it?",
                "and its bulb, is it E14?",
            ],
            "how do I clean it?",
            "What does the Ember cost?",
        ),
        (["晨曦台灯多少钱？", "它有多高？"], "那发货呢？", "晨曦台灯多少钱？"),
        (["and how tall is it?"], "what about it?", "and how tall is it?"),
        (["What does the Ember cost?"], "Do you ship to Finland?", ""),
        ([], "and how tall is it?", ""),
    ],
)
def test_a_question_leans_on_the_last_one_that_stands_by_itself(
    earlier: list[str], question: str, leans_on: str
) -> None:
    said = [Message(text=text) for text in earlier]
    assert understand(question, earlier=said).leans_on == leans_on


def test_the_model_gets_turns_that_alternate() -> None:
    turns = [
        Message(role=role, text=text)
        for role, text in [
            ("assistant", "hello"), ("user", "a"), ("user", "b"), ("agent", "c"), ("user", "d"),
        ]
    ]  # fmt: skip
    found = messages_for("e", passages=[], earlier=turns)
    assert [one["role"] for one in found] == ["user", "assistant", "user"]
    assert found[0]["content"] == "a\nb"


def test_a_row_with_passages_is_trained_as_it_is_asked() -> None:
    passages = [{"title": "费用", "text": "每平方米 200 元。"}]
    row = {
        "id": "1",
        "messages": [
            {"role": "user", "content": "多少钱"},
            {"role": "assistant", "content": "每平方米 200 元。"},
        ],
        "passages": passages,
    }
    shown = rendered(row)["messages"][0]["content"]
    assert shown == messages_for("多少钱", passages=passages)[0]["content"]
    assert shown == grounded_question(passages, "多少钱")
    assert row["messages"][0]["content"] == "多少钱", "the frozen row stays what it is"
