"""The fair queue: the trainers start jobs in the very order that people were told, and no flood delays
another tenant beyond its share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_core import dispatch, fair_queue
from gpt_core.models import Checkpoint, Evaluation, Export, FineTuningJob, State, Supervised
from gpt_core.supervision.lease import Lease
from tenancy.models import Quota, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_tenant
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def _quiet(rings: list[int]) -> None:
    """No doorbell reaches a broker."""


class Company:
    """A tenant with what its jobs need, so that a job is one row."""

    def __init__(self, weight: float = 1.0) -> None:
        self.tenant = make_tenant()
        # A moment ago: a job that waits for long says that no trainer is there.
        self.start = timezone.now() - timedelta(seconds=5)
        with tenant_scope(self.tenant):
            self.version = make_version(train=2, validation=1, test=1)
            self.checkpoint: Checkpoint = make_checkpoint(
                self.tenant, job=make_job(state=State.SUCCEEDED, dataset_version=self.version)
            )
            if weight != 1.0:
                Quota.objects.create(weight=weight)

    def train(self, after: float = 0.0, tokens: int | None = None, **fields: Any) -> FineTuningJob:
        with tenant_scope(self.tenant):
            return make_job(
                dataset_version=self.version,
                queued_at=self.start + timedelta(seconds=after),
                estimated_tokens=tokens,
                **fields,
            )

    def flood(self, jobs: int, tokens: int | None = None) -> None:
        with tenant_scope(self.tenant):
            first = make_job(
                dataset_version=self.version, queued_at=self.start, estimated_tokens=tokens
            )
            rows = [
                FineTuningJob(
                    base_model=first.base_model,
                    dataset_version=self.version,
                    deployment_name="flood",
                    number=number,
                    state=State.QUEUED,
                    queued_at=self.start,
                    estimated_tokens=tokens,
                )
                for number in range(1, jobs)
            ]
            FineTuningJob.objects.bulk_create(rows)

    def evaluate(self, after: float = 0.0) -> Evaluation:
        with tenant_scope(self.tenant):
            return make_evaluation(
                self.checkpoint, passed=None, queued_at=self.start + timedelta(seconds=after)
            )


def measured(company: Company, seconds_per_token: float, evaluation: float = 20.0) -> None:
    """A training and an evaluation that have shown how fast this machine is, two days ago."""
    past = timezone.now() - timedelta(days=2)
    with tenant_scope(company.tenant):
        make_job(
            dataset_version=company.version,
            state=State.SUCCEEDED,
            finished_at=past,
            heartbeat_at=past,
            estimated_tokens=1000,
            trained_tokens=1000,
            worked_seconds=1000 * seconds_per_token,
        )
        make_evaluation(
            company.checkpoint, finished_at=past, heartbeat_at=past, worked_seconds=evaluation
        )


@pytest.fixture
def in_system() -> Iterator[None]:
    make_base()
    with system_scope("test: the queue of all tenants"):
        yield


pytestmark.append(pytest.mark.usefixtures("in_system"))


def claim(worker: str = "worker-1") -> Any:
    return dispatch.claim_next(worker)


def told_order() -> list[UUID]:
    """Every waiting job by the place that it is told."""
    waiting = [row for kind in fair_queue.KINDS for row in kind.objects.filter(state=State.QUEUED)]
    found = fair_queue.forecasts(waiting)
    places = {row.pk: found[row.pk].position for row in waiting}
    assert sorted(places.values()) == list(range(1, len(waiting) + 1))  # type: ignore[type-var]
    return sorted(places, key=lambda pk: places[pk] or 0)


def end(row: Supervised, worked: float) -> None:
    FineTuningJob.objects.filter(pk=row.pk).update(worked_seconds=worked)
    Evaluation.objects.filter(pk=row.pk).update(worked_seconds=worked)
    Lease(row).end(State.SUCCEEDED)


# --- The order that is told is the order that happens ------------------------------------------

SECONDS = st.floats(0, 5000, allow_nan=False)
JOBS = st.tuples(
    st.integers(0, 3),  # whose
    st.sampled_from(["training", "training", "evaluation"]),
    st.floats(0, 20),  # when it came
    st.one_of(st.none(), st.integers(1, 10_000_000)),
    SECONDS,  # what it has worked before
)
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 1.0, 3.0]), min_size=4, max_size=4)
ARRIVALS = st.lists(JOBS, min_size=1, max_size=12)
few_examples = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def arrive(companies: list[Company], jobs: list[Any]) -> None:
    for whose, what, after, tokens, worked in jobs:
        if what == "training":
            companies[whose].train(
                after, tokens, worked_seconds=worked, heartbeat_at=timezone.now()
            )
        else:
            companies[whose].evaluate(after)


@few_examples
@given(WEIGHTS, ARRIVALS, st.booleans())
def test_jobs_start_in_the_order_that_was_told(
    weights: list[float], jobs: list[Any], known_pace: bool
) -> None:
    with transaction.atomic():
        companies = [Company(weight) for weight in weights]
        if known_pace:
            measured(companies[0], 0.001)
        arrive(companies, jobs)
        told = told_order()

        workers = [f"worker-{number % 3}" for number in range(len(told))]
        assert [claim(worker).pk for worker in workers] == told
        assert claim() is None
        transaction.set_rollback(True)


@few_examples
@given(
    WEIGHTS,
    ARRIVALS,
    st.lists(st.one_of(JOBS, SECONDS, st.none()), max_size=15),
)
def test_the_next_to_start_is_who_was_told_so_whatever_ends_and_comes_meanwhile(
    weights: list[float], jobs: list[Any], events: list[Any]
) -> None:
    """An event is a job that comes, the seconds after which the oldest running one ends, or a claim."""
    with transaction.atomic():
        companies = [Company(weight) for weight in weights]
        arrive(companies, jobs)
        running: list[Supervised] = []
        for event in events:
            if isinstance(event, tuple):
                arrive(companies, [event])
            elif isinstance(event, float):
                if running:
                    end(running.pop(0), event)
            else:
                told = told_order()
                row = claim()
                assert (row.pk if row else None) == (told[0] if told else None)
                if row:
                    running.append(row)
        transaction.set_rollback(True)


def test_an_export_goes_before_its_tenants_trainings_and_waits_its_turn_among_tenants() -> None:
    tenant, other = Company(), Company()
    training = tenant.train()
    with tenant_scope(tenant.tenant):
        export = Export.objects.create(
            checkpoint=tenant.checkpoint, queued_at=tenant.start + timedelta(seconds=9)
        )
    others = other.train(after=5)

    assert told_order() == [others.pk, export.pk, training.pk]
    assert [claim().pk for _ in range(3)] == [others.pk, export.pk, training.pk]


def test_a_worker_that_finds_the_first_taken_takes_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy, quiet = Company(), Company()
    busy.flood(5)
    quiet.train(after=1)
    told = told_order()
    taken_meanwhile = list(fair_queue.line())[:1]
    real = fair_queue.line

    def late_line() -> Iterator[Any]:
        """The line as it was before another worker took the first."""
        before = list(real())
        dispatch._claim(taken_meanwhile[0].kind, taken_meanwhile[0].pk, "quicker")
        return iter(before)

    monkeypatch.setattr(fair_queue, "line", late_line)
    assert claim().pk == told[1]


# --- Nobody is delayed beyond their share -------------------------------------------------------


@pytest.mark.parametrize("trainers", [1, 3])
def test_a_flood_of_two_hundred_jobs_lets_the_other_tenant_go_next(trainers: int) -> None:
    flooding, other = Company(), Company()
    flooding.flood(200)
    running = [claim(f"worker-{number}") for number in range(trainers)]
    assert {row.tenant_id for row in running} == {flooding.tenant.pk}

    job = other.train(after=20)

    assert fair_queue.position_in_queue(job) == 1
    end(running[0], 600.0)
    assert claim("worker-0").pk == job.pk


def test_two_tenants_that_flood_alternate_and_weights_give_more() -> None:
    first, second, heavy = Company(), Company(), Company(weight=2.0)
    for company in (first, second, heavy):
        company.flood(40)

    started = [claim().tenant_id for _ in range(40)]

    counts = [started.count(company.tenant.pk) for company in (first, second, heavy)]
    assert counts == [10, 10, 20]


@few_examples
@given(
    st.integers(1, 8),
    st.lists(st.integers(10, 2000), min_size=1, max_size=6),
    st.lists(st.floats(1, 3000), min_size=30, max_size=30),
)
def test_what_others_get_before_a_tenants_job_is_no_more_than_it_had_itself(
    weight: int, own: list[int], durations: list[float]
) -> None:
    """One trainer, jobs that take any time: while it waits, another gets no more work for its weight
    than the tenant itself has had, but for the job that was then the other's next."""
    with transaction.atomic():
        flooding, tenant = Company(weight=weight), Company()
        flooding.flood(31)
        for number, _seconds in enumerate(own):
            tenant.train(after=number)
        mine = given_to_others = 0.0
        for seconds in durations:
            row = claim()
            if row is None:
                break
            if row.tenant_id == tenant.tenant.pk:
                mine += seconds
            else:
                # What it had before this job started was within its share.
                waits = FineTuningJob.objects.filter(
                    tenant_id=tenant.tenant.pk, state=State.QUEUED
                ).exists()
                if waits:
                    assert given_to_others / weight <= mine + 0.002
                given_to_others += seconds
            end(row, seconds)
        transaction.set_rollback(True)


def test_a_job_that_was_refused_a_trainer_keeps_what_it_worked_on_its_account() -> None:
    tenant, other = Company(), Company()
    job = tenant.train()
    row = claim()
    FineTuningJob.objects.filter(pk=row.pk).update(worked_seconds=500.0)
    dispatch.release(row)
    newer = other.train(after=5)

    assert told_order() == [newer.pk, job.pk]
    assert claim().pk == newer.pk


# --- When it starts and ends --------------------------------------------------------------------


def test_a_waiting_job_is_told_when_it_starts_and_ends() -> None:
    busy, quiet = Company(), Company()
    measured(busy, 0.1, evaluation=20.0)
    busy.train(tokens=1000)
    row = claim()
    FineTuningJob.objects.filter(pk=row.pk).update(eta_seconds=40.0)
    second = busy.train(after=1, tokens=3000)
    other = quiet.train(after=2, tokens=500)

    with tenant_scope(quiet.tenant):
        other.refresh_from_db()
    found = fair_queue.forecasts([second, other])
    # After the running one (40) comes its evaluation (20), then the other's job (50) and its own.
    assert found[other.pk] == fair_queue.Forecast(1, 60.0, 110.0)
    assert found[second.pk] == fair_queue.Forecast(2, 130.0, 430.0)


def test_more_trainers_mean_less_waiting(settings: Any) -> None:
    company = Company()
    measured(company, 0.1, evaluation=10.0)
    jobs = [company.train(after=n, tokens=1000) for n in range(4)]
    settings.TRAINERS = 2

    found = fair_queue.forecasts(jobs)
    assert [found[job.pk].starts_in for job in jobs] == [0.0, 0.0, 110.0, 110.0]


def test_no_time_is_told_where_nothing_was_measured() -> None:
    company = Company()
    first, second = company.train(), company.train(after=1)

    found = fair_queue.forecasts([first, second])
    assert found[first.pk] == fair_queue.Forecast(1, 0.0, None)
    assert found[second.pk] == fair_queue.Forecast(2, None, None)


def test_no_time_is_told_where_no_trainer_comes() -> None:
    company = Company()
    measured(company, 0.1)
    job = company.train(after=-3600, tokens=1000)

    assert fair_queue.estimate_of(job) == fair_queue.Forecast(1, None, None)


def test_a_running_job_is_told_its_end_and_one_that_is_over_nothing() -> None:
    company = Company()
    measured(company, 0.1)
    company.train(tokens=1000)
    row = claim()

    assert fair_queue.estimate_of(row).finishes_in == 100.0
    end(row, 10)
    assert fair_queue.estimate_of(FineTuningJob.objects.get(pk=row.pk)) == fair_queue.NOTHING


def test_a_job_that_rests_is_told_where_it_would_stand_and_holds_nobody_up() -> None:
    company = Company()
    resting = company.train(not_before=timezone.now() + timedelta(hours=1))
    ready = company.train(after=1)

    assert fair_queue.position_in_queue(resting) == 1
    assert fair_queue.position_in_queue(ready) == 1
    assert claim().pk == ready.pk


def test_ten_thousand_waiting_jobs_are_told_their_places_in_a_second(tenant: Tenant) -> None:
    import time

    companies = [Company() for _ in range(10)]
    for company in companies:
        company.flood(1000)
    last = companies[0].train(after=20)
    began = time.perf_counter()
    position = fair_queue.position_in_queue(last)
    took = time.perf_counter() - began

    assert position is not None
    assert position > 9000
    # Generous: what is meant is "not a query a job".
    assert took < 10
