"""Limits of tenants and keys: counted before the work, never passed, told with the time to wait."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone

from tenancy import counting, quotas
from tenancy.models import NO_KEY, GenerationSlot, Quota, Tenant, Usage
from tenancy.quotas import spending
from tenancy.quotas.windows import Span, end_of, start_of
from tenancy.scope import NoScopeError, tenant_scope
from tenancy.tasks import forget_old_usage
from tests.tenancy.threads import Threads

KEY = uuid.UUID("00000000-0000-4000-8000-000000000001")
NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """The time stands still; `clock[0] = ...` moves it."""
    now = [NOON]
    monkeypatch.setattr(timezone, "now", lambda: now[0])
    spending._used_up.clear()
    yield now
    spending._used_up.clear()


def limit(key_id: uuid.UUID | None = None, **limits: Any) -> None:
    Quota.objects.update_or_create(key_id=key_id, defaults=limits)


def used(kind: str, span: str, key_id: uuid.UUID = NO_KEY) -> int:
    return sum(
        Usage.objects.filter(kind=kind, span=span, key_id=key_id).values_list("used", flat=True)
    )


# --- Requests --------------------------------------------------------------------------------


def test_requests_are_counted_by_minute_and_by_day(
    in_tenant: Tenant, clock: list[datetime]
) -> None:
    for minutes in (0, 0, 1):
        clock[0] = NOON + timedelta(minutes=minutes)
        quotas.take_request()

    rows = Usage.objects.order_by("span", "starts_at").values_list("span", "used")
    assert list(rows) == [("day", 3), ("minute", 2), ("minute", 1)]


def test_the_request_beyond_the_limit_is_refused_with_the_time_to_wait(in_tenant: Tenant) -> None:
    limit(requests_per_minute=2)

    assert [quotas.take_request().remaining for _ in range(2)] == [1, 0]
    with pytest.raises(quotas.QuotaError) as refused:
        quotas.take_request()

    assert (refused.value.code, refused.value.status_hint) == ("rate_limit_exceeded", 429)
    assert refused.value.wait == 30
    assert refused.value.extra == {"limit": 2, "retry_after": 31}


def test_a_new_minute_begins_with_everything(in_tenant: Tenant, clock: list[datetime]) -> None:
    limit(requests_per_minute=1)
    quotas.take_request()
    clock[0] = NOON + timedelta(seconds=30)

    assert quotas.take_request().remaining == 0


def test_what_is_refused_is_in_no_counter_and_soon_costs_no_writing(
    in_tenant: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    limit(requests_per_minute=3)
    limit(KEY, requests_per_minute=1)
    quotas.take_request(KEY)
    for _ in range(3):
        with pytest.raises(quotas.QuotaError):
            quotas.take_request(KEY)

    assert used("requests", "minute") == used("requests", "day") == 1
    assert used("requests", "day", KEY) == 1
    with django_assert_num_queries(1), pytest.raises(quotas.QuotaError):
        quotas.take_request(KEY)


def test_a_key_has_its_own_limit_within_the_tenants(in_tenant: Tenant) -> None:
    limit(requests_per_minute=3)
    limit(KEY, requests_per_minute=2)
    other = uuid.uuid4()

    assert [quotas.take_request(KEY).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(quotas.QuotaError):
        quotas.take_request(KEY)
    assert quotas.take_request(other).remaining == 0
    with pytest.raises(quotas.QuotaError):
        quotas.take_request(other)


def test_a_limit_of_nothing_allows_nothing(in_tenant: Tenant) -> None:
    limit(
        requests_per_minute=0,
        concurrent_generations=0,
        tokens_per_month=0,
        training_tokens_per_month=0,
    )
    for ask in (
        quotas.take_request,
        lambda: quotas.reserve_tokens(1),
        lambda: quotas.require_training_tokens(1),
        lambda: quotas.generating().__enter__(),
    ):
        with pytest.raises(quotas.QuotaError):
            ask()
    assert not Usage.objects.exclude(used=0).exists()


def test_counting_is_one_statement_beside_reading_the_limits(
    in_tenant: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    limit(KEY, requests_per_minute=5)
    with django_assert_num_queries(2):
        quotas.take_request(KEY)
    with django_assert_num_queries(2):
        quotas.reserve_tokens(10, KEY)


# --- Tokens ----------------------------------------------------------------------------------


def test_what_was_reserved_and_not_used_is_given_back(in_tenant: Tenant) -> None:
    limit(tokens_per_minute=100)
    first = quotas.reserve_tokens(80, KEY)
    with pytest.raises(quotas.QuotaError):
        quotas.reserve_tokens(30)

    quotas.settle_tokens(first, prompt=20, completion=5)

    assert quotas.reserve_tokens(75).allowance.remaining == 0
    assert used("tokens", "month") == 100
    assert (used("prompt_tokens", "day"), used("completion_tokens", "day", KEY)) == (20, 5)


def test_a_reservation_is_settled_in_the_minute_it_was_made(
    in_tenant: Tenant, clock: list[datetime]
) -> None:
    reserved = quotas.reserve_tokens(50)
    clock[0] = NOON + timedelta(minutes=3)
    quotas.settle_tokens(reserved, prompt=10, completion=50)

    minute = Usage.objects.get(span=Span.MINUTE, kind="tokens")
    assert (minute.starts_at, minute.used) == (start_of(Span.MINUTE, NOON), 60)


def test_a_month_that_is_used_up_says_so_under_its_own_code(in_tenant: Tenant) -> None:
    limit(tokens_per_month=100)
    quotas.reserve_tokens(90)
    with pytest.raises(quotas.QuotaError) as refused:
        quotas.reserve_tokens(20)

    assert refused.value.code == "insufficient_quota"
    assert refused.value.wait == (datetime(2026, 12, 1, tzinfo=UTC) - NOON).total_seconds()
    assert used("tokens", "minute") == used("tokens", "month") == 90


# --- Answers at once -------------------------------------------------------------------------


def test_as_many_answers_are_written_at_once_as_the_limit_says(in_tenant: Tenant) -> None:
    limit(concurrent_generations=2)
    with quotas.generating(), quotas.generating(KEY):
        with pytest.raises(quotas.QuotaError) as refused, quotas.generating():
            pass
        assert refused.value.extra["retry_after"] == 2
    with quotas.generating():
        assert GenerationSlot.objects.count() == 1
    assert not GenerationSlot.objects.exists()


def test_an_answer_that_fails_gives_its_slot_back(in_tenant: Tenant) -> None:
    limit(concurrent_generations=1)
    with pytest.raises(ZeroDivisionError), quotas.generating():
        1 / 0  # noqa: B018
    with quotas.generating():
        pass


def test_a_slot_of_a_killed_process_is_free_again_after_its_time(
    in_tenant: Tenant, clock: list[datetime]
) -> None:
    limit(concurrent_generations=1)
    quotas.generating().__enter__()
    with pytest.raises(quotas.QuotaError):
        quotas.generating().__enter__()
    clock[0] = NOON + timedelta(minutes=5)
    with quotas.generating():
        assert GenerationSlot.objects.count() == 1


def test_a_lowered_limit_counts_what_is_being_written(in_tenant: Tenant) -> None:
    limit(concurrent_generations=5)
    with quotas.generating(), quotas.generating(), quotas.generating():
        limit(concurrent_generations=3)
        with pytest.raises(quotas.QuotaError):
            quotas.generating().__enter__()


def test_a_key_holds_a_slot_of_its_own_and_one_of_its_tenants(in_tenant: Tenant) -> None:
    limit(KEY, concurrent_generations=1)
    with quotas.generating(KEY):
        assert GenerationSlot.objects.count() == 2
        with pytest.raises(quotas.QuotaError):
            quotas.generating(KEY).__enter__()
        with quotas.generating():
            pass


@pytest.mark.django_db(transaction=True)
def test_a_slot_is_taken_and_given_back_by_asynchronous_code(tenant: Tenant) -> None:
    async def write() -> int:
        with tenant_scope(tenant):
            async with quotas.generating():
                held = await GenerationSlot.objects.acount()
            await sync_to_async(connections.close_all)()
            return held

    assert asyncio.run(write()) == 1
    with tenant_scope(tenant):
        assert not GenerationSlot.objects.exists()


# --- Training --------------------------------------------------------------------------------


def test_a_training_that_the_month_has_no_room_for_is_refused(in_tenant: Tenant) -> None:
    limit(training_tokens_per_month=1000)
    quotas.count_training_tokens(600)
    quotas.require_training_tokens(400)
    with pytest.raises(quotas.QuotaError) as refused:
        quotas.require_training_tokens(300, pending=200)

    assert refused.value.code == "insufficient_quota"
    assert "200" in str(refused.value.detail)
    assert "2026-11-30" in str(refused.value.detail)


def test_a_new_month_begins_with_everything(in_tenant: Tenant, clock: list[datetime]) -> None:
    limit(training_tokens_per_month=1000)
    quotas.count_training_tokens(1000)
    clock[0] = datetime(2026, 12, 1, tzinfo=UTC)
    quotas.require_training_tokens(1000)


# --- Many at once ----------------------------------------------------------------------------


@pytest.fixture
def threads(transactional_db: None, tenant: Tenant, tmp_path: Path) -> Threads:
    with tenant_scope(tenant):
        limit(requests_per_minute=41, concurrent_generations=7)
        limit(KEY, requests_per_minute=50)
    return Threads(tenant, tmp_path)


def test_no_request_is_lost_and_none_beyond_the_limit_gets_through(threads: Threads) -> None:
    done = threads.at_once(lambda: quotas.take_request(KEY), times=60)

    assert sum(isinstance(one, quotas.Allowance) for one in done) == 41
    assert sum(isinstance(one, quotas.QuotaError) for one in done) == 19
    assert threads.once(lambda: used("requests", "minute")) == 41
    assert threads.once(lambda: used("requests", "day", KEY)) == 41


def test_no_token_is_lost_when_many_reserve_and_settle(threads: Threads) -> None:
    def ask() -> None:
        reserved = quotas.reserve_tokens(10, KEY)
        quotas.settle_tokens(reserved, prompt=3, completion=4)

    assert set(threads.at_once(ask, times=60)) == {None}

    assert threads.once(lambda: used("tokens", "minute")) == 60 * 7
    assert threads.once(lambda: used("tokens", "month")) == 60 * 7
    assert threads.once(lambda: used("prompt_tokens", "day", KEY)) == 60 * 3


def test_no_more_slots_are_held_than_the_limit_when_many_ask(threads: Threads) -> None:
    done = threads.at_once(lambda: quotas.generating(KEY).__enter__(), times=40)

    assert sum(isinstance(one, quotas.generating) for one in done) == 7
    assert sum(isinstance(one, quotas.QuotaError) for one in done) == 33
    assert threads.once(lambda: GenerationSlot.objects.count()) == 7


def test_who_gets_one_of_two_slots_holds_neither(
    in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever looks at that moment is refused for an answer that nobody writes."""
    limit(concurrent_generations=2)
    limit(KEY, concurrent_generations=2)
    ours = quotas.generating(KEY)
    look, held = ours._free_slots, []

    def outrun(ceilings: dict[uuid.UUID, int], now: datetime) -> list[GenerationSlot]:
        held.append(GenerationSlot.objects.filter(holder=ours.holder).count())
        slots = look(ceilings, now)
        if len(held) == 1:
            taken = next(slot for slot in slots if slot.key_id == KEY)
            theirs = GenerationSlot(
                key_id=KEY, number=taken.number, holder=uuid.uuid4(), until=taken.until
            )
            counting.occupy([theirs], now=now)
        return slots

    monkeypatch.setattr(ours, "_free_slots", outrun)
    with ours:
        assert held == [0, 0]
        assert GenerationSlot.objects.filter(holder=ours.holder).count() == 2


# --- The report ------------------------------------------------------------------------------


def test_the_report_shows_every_limit_and_thirty_days(
    in_tenant: Tenant, clock: list[datetime]
) -> None:
    clock[0] = NOON - timedelta(days=2)
    quotas.take_request(KEY)
    clock[0] = NOON
    limit(requests_per_minute=4, storage_bytes=1000)
    quotas.take_request()
    quotas.settle_tokens(quotas.reserve_tokens(9), prompt=5, completion=4)

    report = quotas.usage_of(in_tenant, stored=250)

    meters = {meter.name: meter for meter in report.meters}
    assert list(meters) == [
        "requests_per_minute",
        "tokens_per_minute",
        "tokens_per_month",
        "concurrent_generations",
        "training_tokens_per_month",
        "storage_bytes",
    ]
    assert (meters["requests_per_minute"].used, meters["requests_per_minute"].limit) == (1, 4)
    assert meters["requests_per_minute"].resets_at == end_of(Span.MINUTE, NOON)
    assert meters["tokens_per_month"].used == 9
    assert meters["storage_bytes"].share == 0.25
    assert len(report.days) == 30
    assert report.days[-1].requests == report.days[-3].requests == 1
    assert (report.days[-1].prompt_tokens, report.total("completion_tokens")) == (5, 4)
    assert quotas.usage_by_key() == {KEY: {"requests": 1}}
    assert quotas.usage_of(in_tenant, key_id=KEY).days[-3].requests == 1


def test_another_tenants_use_is_not_seen_and_not_counted(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    with tenant_scope(other_tenant):
        limit(requests_per_minute=1)
        quotas.take_request()
    with tenant_scope(tenant):
        quotas.take_request()
        quotas.take_request()
        assert quotas.usage_of(tenant).total("requests") == 2
        assert not Quota.objects.exists()


def test_counting_outside_a_scope_is_a_bug() -> None:
    with pytest.raises(NoScopeError):
        quotas.take_request()


def test_old_minutes_are_forgotten_and_months_are_kept(
    in_tenant: Tenant, clock: list[datetime]
) -> None:
    quotas.reserve_tokens(5)
    quotas.take_request()
    clock[0] = NOON + timedelta(hours=2)
    assert forget_old_usage() == 2
    assert set(Usage.objects.values_list("span", flat=True)) == {"day", "month"}
