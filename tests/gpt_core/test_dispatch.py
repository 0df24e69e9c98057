"""The queue: a fair order, one holder at a time, and nothing lost with its holder."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from gpt_core import admission, dispatch, fair_queue, tasks, workers
from gpt_core.dispatch import Failure
from gpt_core.models import Evaluation, FineTuningJob, JobEvent, State
from gpt_core.supervision.lease import Lease, LeaseLostError
from labeling.models import VersionRow
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
PAST = timezone.now() - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _quiet(rings: list[int]) -> None:
    """No doorbell reaches a broker."""


def claim() -> Any:
    with system_scope("test"):
        return dispatch.claim_next("worker-1")


def test_the_first_to_come_is_the_first_to_run(in_tenant: Tenant) -> None:
    late = make_job(queued_at=timezone.now())
    early = make_job(queued_at=PAST)

    assert [claim().pk, claim().pk, claim()] == [early.pk, late.pk, None]


def test_a_claim_gives_a_lease_and_a_higher_token(in_tenant: Tenant) -> None:
    make_job(fencing_token=7, attempt=1)

    job = claim()

    assert (job.state, job.fencing_token, job.attempt) == (State.RUNNING, 8, 2)
    assert job.lease_until > timezone.now()
    assert job.worker == "worker-1"


def test_a_tenant_with_many_jobs_does_not_keep_others_waiting(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    make_base()
    with tenant_scope(tenant):
        greedy = [make_job(queued_at=PAST + timedelta(seconds=n)) for n in range(3)]
    with tenant_scope(other_tenant):
        modest = make_job(queued_at=timezone.now())

    assert claim().pk == greedy[0].pk
    assert claim().pk == modest.pk
    assert claim().pk == greedy[1].pk


def test_who_had_less_work_lately_goes_first(tenant: Tenant, other_tenant: Tenant) -> None:
    make_base()
    with tenant_scope(tenant):
        make_job(state=State.SUCCEEDED, worked_seconds=3600.0, heartbeat_at=timezone.now())
        make_job(queued_at=PAST)
    with tenant_scope(other_tenant):
        modest = make_job(queued_at=timezone.now())

    assert claim().pk == modest.pk


def test_an_evaluation_goes_before_the_next_training(in_tenant: Tenant) -> None:
    make_job(queued_at=PAST)
    evaluation = make_evaluation(make_checkpoint(in_tenant), passed=None)

    assert claim().pk == evaluation.pk


def test_a_job_that_shall_wait_before_its_next_attempt_waits(in_tenant: Tenant) -> None:
    make_job(not_before=timezone.now() + timedelta(hours=1))
    assert claim() is None


def test_the_position_in_the_queue_counts_who_goes_before(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    make_base()
    with tenant_scope(tenant):
        make_job(queued_at=PAST)
        second = make_job(queued_at=timezone.now())
    with tenant_scope(other_tenant):
        make_job(queued_at=PAST - timedelta(hours=1))

    with system_scope("test"):
        assert fair_queue.position_in_queue(second) == 3


def test_an_expired_lease_returns_to_the_queue(in_tenant: Tenant, rings: list[int]) -> None:
    make_job()
    job = claim()
    FineTuningJob.objects.filter(pk=job.pk).update(lease_until=PAST)

    tasks.reap()

    job.refresh_from_db()
    assert (job.state, job.attempt, job.worker) == (State.QUEUED, 1, "")
    assert JobEvent.objects.filter(code="attempt_failed", data__code="worker_lost").exists()


def test_what_a_worker_held_that_died_on_this_machine_returns_before_its_lease_ends(
    in_tenant: Tenant,
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = workers.worker_name()
    elsewhere = f"another-machine/0/0:{gone.pid}"
    for name in (f"{workers.place()}:{gone.pid}", alive, elsewhere):
        make_job()
        with system_scope("test"):
            dispatch.claim_next(name)
    with system_scope("test"):
        assert dispatch.take_back_from_the_dead() == 1

    states = {job.worker: job.state for job in FineTuningJob.objects.all()}
    assert states == {"": State.QUEUED, alive: State.RUNNING, elsewhere: State.RUNNING}


def test_a_live_lease_is_left_alone(in_tenant: Tenant) -> None:
    make_job()
    job = claim()

    tasks.reap()

    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_a_job_fails_after_three_attempts_without_progress(in_tenant: Tenant) -> None:
    make_job()
    for attempt in range(3):
        job = claim()
        assert job.attempt == attempt + 1
        assert dispatch.give_back(job, Failure("process_killed", detail="signal 9"))

    job.refresh_from_db()
    assert (job.state, job.failure_code, job.failure_whose) == (
        State.FAILED, "process_killed", "system",
    )  # fmt: skip
    assert claim() is None


def test_progress_starts_the_count_of_attempts_anew(in_tenant: Tenant) -> None:
    make_job()
    for _attempt in range(5):
        job = claim()
        Lease(job).write(attempts_without_progress=0, last_step=job.last_step + 1)
        dispatch.give_back(job, Failure("process_killed"))

    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_attempts_of_a_released_job_are_not_counted(in_tenant: Tenant) -> None:
    make_job()
    for _attempt in range(5):
        assert dispatch.release(claim())
    assert FineTuningJob.objects.get().attempts_without_progress == 0


def test_a_holder_given_up_for_dead_cannot_write(in_tenant: Tenant) -> None:
    make_job()
    zombie = claim()
    lease = Lease(zombie)
    FineTuningJob.objects.filter(pk=zombie.pk).update(lease_until=PAST)
    tasks.reap()
    assert claim().fencing_token == zombie.fencing_token + 1

    for write in (
        lease.renew,
        lease.orders,
        lambda: lease.write(step=99),
        lambda: lease.end(State.SUCCEEDED),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert not dispatch.give_back(zombie, Failure("process_killed"))
    assert not dispatch.release(zombie)
    assert FineTuningJob.objects.get().step == 0


def test_the_doorbell_rings_as_long_as_work_waits(in_tenant: Tenant, rings: list[int]) -> None:
    tasks.reap()
    assert rings == []
    make_job()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "ring", lambda: rings.append(1))
        tasks.reap()
    assert rings == [1]


def test_a_broker_that_is_away_breaks_no_request(
    in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    def away(*_args: Any, **_options: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.undo()
    monkeypatch.setattr(current_app, "send_task", away)
    dispatch._ring()


def test_a_frozen_version_that_lost_rows_is_refused_before_the_queue(in_tenant: Tenant) -> None:
    job = make_job(state=State.VALIDATING_FILES)
    VersionRow.objects.filter(version=job.dataset_version, split="test").delete()

    with system_scope("test"):
        admission.admit_waiting()

    job.refresh_from_db()
    assert (job.state, job.failure_code) == (State.FAILED, "dataset_version_changed")


def test_a_sound_version_is_admitted_once(in_tenant: Tenant) -> None:
    make_job(state=State.VALIDATING_FILES)

    with system_scope("test"):
        assert [admission.admit_waiting(), admission.admit_waiting()] == [1, 0]

    assert FineTuningJob.objects.get().state == State.QUEUED


def test_an_evaluation_is_supervised_by_the_same_rules(in_tenant: Tenant) -> None:
    make_evaluation(make_checkpoint(in_tenant), passed=None)
    for _attempt in range(3):
        dispatch.give_back(claim(), Failure("process_killed"))

    assert Evaluation.objects.get().state == State.FAILED
    assert JobEvent.objects.filter(evaluation__isnull=False, code="gave_up").count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_never_get_the_same_job(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        make_base()
        version = make_version()
        for _ in range(20):
            make_job(dataset_version=version)

    def claim_all() -> list[Any]:
        try:
            return [job.pk for job in iter(claim, None)]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as workers:
        claimed = [
            pk for done in [workers.submit(claim_all) for _ in range(6)] for pk in done.result()
        ]

    assert len(claimed) == len(set(claimed)) == 20
    with tenant_scope(tenant):
        assert set(FineTuningJob.objects.values_list("fencing_token", flat=True)) == {1}
