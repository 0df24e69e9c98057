"""Long work: taken up again where a worker died, stopped where somebody asks, and done only once."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from common.errors import ApplicationError
from labeling import background, bulk, importing, services, tasks, work
from labeling.finding import Filters
from labeling.models import Dataset, DatasetVersion, Example, FreezeRun, ImportRun, Work
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(in_tenant: Tenant) -> Dataset:
    return services.create_dataset(name="客服", slug="support")


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the doorbell rang."""
    heard: list[int] = []
    monkeypatch.setattr(work, "ring", lambda queue="default": heard.append(1))
    return heard


def lines(count: int, start: int = 0) -> bytes:
    rows = (
        {
            "question": f"第{n}个问题怎么办 {n * 7919}",
            "answer": f"答案是 {n * n} 号办法",
            "id": f"q{n}",
        }
        for n in range(start, start + count)
    )
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def receive(dataset: Dataset, data: bytes, name: str = "历史.jsonl") -> ImportRun:
    return services.receive_file(dataset=dataset, stream=io.BytesIO(data), filename=name)


def test_a_small_file_is_checked_while_one_waits_and_nothing_is_imported(dataset: Dataset) -> None:
    data = lines(60) + b"\n" + lines(2) + b'\n{"question": "", "answer": "x"}\n'
    data += '{"question": "打 13812345678", "answer": "li@example.com"}'.encode()
    run = receive(dataset, data)
    assert (run.state, run.is_check) == ("done", True)
    assert run.counts["created"] == 61
    assert run.findings["duplicates"] == {"count": 2, "places": [[61, 1], [62, 2]]}
    assert run.findings["personal"]["kinds"] == {"phone": 1, "email": 1}
    assert run.findings["personal"]["places"][0]["line"] == 64
    splits = run.findings["splits"]
    assert sum(splits["rows"].values()) + splits["near_copies"] == 61
    assert run.fault_count == 1
    assert not Example.objects.exists()


def test_a_check_foretells_what_the_freeze_then_gives(dataset: Dataset) -> None:
    services.import_examples(dataset=dataset, stream=io.BytesIO(lines(80)), filename="a.jsonl")
    run = receive(dataset, lines(120, start=40))
    foretold = run.findings["splits"]
    services.start_import(run=run)
    version = services.freeze_version(dataset=dataset)
    assert {name: version.counts[name] for name in foretold["rows"]} == foretold["rows"]
    left_out = version.counts["left_out"]
    near = left_out["near_copies_in_test"] + left_out["near_copies_in_validation"]
    assert foretold["near_copies"] == near


def test_the_import_begins_once(dataset: Dataset) -> None:
    run = receive(dataset, lines(12))
    services.start_import(run=run, state="draft")
    run.refresh_from_db()
    assert (run.state, run.is_check, run.counts["created"]) == ("done", False, 12)
    assert set(Example.objects.values_list("state", flat=True)) == {"draft"}
    for again in (
        lambda: services.start_import(run=run),
        lambda: services.map_columns(run=run, mapping={"question": "answer"}),
    ):
        with pytest.raises(ApplicationError) as refused:
            again()
        assert refused.value.code == "import_begun"
    assert Example.objects.count() == 12


def test_what_is_long_is_left_to_a_worker(
    dataset: Dataset,
    rings: list[int],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    with django_capture_on_commit_callbacks(execute=True):
        run = receive(dataset, lines(30))
    assert (run.state, rings) == ("queued", [1])
    with system_scope("test: a worker"):
        assert tasks.do_waiting_work() == 1
    run.refresh_from_db()
    assert run.state == "done"


def test_a_killed_import_is_taken_up_again_and_counts_each_row_once(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    monkeypatch.setattr(importing, "BATCH", 10)
    run = receive(dataset, lines(50))
    ImportRun.objects.filter(pk=run.pk).update(is_check=False)
    run.refresh_from_db()
    hold = work.Hold.of(run)
    assert hold is not None

    class Killed(BaseException):
        pass

    batches: list[int] = []

    def die(self: work.Hold, share: float, done: int | None = None) -> None:
        batches.append(1)
        if len(batches) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(work.Hold, "progress", die)
        with pytest.raises(Killed):
            background.read_file(hold)
    assert Example.objects.count() == 30
    run.refresh_from_db()
    assert (run.state, run.counts["created"]) == ("running", 30)
    with system_scope("test: beat"):
        assert work.next_waiting() is None, "its lease has not ended"
    ImportRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    with system_scope("test: beat"):
        tasks.reap_work()
        tasks.do_waiting_work()
    assert rings
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("done", 2)
    assert run.counts["created"] == 50
    assert run.counts["unchanged"] == 0
    assert Example.objects.count() == 50
    # Whoever was given up for dead writes nothing any more.
    with pytest.raises(work.WorkLostError):
        hold.write(done=1)


def test_after_three_lost_workers_it_has_failed(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    run = receive(dataset, lines(12))
    ImportRun.objects.update(attempt=work.MOST_ATTEMPTS)
    run.refresh_from_db()
    assert work.carry_out(run)
    run.refresh_from_db()
    assert (run.state, run.failure) == ("failed", "worker_lost")


def test_a_cancelled_import_stops_and_keeps_whole_batches(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    monkeypatch.setattr(importing, "BATCH", 10)
    monkeypatch.setattr(work, "TOLD_EVERY", 0.0)
    run = receive(dataset, lines(50))
    ImportRun.objects.filter(pk=run.pk).update(is_check=False)
    run.refresh_from_db()
    keep = work.Hold.write

    def asked_meanwhile(self: work.Hold, **changes: Any) -> None:
        keep(self, **changes)
        if changes.get("done") == 20:
            services.cancel_work(self.row)

    monkeypatch.setattr(work.Hold, "write", asked_meanwhile)
    work.carry_out(run)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert Example.objects.count() == 20
    assert work.carry_out(run) is False


def test_what_waits_is_cancelled_at_once(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    run = receive(dataset, lines(12))
    services.cancel_work(run)
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_another_mapping_overtakes_a_check_that_runs(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    run = receive(dataset, "Frage,Antwort\n在吗,在的\n".encode(), "faq.csv")
    slow = work.Hold.of(run)
    assert slow is not None
    services.map_columns(run=run, mapping={"question": "Frage", "answer": "Antwort", "*": ""})
    with pytest.raises(work.WorkLostError):
        background.read_file(slow)
    run.refresh_from_db()
    assert work.carry_out(run)
    run.refresh_from_db()
    assert (run.state, run.counts["created"], run.fault_count) == ("done", 1, 0)


def test_a_version_is_frozen_in_the_background_once(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    services.import_examples(dataset=dataset, stream=io.BytesIO(lines(60)), filename="a.jsonl")
    monkeypatch.setattr(background, "AT_ONCE_EXAMPLES", 1)
    run = services.start_freeze(dataset=dataset)
    with pytest.raises(ApplicationError) as refused:
        services.start_freeze(dataset=dataset)
    assert refused.value.code == "work_running"
    first = work.Hold.of(run)
    assert first is not None
    # Another worker takes it over while the first one still compares.
    FreezeRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert work.carry_out(FreezeRun.objects.get())
    with pytest.raises(work.WorkLostError):
        background.freeze(first)
    assert DatasetVersion.objects.count() == 1
    run.refresh_from_db()
    assert run.version == DatasetVersion.objects.get()
    assert run.state == "done"


def test_too_little_to_freeze_is_said(dataset: Dataset) -> None:
    services.import_examples(dataset=dataset, stream=io.BytesIO(lines(3)), filename="a.jsonl")
    run = services.start_freeze(dataset=dataset)
    run.refresh_from_db()
    assert (run.state, run.failure) == ("failed", "dataset_too_small")


def test_who_has_nothing_under_way_goes_first(
    dataset: Dataset,
    tenant: Tenant,
    other_tenant: Tenant,
    rings: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 10)
    mine = [receive(dataset, lines(12)) for _ in range(3)]
    with tenant_scope(other_tenant):
        other = services.create_dataset(name="另一家", slug="other")
        theirs = receive(other, lines(12))
    assert work.Hold.of(mine[0]) is not None
    with system_scope("test: a worker"):
        assert work.next_waiting() == theirs


def test_a_change_of_many_goes_on_after_its_worker_died(
    dataset: Dataset, rings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    services.import_examples(
        dataset=dataset, stream=io.BytesIO(lines(30)), filename="a.jsonl", state="draft"
    )
    monkeypatch.setattr(bulk, "PAGE", 10)
    monkeypatch.setattr(bulk, "AT_ONCE", 1)
    change = services.change_examples(
        dataset=dataset, filters=Filters.read({}), action="add_label", label="旧"
    )
    hold = work.Hold.of(change)
    assert hold is not None
    pages = bulk._pages(change)
    bulk._change_page(change, list(Example.objects.filter(pk__in=next(pages))))
    type(change).objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    change.refresh_from_db()
    assert work.carry_out(change)
    assert [one.labels for one in Example.objects.all()] == [["旧"]] * 30
    assert change.annotations.count() == 30


def test_an_import_by_command_is_nobody_elses(dataset: Dataset) -> None:
    """A run without a stored file cannot be read by a worker, however long ago it was left."""
    ImportRun.objects.create(dataset=dataset, filename="a.jsonl", state=Work.State.RUNNING)
    with system_scope("test: a worker"):
        assert work.next_waiting() is None
