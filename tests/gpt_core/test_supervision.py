"""Supervision: whatever the process does, the row says what happened and nothing stays behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from gpt_core import dispatch, job_folder, services, tasks
from gpt_core.models import Checkpoint, Evaluation, FineTuningJob, JobEvent, JobMetric, State
from gpt_core.supervision import child, supervise, supervisor, tail
from gpt_core.supervision.lease import Lease
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.gpt_core.home import is_alive, wait_until
from tests.gpt_core.rows import checkpoint_store, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]
EngineThat = Callable[[str], None]


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "CANCEL_GRACE", 0.5)


def claim() -> Any:
    with system_scope("test"):
        return dispatch.claim_next("worker-1")


def once_it_steps(act: Callable[[], Any]) -> Callable[[], bool]:
    """A `leaving` that leaves never, but does something once the process has said its first step."""
    done: list[int] = []

    def leaving() -> bool:
        if not done and FineTuningJob.objects.filter(step__gt=0).exists():
            done.append(1)
            act()
        return False

    return leaving


def once_it_runs(act: Callable[[], Any]) -> Callable[[], bool]:
    """The same at the first look, whatever the process does."""
    done: list[int] = []

    def leaving() -> bool:
        if not done:
            done.append(1)
            act()
        return False

    return leaving


def test_a_job_that_goes_well_leaves_a_checkpoint_and_an_evaluation_to_do(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("work")
    make_job()

    supervise(claim())

    job = FineTuningJob.objects.get()
    assert (job.state, job.failure_code) == (State.SUCCEEDED, "")
    assert (job.step, job.steps, job.last_step, job.best_loss) == (4, 4, 4, 0.5)
    assert job.trained_tokens == 40
    assert "trained 完成" in job.log_tail
    assert job.worked_seconds > 0
    checkpoint = Checkpoint.objects.get()
    assert checkpoint.job_id == job.pk
    assert Path(checkpoint.folder).is_dir()
    assert Evaluation.objects.get().state == State.QUEUED
    assert JobMetric.objects.filter(kind="train").count() == 4
    assert JobMetric.objects.get(kind="validation").best is True


def test_the_evaluation_ends_with_the_verdict_of_the_gate(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("work")
    make_job()
    supervise(claim())

    supervise(claim())

    evaluation = Evaluation.objects.get()
    assert (evaluation.state, evaluation.failure_code) == (State.SUCCEEDED, "")
    assert evaluation.verdict["passed"] is True
    assert evaluation.passed
    assert evaluation.report["samples"][0]["prompt"] == "退货？"
    assert (evaluation.step, evaluation.steps) == (2, 2)


def test_the_folder_holds_the_order_and_the_rows(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("crash")
    job = make_job(seed=5, dataset_version=make_version(train=3))

    supervise(claim())

    folder = job_folder.folder_of(job)
    spec = json.loads((folder / "spec.json").read_text())
    assert (spec["seed"], spec["fencing_token"], spec["format"]) == (5, 1, 1)
    assert spec["hyperparameters"]["learning_rate"] == "auto"
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["train-0", "train-1", "train-2"]
    assert rows[2]["messages"][0]["content"].startswith("退货")


def test_a_crash_goes_back_to_the_queue_with_the_tail_of_its_log(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("crash")
    make_job()

    supervise(claim())

    job = FineTuningJob.objects.get()
    assert (job.state, job.attempt) == (State.QUEUED, 1)
    assert "内存不足" in job.log_tail
    assert JobEvent.objects.get(code="attempt_failed").data["code"] == "process_ended"


def test_a_poison_job_fails_after_three_attempts_and_others_go_on(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("killed")
    poison = make_job()
    with system_scope("test"):
        for _attempt in range(5):
            tasks.supervise_one(lambda: False)
    poison.refresh_from_db()
    assert (poison.state, poison.attempt, poison.failure_whose) == (State.FAILED, 3, "system")
    assert (poison.failure_code, poison.failure_detail) == ("process_killed", "signal 9")

    engine_that("work")
    other = make_job()
    supervise(claim())
    other.refresh_from_db()
    assert other.state == State.SUCCEEDED


def test_a_job_that_progresses_may_crash_more_often_than_three_times(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("progress-crash")
    make_job()

    with system_scope("test"):
        for _attempt in range(5):
            tasks.supervise_one(lambda: False)

    job = FineTuningJob.objects.get()
    assert (job.state, job.attempt) == (State.SUCCEEDED, 5)


def test_the_fault_of_the_user_is_final_and_names_the_line(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("user")
    make_job()

    supervise(claim())

    job = FineTuningJob.objects.get()
    assert (job.state, job.attempt, job.failure_whose) == (State.FAILED, 1, "user")
    assert (job.failure_code, job.failure_line, job.failure_pointer, job.failure_detail) == (
        "row_without_labels", 7, "/messages/1", "没有标签",
    )  # fmt: skip


def test_a_fault_of_the_system_is_tried_again(in_tenant: Tenant, engine_that: EngineThat) -> None:
    engine_that("system")
    make_job()

    supervise(claim())

    assert FineTuningJob.objects.get().state == State.QUEUED
    assert JobEvent.objects.get(code="attempt_failed").data["code"] == "disk_full"


@pytest.mark.parametrize("how", ["lie", "borrow", "unpublished", "misname"])
def test_a_process_that_only_says_it_is_done_is_not_believed(
    in_tenant: Tenant, engine_that: EngineThat, how: str
) -> None:
    engine_that(how)
    make_job()

    supervise(claim())

    assert FineTuningJob.objects.get().state == State.QUEUED
    assert not Checkpoint.objects.exists()


def test_nonsense_in_the_events_is_passed_over(in_tenant: Tenant, engine_that: EngineThat) -> None:
    engine_that("nonsense")
    make_job()

    supervise(claim())

    job = FineTuningJob.objects.get()
    assert job.state == State.SUCCEEDED
    assert list(JobMetric.objects.filter(kind="train").values_list("step", flat=True)) == [
        1,
        2,
        3,
        4,
    ]


def test_a_flood_of_events_is_ended(
    in_tenant: Tenant, engine_that: EngineThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST_BYTES", 2_000_000)
    monkeypatch.setattr(child, "MOST_LOG_BYTES", 1_000_000)
    engine_that("flood")
    job = make_job()

    supervise(claim())

    assert JobEvent.objects.get(code="attempt_failed").data["code"] == "event_flood"
    assert (job_folder.folder_of(job) / "process.log").stat().st_size < 100_000_000


def test_a_running_job_stops_within_a_step_when_it_is_cancelled(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("slow")
    job = make_job()
    asked: list[float] = []

    def cancel() -> None:
        asked.append(time.monotonic())
        services.cancel_job(FineTuningJob.objects.get(pk=job.pk))

    supervise(claim(), leaving=once_it_steps(cancel))

    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert time.monotonic() - asked[0] < 5


def test_a_process_that_ignores_the_cancel_is_killed_with_its_children(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("hang")
    job = make_job()
    grandchild = job_folder.folder_of(job) / "grandchild.pid"

    def cancel() -> None:
        wait_until(lambda: grandchild.exists() and grandchild.read_text(), 60)
        services.cancel_job(FineTuningJob.objects.get(pk=job.pk))

    supervise(claim(), leaving=once_it_runs(cancel))

    job.refresh_from_db()
    assert job.state == State.CANCELLED
    wait_until(lambda: not is_alive(int(grandchild.read_text())), 3)


def test_a_queued_job_is_cancelled_at_once(in_tenant: Tenant) -> None:
    job = make_job()
    assert services.cancel_job(job).state == State.CANCELLED
    assert claim() is None


def test_a_paused_job_goes_on_from_what_it_saved(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("slow")
    job = make_job()

    def pause() -> None:
        services.pause_job(FineTuningJob.objects.get(pk=job.pk))

    supervise(claim(), leaving=once_it_steps(pause))
    job.refresh_from_db()
    assert (job.state, job.pause_requested) == (State.PAUSED, False)
    assert job.last_step > 0
    assert claim() is None

    services.resume_job(job)
    assert claim().pk == job.pk


def test_a_worker_that_leaves_gives_the_job_back_uncounted(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("slow")
    make_job()

    supervise(claim(), leaving=lambda: FineTuningJob.objects.filter(step__gt=0).exists())

    job = FineTuningJob.objects.get()
    assert (job.state, job.attempts_without_progress) == (State.QUEUED, 0)
    assert job.last_step > 0


def test_a_supervisor_that_lost_its_lease_ends_its_process_and_writes_nothing(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("slow")
    job = make_job()
    taken: list[Any] = []

    def lose() -> None:
        FineTuningJob.objects.filter(pk=job.pk).update(lease_until="2000-01-01T00:00Z")
        with system_scope("test"):
            dispatch.take_back_expired()
        taken.append(claim())
        FineTuningJob.objects.filter(pk=job.pk).update(step=0)

    supervise(claim(), leaving=once_it_steps(lose))

    job.refresh_from_db()
    assert (job.state, job.fencing_token, job.step) == (State.RUNNING, 2, 0)
    assert child._recorded(job_folder.folder_of(job)) == (0, "")


def test_a_successor_ends_the_process_that_a_stopped_supervisor_left(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("hang")
    job = make_job()
    folder = job_folder.write_training(claim())
    left = child.Child(supervisor._work_of(job).command(folder) or [], folder)
    grandchild = wait_until(
        lambda: (folder / "grandchild.pid").exists() and (folder / "grandchild.pid").read_text(), 60
    )

    child.end_leftover(folder)

    assert left.wait(5) == -9
    wait_until(lambda: not is_alive(int(grandchild)), 3)
    left.close()


def test_a_database_away_for_a_while_fails_no_job(
    in_tenant: Tenant, engine_that: EngineThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_that("work")
    make_job()
    away_until = time.monotonic() + 2
    monkeypatch.setattr(connection, "close", lambda: None)

    def execute(inner: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if time.monotonic() < away_until:
            raise OperationalError("server closed the connection unexpectedly")
        return inner(sql, params, many, context)

    row = claim()
    with connection.execute_wrapper(execute):
        supervise(row)

    job = FineTuningJob.objects.get()
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_a_database_away_for_longer_than_the_lease_gives_the_job_up(
    in_tenant: Tenant, engine_that: EngineThat, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    engine_that("slow")
    job = make_job()
    monkeypatch.setattr(connection, "close", lambda: None)
    settings.JOB_LEASE_SECONDS = 1
    away_from = time.monotonic() + 0.8

    def execute(inner: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # Savepoints are the test's own transaction, not the database that is away.
        own = sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
        if time.monotonic() > away_from and not own:
            raise OperationalError("could not connect")
        return inner(sql, params, many, context)

    row = claim()
    with connection.execute_wrapper(execute):
        supervise(row)

    job.refresh_from_db()
    assert job.state == State.RUNNING  # until its lease is seen to be over
    assert child._recorded(job_folder.folder_of(job)) == (0, "")


def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARLEY_SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "PARLEY_ENGINE_KEY"):
        monkeypatch.setenv(name, "geheim")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    environment = child.clean_environment()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "geheim" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in child.clean_environment(offline=False)


def test_a_line_is_read_when_it_is_whole_and_then_never_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = tail.Tail(path, 0)
    assert reader.read() == ([], 0)
    path.write_bytes('{"type": "log", "detail": "完'.encode())
    assert reader.read() == ([], 0)
    with path.open("ab") as file:
        file.write('成"}\n{"type"'.encode())
    events, reader.offset = reader.read()
    assert events == [{"type": "log", "detail": "完成"}]
    assert reader.read() == ([], reader.offset)


def test_a_checkpoint_that_was_published_but_never_recorded_is_swept(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("work")
    job = make_job(attempt=1)
    orphan = checkpoint_store() / ("0" * 64)
    orphan.mkdir(parents=True)
    (orphan / "manifest.json").write_text(json.dumps({"job": str(job.pk)}))
    foreign = checkpoint_store() / ("1" * 64)
    foreign.mkdir()
    (foreign / "manifest.json").write_text(json.dumps({"job": "another"}))

    supervise(claim())

    assert not orphan.exists()
    assert foreign.exists()
    assert Path(Checkpoint.objects.get().folder).exists()


def test_events_of_a_crashed_attempt_are_neither_lost_nor_doubled(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    job = make_job()
    folder = job_folder.folder_of(job)
    folder.mkdir(parents=True)
    line = json.dumps({"type": "train", "token": 1, "step": 1, "loss": 1.0})
    (folder / "events.jsonl").write_text(line + "\n" + line + "\n" + '{"type": "tr')
    FineTuningJob.objects.filter(pk=job.pk).update(fencing_token=1)
    with (folder / "events.jsonl").open("a") as file:
        file.write("\n")
    engine_that("work")

    supervise(claim())

    steps = list(JobMetric.objects.filter(kind="train").values_list("step", "loss"))
    assert steps == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]


def test_heartbeats_renew_the_lease(
    in_tenant: Tenant, engine_that: EngineThat, settings: Any
) -> None:
    settings.JOB_HEARTBEAT_SECONDS = 0
    engine_that("slow")
    job = make_job()
    row = claim()
    first = row.lease_until
    seen: list[Any] = []

    def look() -> None:
        seen.append(FineTuningJob.objects.get(pk=job.pk).lease_until)
        services.cancel_job(FineTuningJob.objects.get(pk=job.pk))

    supervise(row, leaving=once_it_steps(look))

    assert seen[0] > first


def test_the_folder_of_a_job_is_named_by_its_own_id_alone(in_tenant: Tenant) -> None:
    job = FineTuningJob(pk="../../etc")
    with pytest.raises(TypeError):
        job_folder.folder_of(job)


def test_a_lease_is_over_by_its_own_clock_too(in_tenant: Tenant, settings: Any) -> None:
    make_job()
    lease = Lease(claim())
    assert not lease.is_over
    lease.seconds = 0
    assert lease.is_over


def test_people_s_rows_are_not_kept_beside_a_job_that_is_over(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("work")
    job = make_job()

    supervise(claim())

    folder = job_folder.folder_of(job)
    assert not list(folder.glob("*.jsonl.part")) + list(folder.glob("t*.jsonl"))
    assert (folder / "events.jsonl").exists()
    assert (folder / "process.log").exists()


def test_a_commit_whose_answer_was_lost_keeps_no_event_twice(
    in_tenant: Tenant, engine_that: EngineThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_that("work")
    make_job()
    read = supervisor._Attempt._read_piece
    broken: list[int] = []

    def read_and_break(self: Any, events: tail.Tail) -> bool:
        before = events.offset
        moved = read(self, events)
        if moved and len(broken) < 2:
            broken.append(1)
            events.offset = before  # the commit went through, its answer did not
            raise OperationalError("server closed the connection")
        return moved

    monkeypatch.setattr(connection, "close", lambda: None)
    monkeypatch.setattr(supervisor._Attempt, "_read_piece", read_and_break)

    supervise(claim())

    assert FineTuningJob.objects.get().state == State.SUCCEEDED
    assert JobEvent.objects.filter(code="parameters_chosen").count() == 1
    assert JobMetric.objects.filter(kind="train").count() == 4


def test_a_fault_of_our_own_is_said_and_tried_again(
    in_tenant: Tenant, engine_that: EngineThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_that("work")
    make_job()

    def stumble(self: Any, folder: Path) -> dict[str, Any]:
        raise KeyError("坏")

    monkeypatch.setattr(supervisor.TrainingWork, "manifest", stumble)
    supervise(claim())

    assert FineTuningJob.objects.get().state == State.QUEUED
    assert JobEvent.objects.get(code="attempt_failed").data["code"] == "internal"
