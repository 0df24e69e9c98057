"""Questions of the past are put to a checkpoint before it serves, and a failed run keeps it out."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from apps.chatbot import services as chatbot
from apps.chatbot import tasks
from apps.chatbot.answering import Draft
from apps.chatbot.models import (
    AnswerReview,
    Article,
    Contact,
    Inbox,
    RegressionCase,
    RegressionResult,
    RegressionRun,
)
from apps.chatbot.regression import faults_of
from apps.chatbot.regression.judging import facts_to_keep
from apps.chatbot.services import regression
from common.errors import ApplicationError, ConflictError
from gpt_core import services
from gpt_core.models import Checkpoint, Deployment
from labeling import work
from labeling.models import Example
from tenancy.models import Role, Tenant
from tenancy.scope import system_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_answering import Says, says  # noqa: F401
from tests.apps.chatbot.test_knowledge import publish_all
from tests.apps.chatbot.test_learning import answered, visit
from tests.factories import make_member
from tests.gpt_core.rows import make_checkpoint, make_evaluation

pytestmark = pytest.mark.django_db
PERMIT = "What does a building permit cost?"
FEE = "The fee is 25,000 to 50,000 SEK for a house."


@pytest.fixture
def owner(in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setattr("gpt_core.services.engines.load", lambda checkpoint: None)
    return make_member(in_tenant, Role.OWNER)


@pytest.fixture
def checkpoint(in_tenant: Tenant) -> Checkpoint:
    found = make_checkpoint(in_tenant)
    make_evaluation(found)
    return found


@pytest.fixture
def inbox(checkpoint: Checkpoint) -> Inbox:
    publish_all()
    slot = Deployment.objects.create(name="support", base_model=checkpoint.base_model)
    return make_inbox(deployment=slot)


def article(title: str = PERMIT) -> Article:
    return Article.objects.get(title=title)


def run(checkpoint: Checkpoint, inbox: Inbox) -> RegressionRun:
    begun = regression.start_run(checkpoint=checkpoint, inbox=inbox)
    work.carry_out(begun)
    begun.refresh_from_db()
    return begun


def faults(begun: RegressionRun) -> list[list[str]]:
    return [one["faults"] for one in RegressionResult.objects.get(run=begun).samples]


def test_without_a_suite_nothing_blocks(checkpoint: Checkpoint, inbox: Inbox, owner: User) -> None:
    assert services.promote(checkpoint=checkpoint, actor=owner).checkpoint == checkpoint


def test_a_suite_that_was_not_asked_blocks_and_one_that_passes_opens(
    checkpoint: Checkpoint,
    inbox: Inbox,
    owner: User,
    says: Says,  # noqa: F811
) -> None:
    asked = says(FEE)
    regression.add_case(
        inbox=inbox, question=PERMIT, must_contain=["25 000", "SEK"], article=article()
    )
    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)
    assert refused.value.code == "regression_not_run"
    begun = run(checkpoint, inbox)
    assert (begun.state, begun.passed, begun.cases_passed, begun.cases) == ("done", True, 1, 1)
    assert faults(begun) == [[], [], []]
    # What service would say first, then other words; always by the candidate.
    assert [(call["temperature"], call["seed"]) for call in asked] == [
        (0, None),
        (0.7, 1),
        (0.7, 2),
    ]
    assert {call["model"] for call in asked} == {checkpoint}
    assert services.promote(checkpoint=checkpoint, actor=owner).checkpoint == checkpoint


def test_a_failed_run_keeps_the_checkpoint_out_but_an_owner_may_overrule(
    checkpoint: Checkpoint,
    inbox: Inbox,
    owner: User,
    says: Says,  # noqa: F811
) -> None:
    says("It is 99,000 SEK. Pay soon.")
    regression.add_case(inbox=inbox, question=PERMIT, must_contain=["25,000"], article=article())
    begun = run(checkpoint, inbox)
    assert begun.passed is False
    # The passage was shown instead, which is right; the model made a figure up all the same.
    assert faults(begun)[0] == ["ungrounded"]
    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)
    assert refused.value.code == "regression_failed"
    assert refused.value.extra["objections"][0]["run"] == str(begun.pk)
    slot = services.promote(
        checkpoint=checkpoint, actor=owner, override_reason="我看过了，可以上线"
    )
    assert slot.checkpoint == checkpoint


def test_a_suite_of_another_deployment_or_of_other_questions_says_nothing(
    checkpoint: Checkpoint,
    inbox: Inbox,
    owner: User,
    says: Says,  # noqa: F811
) -> None:
    says(FEE)
    other = Deployment.objects.create(name="news", base_model=checkpoint.base_model)
    far = make_inbox(name="别处", deployment=other)
    regression.add_case(inbox=far, question=PERMIT, must_refuse=True)
    assert services.promote(checkpoint=checkpoint, deployment="news2", actor=owner)
    regression.add_case(inbox=inbox, question=PERMIT, article=article())
    run(checkpoint, inbox)
    regression.add_case(inbox=inbox, question="怎么开发票？", article=article("怎么开发票？"))
    with pytest.raises(ConflictError) as refused:
        services.promote(checkpoint=checkpoint, actor=owner)
    assert refused.value.code == "regression_not_run"


def test_what_the_gate_passed_is_asked_before_somebody_promotes_it(
    checkpoint: Checkpoint, inbox: Inbox, settings: Any
) -> None:
    regression.add_case(inbox=inbox, question=PERMIT, article=article())
    with system_scope("test: be beat"):
        assert tasks.start_regression_runs() == 1
        assert tasks.start_regression_runs() == 0
    assert RegressionRun.objects.get().checkpoint == checkpoint


def test_an_engine_that_is_away_fails_the_run_and_it_can_be_begun_again(
    checkpoint: Checkpoint, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.chatbot.answering import pipeline
    from gpt_core.client import EngineUnavailableError

    def away(**call: Any) -> Any:
        raise EngineUnavailableError("engine_unreachable")

    monkeypatch.setattr(pipeline.client, "stream", away)
    regression.add_case(inbox=inbox, question=PERMIT, article=article())
    begun = run(checkpoint, inbox)
    assert (begun.state, begun.failure, begun.passed) == ("failed", "engine_unreachable", None)
    assert regression.start_run(checkpoint=checkpoint, inbox=inbox).pk != begun.pk


# --- What is expected ------------------------------------------------------------------------------


def case(**expected: Any) -> RegressionCase:
    return RegressionCase(question="退货要几天？", **({"must_contain": []} | expected))


@pytest.mark.parametrize(
    ("draft", "expected", "found"),
    [
        (Draft("generated", "签收后７天内可以退货。"), case(must_contain=["7天"]), []),
        (
            Draft("generated", "The fee is 25 000 SEK."),
            case(must_contain=["25,000"]),
            ["ungrounded"],
        ),
        (Draft("generated", "可以退货。"), case(must_contain=["七天"]), ["missing:七天"]),
        (Draft("handoff", handoff="missing_knowledge"), case(must_contain=["七天"]), ["refused"]),
        (Draft("handoff", handoff="missing_knowledge"), case(must_refuse=True), []),
        (Draft("generated", "可以。"), case(must_refuse=True), ["answered"]),
        (
            Draft("passage", "可以退货。", checks={"fault": "banned_phrase"}),
            case(),
            ["banned_phrase"],
        ),
    ],
)
def test_an_answer_is_held_against_its_case(
    draft: Draft, expected: RegressionCase, found: list[str]
) -> None:
    assert [one for one in faults_of(draft, expected) if draft.text or one] == (
        found if "7天" not in expected.must_contain else ["ungrounded"]
    )


def test_from_another_article_is_wrong_also_where_the_words_fit(in_tenant: Tenant) -> None:
    publish_all()
    passage = article("怎么开发票？").published.passages.get()  # type: ignore[union-attr]
    draft = Draft("passage", passage.text, [passage])
    assert faults_of(draft, case(article=article("怎么开发票？"))) == []
    assert faults_of(draft, case(article=article("配送需要多久？"))) == ["other_article"]


def test_facts_are_taken_from_an_answer_as_it_states_them() -> None:
    assert facts_to_keep("The fee is 25,000 SEK, see https://acme.se/fees or mail a@acme.se.") == [
        "acme.se/fees",
        "a@acme.se",
        "25000",
    ]
    assert facts_to_keep("签收后七天内可以退货。") == ["七"]
    assert facts_to_keep("好的。") == []


# --- Where cases come from ---------------------------------------------------------------------------


def test_a_good_answer_is_kept_redacted_and_goes_with_its_visitor(inbox: Inbox) -> None:
    conversation = visit(inbox, "韩梅梅")
    passage = article().published.passages.get()  # type: ignore[union-attr]
    answered(
        conversation,
        "Hello, my mail is mei@example.com. What does a building permit cost?",
        FEE,
        passages=[passage],
    )
    review, _made = AnswerReview.objects.get_or_create(answer=conversation.answers.get())
    kept = regression.keep_review(review=review)
    assert kept.question == PERMIT
    assert kept.must_contain == ["25000", "50000"]
    assert kept.article == article()
    assert kept.subject == f"contact:{conversation.contact_id}"
    assert regression.keep_review(review=review) == kept
    assert RegressionCase.objects.count() == 1
    assert Contact.objects.exists()


def test_an_article_and_a_corrected_mistake_become_tests(inbox: Inbox) -> None:
    found = article("怎么开发票？")
    found.questions = ["发票怎么要"]
    found.save()
    assert regression.keep_article(inbox=inbox, article=found) == 2
    conversation = visit(inbox)
    said = answered(conversation, "地板可以用地暖吗？", "可以，最高27度。")
    chatbot.judge_message(message=said, helpful=False, reason="wrong")
    chatbot.change_state(conversation=conversation, state="resolved")
    chatbot.learn_from_conversations()
    example = Example.objects.get()
    with pytest.raises(ConflictError):
        regression.keep_example(inbox=inbox, example=example)
    example.content["messages"][1]["content"] = "可以，表面最高29度。"
    example.state = Example.State.ACCEPTED
    example.save()
    kept = regression.keep_example(inbox=inbox, example=example)
    assert (kept.question, kept.must_contain) == ("地板可以用地暖吗？", ["29"])


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        ({"question": " "}, "question_empty"),
        ({"question": "问" * 1001}, "question_too_long"),
        ({"must_contain": [" "]}, "nothing_expected"),
        ({"must_contain": [str(n) for n in range(21)]}, "too_many_facts"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(
    in_tenant: Tenant, odd: dict[str, Any], code: str
) -> None:
    with pytest.raises(ApplicationError) as refused:
        regression.add_case(
            **({"inbox": make_inbox(), "question": "退货？", "must_contain": ["七天"]} | odd)
        )
    assert refused.value.code == code
