"""A share of conversations goes to a checkpoint on trial, each stays on its side, and harm ends it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apps.chatbot import services as chatbot
from apps.chatbot import tasks
from apps.chatbot.models import CandidateTrial, Inbox, TrialPlace
from apps.chatbot.numbers import Share
from apps.chatbot.services import regression, trials
from apps.chatbot.trials import arms_of, does_worse
from apps.chatbot.trials.stopping import ALPHA, LEAST
from common.errors import ApplicationError, ConflictError
from gpt_core.models import Checkpoint, Deployment
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope
from tenancy.webhooks.models import WebhookEvent
from tenancy.webhooks.services import create_endpoint
from tests.apps.chatbot.makers import ask, make_inbox
from tests.apps.chatbot.test_answering import Says, says  # noqa: F401
from tests.apps.chatbot.test_knowledge import publish_all
from tests.apps.chatbot.test_learning import answered, solve, visit
from tests.gpt_core.rows import make_checkpoint, make_evaluation

pytestmark = pytest.mark.django_db
FEE = "The fee is 25,000 to 50,000 SEK for a house."


@pytest.fixture
def serving(in_tenant: Tenant) -> Checkpoint:
    return make_checkpoint(in_tenant)


@pytest.fixture
def candidate(in_tenant: Tenant, serving: Checkpoint) -> Checkpoint:
    found = make_checkpoint(in_tenant, base_model=serving.base_model)
    make_evaluation(found, champion=serving)
    return found


@pytest.fixture
def inbox(serving: Checkpoint) -> Inbox:
    publish_all()
    slot = Deployment.objects.create(
        name="support", base_model=serving.base_model, checkpoint=serving
    )
    return make_inbox(deployment=slot)


def sides(trial: CandidateTrial) -> list[bool]:
    return list(TrialPlace.objects.filter(trial=trial).values_list("is_candidate", flat=True))


def test_about_the_share_falls_to_the_candidate_and_stays_there(
    inbox: Inbox,
    candidate: Checkpoint,
    serving: Checkpoint,
    says: Says,  # noqa: F811
) -> None:
    visit(inbox)
    trial = trials.start_trial(inbox=inbox, checkpoint=candidate, share=30)
    for _ in range(200):
        visit(inbox)
    drawn = sides(trial)
    assert len(drawn) == 200
    assert 35 <= sum(drawn) <= 88  # 60 in the mean; beyond this once in ten thousand runs
    calls = says(FEE)
    for is_candidate, expected in ((True, candidate), (False, serving)):
        place = TrialPlace.objects.filter(is_candidate=is_candidate)[0]
        for question in ("What does a building permit cost?", "What does a permit cost, please?"):
            ask(place.conversation, question)
            with system_scope("test: be the worker"):
                tasks.write_answers()
            assert calls[-1]["model"] == expected
            answer = place.conversation.answers.order_by("-created_at")[0]
            assert answer.checkpoint == expected
    trials.stop_trial(trial=trial)
    place = TrialPlace.objects.filter(is_candidate=True)[0]
    ask(place.conversation, "What does a building permit cost?")
    with system_scope("test: be the worker"):
        tasks.write_answers()
    assert calls[-1]["model"] == serving
    visit(inbox)
    assert len(sides(trial)) == 200


def fate(inbox: Inbox, trial: CandidateTrial, is_candidate: bool, fails: bool) -> None:
    conversation = visit(inbox)
    TrialPlace.objects.filter(conversation=conversation).update(is_candidate=is_candidate)
    if fails:
        answered(conversation, "地板能不能水洗？")
    else:
        said = answered(conversation, "可以退货吗？", "收到后七天内可以退货。")
        chatbot.judge_message(message=said, helpful=True)
        solve(conversation)


def test_both_sides_are_counted(inbox: Inbox, candidate: Checkpoint) -> None:
    trial = trials.start_trial(inbox=inbox, checkpoint=candidate, share=50)
    for is_candidate, fails in ((True, False), (True, True), (False, False), (False, False)):
        fate(inbox, trial, is_candidate, fails)
    said = answered(visit(inbox), "可以退货吗？", "不可以。")
    TrialPlace.objects.filter(conversation=said.conversation).update(is_candidate=False)
    chatbot.judge_message(message=said, helpful=False, reason="wrong")
    visit(inbox)  # says nothing, and counts nowhere
    before, after = arms_of(trial)
    assert (before.resolved, after.resolved) == (Share(2, 3), Share(1, 2))
    assert (before.handed, after.handed) == (Share(0, 3), Share(1, 2))
    assert (before.helpful, after.helpful) == (Share(2, 3), Share(1, 1))
    assert (before.failed, after.failed) == (Share(1, 3), Share(1, 2))


def test_harm_ends_the_trial_with_its_figures_on_the_trail(
    inbox: Inbox, candidate: Checkpoint
) -> None:
    trial = trials.start_trial(inbox=inbox, checkpoint=candidate, share=50)
    for _ in range(LEAST + 5):
        fate(inbox, trial, True, True)
        fate(inbox, trial, False, False)
    assert trials.tenants_with_trials() == [inbox.tenant_id]
    with system_scope("test: be beat"):
        assert tasks.judge_trials() == 1
        assert tasks.judge_trials() == 0
    trial.refresh_from_db()
    assert (trial.end, trial.ended_at is None) == ("worse", False)
    data = AuditEntry.objects.get(action="trial.rolled_back").data
    assert (data["failed"], data["serving_failed"], data["of"]) == (LEAST + 5, 0, LEAST + 5)
    visit(inbox)
    assert len(sides(trial)) == 2 * (LEAST + 5)


def test_a_candidate_that_serves_by_now_is_on_trial_no_more(
    inbox: Inbox, candidate: Checkpoint
) -> None:
    trial = trials.start_trial(inbox=inbox, checkpoint=candidate, share=50)
    Deployment.objects.update(checkpoint=candidate)
    assert trials.judge_trials() == 0
    trial.refresh_from_db()
    assert trial.end == "promoted"


def test_the_end_of_a_trial_is_told_outside_once(inbox: Inbox, candidate: Checkpoint) -> None:
    create_endpoint(url="https://example.com/parley")
    stopped = trials.start_trial(inbox=inbox, checkpoint=candidate, share=50)
    trials.stop_trial(trial=stopped)
    trials.stop_trial(trial=stopped)
    promoted = trials.start_trial(inbox=inbox, checkpoint=candidate, share=7)
    Deployment.objects.update(checkpoint=candidate)
    trials.judge_trials()
    trials.judge_trials()
    told = WebhookEvent.objects.filter(type="trial.ended").order_by("created_at")
    assert [one.data for one in told] == [
        {
            "id": str(trial.pk),
            "inbox": str(inbox.pk),
            "checkpoint": str(candidate.pk),
            "share": trial.share,
            "end": end,
        }
        for trial, end in ((stopped, "stopped"), (promoted, "promoted"))
    ]


def test_only_what_may_be_promoted_goes_on_trial_and_one_at_a_time(
    inbox: Inbox, candidate: Checkpoint, serving: Checkpoint, in_tenant: Tenant
) -> None:
    unjudged = make_checkpoint(in_tenant, base_model=serving.base_model)
    start = trials.start_trial
    refusals: list[tuple[Any, str]] = [
        ({"checkpoint": unjudged}, "not_evaluated"),
        ({"checkpoint": serving}, "serves_already"),
        ({"share": 0}, "share_invalid"),
        ({"share": 100}, "share_invalid"),
        ({"inbox": make_inbox(name="别处")}, "no_deployment"),
    ]
    usual: dict[str, Any] = {"inbox": inbox, "checkpoint": candidate, "share": 10}
    for changed, code in refusals:
        with pytest.raises(ApplicationError) as refused:
            start(**(usual | changed))
        assert refused.value.code == code
    regression.add_case(inbox=inbox, question="可以退货吗？", must_refuse=True)
    with pytest.raises(ConflictError) as refused:
        start(**usual)
    assert refused.value.code == "regression_not_run"
    regression.remove_case(case=inbox.regression_cases.get())
    start(**usual)
    with pytest.raises(ConflictError) as refused:
        start(**usual)
    assert refused.value.code == "trial_under_way"


# --- The rule ------------------------------------------------------------------------------------


def ended(serving: float, candidate: float, *, draw: random.Random, most: int = 500) -> int | None:
    """After how many pairs of conversations the rule says that it is enough, looking after each."""
    fails = [0, 0]
    for n in range(1, most + 1):
        fails[0] += draw.random() < serving
        fails[1] += draw.random() < candidate
        if does_worse(Share(fails[0], n), Share(fails[1], n)):
            return n
    return None


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_a_candidate_that_is_as_good_is_seldom_sent_back_however_often_one_looks(
    share: float,
) -> None:
    draw = random.Random(f"as good {share}")
    stopped = sum(ended(share, share, draw=draw) is not None for _ in range(300))
    assert stopped <= 300 * ALPHA


def test_a_candidate_that_does_harm_is_sent_back_soon() -> None:
    draw = random.Random("harm")
    stops = [ended(0.2, 0.5, draw=draw) for _ in range(100)]
    assert None not in stops
    assert sorted(stops)[50] <= 90  # type: ignore[type-var]


def test_a_candidate_that_is_better_goes_on() -> None:
    draw = random.Random("better")
    assert not any(ended(0.5, 0.2, draw=draw) for _ in range(100))


def test_a_few_conversations_say_nothing() -> None:
    assert not does_worse(Share(0, LEAST - 1), Share(LEAST - 1, LEAST - 1))
    assert does_worse(Share(0, LEAST), Share(LEAST, LEAST))
