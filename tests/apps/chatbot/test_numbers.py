"""Each figure means what its definition says, counted on conversations made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import Answer, AnswerReview, Conversation, Event, Handoff, Inbox, Message
from apps.chatbot.numbers import Range, Share, numbers_of
from apps.chatbot.numbers.counting import Numbers
from tenancy.models import Tenant
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.apps.chatbot.test_learning import answered, reply, solve, visit

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def at(self, **ago: float) -> None:
        self.now = NOW - timedelta(**ago)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    # Defaults of columns hold the function itself.
    for model in (Conversation, Event, Handoff, Message, Answer):
        monkeypatch.setattr(model._meta.get_field("created_at"), "_get_default", clock)
    return clock


@pytest.fixture
def inbox(in_tenant: Tenant, clock: Clock) -> Inbox:
    return make_inbox()


def counted(days: int = 30, inbox: Inbox | None = None) -> Numbers:
    return numbers_of(Range.of(days=days, inbox=inbox))


def test_a_conversation_of_the_bot_is_handled_resolved_and_after_seven_days_for_good(
    inbox: Inbox, clock: Clock
) -> None:
    clock.at(days=10)
    old = visit(inbox)
    answered(old, "可以退货吗？", "收到后七天内可以退货。")
    solve(old)
    clock.at(days=3)
    young = visit(inbox)
    answered(young, "可以退货吗？", "收到后七天内可以退货。")
    solve(young)
    clock.at(hours=1)
    open_still = visit(inbox)
    answered(open_still, "可以退货吗？", "收到后七天内可以退货。")
    empty = make_conversation(inbox)
    clock.at()
    numbers = counted()
    assert empty.last_seq == 0
    assert numbers.conversations == 3
    assert numbers.handled == Share(3, 3)
    assert numbers.auto_resolved == Share(2, 2)
    assert numbers.durable == Share(1, 1)
    assert numbers.handed == Share(0, 3)
    assert numbers.reopened == Share(0, 2)


@pytest.mark.parametrize(("after", "durable"), [(6.9, 0), (7.1, 1)])
def test_who_writes_again_within_seven_days_was_not_helped_for_good(
    inbox: Inbox, clock: Clock, after: float, durable: int
) -> None:
    clock.at(days=20)
    conversation = visit(inbox)
    answered(conversation, "可以退货吗？", "收到后七天内可以退货。")
    solve(conversation)
    clock.at(days=20 - after)
    ask(conversation, "还是不行")
    clock.at()
    numbers = counted()
    assert numbers.durable == Share(durable, 1)
    assert numbers.reopened == Share(1, 1)


def test_handoffs_count_once_a_conversation_with_their_reasons(inbox: Inbox, clock: Clock) -> None:
    for question in ("一？地板能不能水洗", "二？门能不能定做"):
        answered(visit(inbox), question)
    asked = visit(inbox)
    answered(asked, "转人工", outcome="handoff", handoff="customer_request")
    reply(asked, "您好，请讲。")
    services.hand_back(conversation=asked)
    answered(asked, "再转人工", outcome="handoff", handoff="customer_request")
    numbers = counted()
    assert numbers.handed == Share(3, 3)
    assert numbers.handled == Share(0, 3)
    assert numbers.reasons == {"missing_knowledge": 2, "customer_request": 1}
    assert numbers.auto_resolved == Share(0, 3)


def test_waiting_is_measured_for_anybodys_answer_and_for_a_persons(
    inbox: Inbox, clock: Clock
) -> None:
    for minutes in (1, 2, 10):
        clock.at(hours=5)
        conversation = visit(inbox)
        answered(conversation, "可以带狗来看样品吗？")
        clock.at(hours=5, minutes=-minutes)
        reply(conversation, "可以，请牵好。")
    clock.at(hours=4)
    taken = visit(inbox)
    ask(taken, "在吗")
    clock.at(hours=3)
    reply(taken, "在的，您请讲。")
    clock.at()
    numbers = counted()
    assert (numbers.first_response.of, numbers.first_response.median) == (4, 120)
    assert numbers.first_response.p90 == 3600
    # Who takes a conversation by answering it was not waited for.
    assert numbers.people_response.of == 3
    assert (numbers.people_response.median, numbers.people_response.p90) == (120, 600)


def test_content_is_told_apart_by_whom_visitors_met(inbox: Inbox, clock: Clock) -> None:
    for score in (5, 4, 1):
        conversation = visit(inbox)
        answered(conversation, "可以退货吗？", "收到后七天内可以退货。")
        solve(conversation)
        services.rate_conversation(conversation=conversation, score=score)
    met = visit(inbox)
    answered(met, "地板能不能水洗？")
    solve(met)
    services.rate_conversation(conversation=met, score=3)
    numbers = counted()
    assert numbers.content_with_bot == Share(2, 3)
    assert numbers.content_with_people == Share(0, 1)
    assert numbers.csat_bot == pytest.approx(10 / 3)
    assert numbers.csat_people == 3


def test_numbers_are_of_an_inbox_and_of_days_by_its_own_clock(inbox: Inbox, clock: Clock) -> None:
    shanghai = make_inbox(name="上海", hours={"zone": "Asia/Shanghai", "days": {}})
    # 00:30 of the 9th in Shanghai, 16:30 of the 8th in UTC.
    clock.now = datetime(2026, 3, 8, 16, 30, tzinfo=UTC)
    for place in (inbox, shanghai):
        answered(visit(place), "可以退货吗？", "收到后七天内可以退货。")
    clock.at()
    assert counted(7).conversations == 0
    assert counted(30).conversations == 2
    there = counted(7, shanghai)
    assert there.conversations == 1
    assert {str(day): sum(n) for day, n in there.days.items() if sum(n)} == {"2026-03-09": 1}
    assert [str(day) for day in there.days] == [f"2026-03-{n:02}" for n in range(9, 16)]
    assert {str(day) for day, n in counted(30).days.items() if sum(n)} == {"2026-03-08"}


def test_another_tenants_conversations_are_not_counted(
    inbox: Inbox, other_tenant: Tenant, clock: Clock
) -> None:
    from tenancy.scope import tenant_scope

    with tenant_scope(other_tenant):
        answered(visit(make_inbox()), "可以退货吗？", "七天内可以。")
    assert counted().conversations == 0


def test_the_number_of_queries_does_not_grow(
    inbox: Inbox, clock: Clock, django_assert_num_queries: object
) -> None:
    answered(visit(inbox), "可以退货吗？", "收到后七天内可以退货。")
    answered(visit(inbox), "地板能不能水洗？")
    with django_assert_num_queries(8):  # type: ignore[operator]
        counted()
    for _ in range(4):
        answered(visit(inbox), "可以退货吗？", "收到后七天内可以退货。")
    with django_assert_num_queries(8):  # type: ignore[operator]
        counted()


# --- Quiet conversations ---------------------------------------------------------------------------


def test_a_visitor_who_says_nothing_for_a_day_after_an_answer_has_what_they_wanted(
    in_tenant: Tenant,
) -> None:
    inbox = make_inbox()
    left, waiting, people = visit(inbox), visit(inbox), visit(inbox)
    answered(left, "可以退货吗？", "收到后七天内可以退货。")
    ask(waiting, "在吗？有人吗？")
    answered(people, "地板能不能水洗？")
    assert services.resolve_quiet() == 0
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=400))
    assert services.tenants_gone_quiet() == [inbox.tenant_id]
    assert services.resolve_quiet() == 1
    left.refresh_from_db()
    assert left.state == "resolved"
    assert left.last_seq == Event.objects.filter(conversation=left).count()
    assert services.resolve_quiet() == 0


# --- Reviewed answers --------------------------------------------------------------------------------


def test_about_one_answer_in_ten_is_drawn_as_it_is_said_and_never_again(inbox: Inbox) -> None:
    conversation = visit(inbox)
    for number in range(150):
        answered(conversation, f"第{number}个问题？", f"第{number}个回答。")
    answered(visit(inbox), "没有答案的问题？")
    drawn = AnswerReview.objects.count()
    assert 4 <= drawn <= 32  # 15 in the mean; beyond this once in ten thousand runs
    for answer in Answer.objects.filter(message__isnull=False):
        services.reviews.draw(answer)
    assert AnswerReview.objects.count() == drawn
    assert not AnswerReview.objects.filter(answer__message=None).exists()


def test_wrong_answers_are_counted_among_those_that_were_reviewed(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.reviews, "DRAWN_SHARE", 1.0)
    conversation = visit(inbox)
    for number in range(5):
        answered(conversation, f"第{number}个问题？", f"第{number}个回答。")
    Answer.objects.update(finished_at=timezone.now())
    for place, review in enumerate(AnswerReview.objects.all()[:4]):
        services.review_answer(review=review, is_right=place > 0, reviewer=None)
    numbers = counted()
    assert numbers.wrong == Share(1, 4)
    assert numbers.to_review == 1
    assert counted(inbox=make_inbox(name="别处")).wrong == Share(0, 0)


@pytest.mark.parametrize(
    ("share", "low", "high"),
    # By R: binom::binom.wilson
    [(Share(0, 10), 0.0, 0.2775), (Share(1, 4), 0.0456, 0.6994), (Share(50, 100), 0.4038, 0.5962)],
)
def test_the_interval_is_wilsons(share: Share, low: float, high: float) -> None:
    assert share.low == pytest.approx(low, abs=1e-4)
    assert share.high == pytest.approx(high, abs=1e-4)


def test_of_nothing_there_is_no_share() -> None:
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (None, None, None)
