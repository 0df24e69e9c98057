"""Old checkpoints go by rule: never one that serves, would after a roll-back, or is the last."""

from __future__ import annotations

import random
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from gpt_core import services, tasks
from gpt_core.models import (
    BaseModel,
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    State,
)
from tenancy import quotas
from tenancy.home import keeping_files_still
from tenancy.models import AuditEntry, StoredBytes, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.portal import scenes


@pytest.fixture(autouse=True)
def _home(settings: Any, tmp_path: Path) -> None:
    settings.PARLEY_HOME = tmp_path
    settings.KEEP_CHECKPOINTS, settings.KEEP_CHECKPOINT_DAYS = 2, 30


@pytest.fixture
def base(in_tenant: Tenant) -> BaseModel:
    return scenes.make_base()


def make(base: BaseModel, deployment: str, number: int, days: float, **more: Any) -> Checkpoint:
    """A checkpoint of so many days, with its folder."""
    digest = f"{random.getrandbits(256):064x}"
    checkpoint = Checkpoint.objects.create(
        name=f"acme.{deployment}@v{number}-{digest[:8]}",
        base_model=base,
        digest=digest,
        created_at=timezone.now() - timedelta(days=days),
        **more,
    )
    folder = Path(checkpoint.folder)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 1000)
    return checkpoint


def reasons() -> dict[int, str]:
    return {
        int(one.checkpoint.name.partition("@v")[2].partition("-")[0]): one.reason
        for one in services.judge_checkpoints()
    }


def test_each_is_kept_for_the_reason_that_holds_it(base: BaseModel) -> None:
    made = {number: make(base, "support", number, 100 - number) for number in range(1, 9)}
    made[9] = make(base, "support", 9, 1)
    slot = Deployment.objects.create(
        name="support", base_model=base, checkpoint=made[3], previous=made[2]
    )
    DeploymentChange.objects.create(deployment=slot, kind="promote", before=None, after=made[1])
    Evaluation.objects.create(checkpoint=made[4], champion=made[5], state=State.QUEUED)
    Evaluation.objects.create(checkpoint=made[6], state=State.SUCCEEDED)
    make(base, "sales", 20, 400)
    assert reasons() == {
        1: "served", 2: "serves", 3: "serves", 4: "needed", 5: "needed", 6: "", 7: "",
        8: "newest", 9: "newest", 20: "newest",
    }  # fmt: skip


def test_what_is_young_stays_however_many_there_are(base: BaseModel) -> None:
    for number in range(1, 6):
        make(base, "support", number, 6 - number)
    assert set(reasons().values()) == {"newest", "young"}


def test_collecting_frees_the_disk_and_keeps_the_row_and_says_so(base: BaseModel) -> None:
    old, *newer = [make(base, "support", number, 90 - number) for number in (1, 2, 3)]
    assert services.collect_checkpoints() == [old]
    assert Path(old.folder).exists()  # until the transaction of this test would commit
    old.refresh_from_db()
    assert old.deleted_at is not None
    assert [one.deleted_at for one in newer] == [None, None]
    assert AuditEntry.objects.get(action="checkpoint.deleted").target_id == str(old.pk)
    assert services.collect_checkpoints() == []


@pytest.mark.django_db(transaction=True)
def test_the_folder_is_gone_once_it_is_committed(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        base = scenes.make_base()
        old = make(base, "support", 1, 90)
        kept = [make(base, "support", number, 80) for number in (2, 3)]
    with system_scope("test"):
        tasks.collect_checkpoints()
    assert not Path(old.folder).exists()
    assert all(Path(one.folder).is_dir() for one in kept)


def test_the_last_stays_even_where_the_settings_keep_nothing(
    base: BaseModel, settings: Any
) -> None:
    settings.KEEP_CHECKPOINTS, settings.KEEP_CHECKPOINT_DAYS = 0, 0
    make(base, "support", 1, 900)
    assert reasons() == {1: "newest"}


def test_steps_of_a_job_go_before_results_and_not_while_it_runs(base: BaseModel) -> None:
    _dataset, version = scenes.make_dataset()
    common = {
        "base_model": base,
        "dataset_version": version,
        "deployment_name": "support",
        "method": {"type": "lora"},
    }
    done = FineTuningJob.objects.create(number=1, state=State.SUCCEEDED, **common)
    running = FineTuningJob.objects.create(number=2, state=State.RUNNING, **common)
    make(base, "support", 1, 50, job=done)
    make(base, "support", 11, 50, step_of=done, step=10)
    make(base, "support", 12, 50, step_of=running, step=10)
    assert reasons() == {1: "newest", 11: "", 12: "needed"}


@pytest.mark.parametrize("seed", range(40))
def test_never_one_that_serves_served_or_is_the_last(
    seed: int, base: BaseModel, settings: Any
) -> None:
    chance = random.Random(seed)
    settings.KEEP_CHECKPOINTS = chance.randint(0, 3)
    settings.KEEP_CHECKPOINT_DAYS = chance.choice([0, 10, 60])
    made: dict[str, list[Checkpoint]] = {}
    for number in range(chance.randint(1, 14)):
        deployment = chance.choice(["support", "sales", "news"])
        made.setdefault(deployment, []).append(
            make(base, deployment, number + 1, chance.choice([0, 5, 30, 200, 400]))
        )
    protected = set()
    for deployment, all_of_it in made.items():
        if chance.random() < 0.7:
            serving, previous = chance.choice(all_of_it), chance.choice([None, *all_of_it])
            slot = Deployment.objects.create(
                name=deployment, base_model=base, checkpoint=serving, previous=previous
            )
            before = chance.choice(all_of_it)
            DeploymentChange.objects.create(
                deployment=slot, kind="promote", before=before, after=serving
            )
            protected |= {serving.pk, before.pk} | ({previous.pk} if previous else set())
        if chance.random() < 0.4:
            judged = chance.choice(all_of_it)
            Evaluation.objects.create(checkpoint=judged, state=State.RUNNING)
            protected.add(judged.pk)
        protected.add(max(all_of_it, key=lambda one: (one.created_at, one.pk)).pk)
    gone = {one.pk for one in services.collect_checkpoints()}
    assert not gone & protected
    assert Checkpoint.objects.count() == sum(map(len, made.values()))


def test_another_companys_checkpoints_are_not_even_looked_at(
    base: BaseModel, other_tenant: Tenant
) -> None:
    with tenant_scope(other_tenant):
        for number in range(1, 5):
            make(base, "support", number, 100)
    assert services.judge_checkpoints() == []


def test_nothing_is_collected_while_a_backup_is_at_work(base: BaseModel) -> None:
    for number in range(1, 5):
        make(base, "support", number, 100)
    with keeping_files_still(), system_scope("test"):
        tasks.collect_checkpoints()
    assert Checkpoint.objects.present().count() == 4


def test_the_command_tells_before_it_does(base: BaseModel) -> None:
    for number in range(1, 4):
        make(base, "support", number, 100 - number)
    said = StringIO()
    call_command("collect_checkpoints", "--dry-run", stdout=said)
    assert "would go" in said.getvalue()
    assert "kept: newest" in said.getvalue()
    assert Checkpoint.objects.present().count() == 3
    call_command("collect_checkpoints", stdout=said)
    assert "Freed 0.0 MB" in said.getvalue()
    assert Checkpoint.objects.present().count() == 2


# --- What a tenant keeps -----------------------------------------------------------------------


def test_the_disk_is_measured_by_kind_and_tenant(
    tenant: Tenant, other_tenant: Tenant, tmp_path: Path, db: None
) -> None:
    with tenant_scope(tenant):
        story = scenes.tell(tenant)
        make(story.base, "support", 77, 1)
        job = tmp_path / "jobs" / str(story.running.pk)
    files = tmp_path / "files" / str(tenant.pk)
    for folder, size in ((job, 300), (files, 5000), (tmp_path / "files" / "elsewhere", 70)):
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"y" * size)
    with system_scope("test"):
        tasks.measure_storage()
    with tenant_scope(tenant):
        found = dict(StoredBytes.objects.values_list("kind", "bytes"))
        assert found == {"files": 5000, "checkpoints": 1000, "jobs": 300, "exports": 0}
        assert quotas.stored_bytes() == 6300
        meter = next(m for m in quotas.usage_of(tenant).meters if m.name == "storage_bytes")
        assert meter.used == 6300
    with tenant_scope(other_tenant):
        assert quotas.stored_bytes() == 0


def test_a_training_is_not_begun_without_room(in_tenant: Tenant, settings: Any) -> None:
    from common.errors import ApplicationError

    _dataset, version = scenes.make_dataset()
    settings.QUOTAS = settings.QUOTAS | {"storage_bytes": 1000}
    quotas.storage.measured("files", 1000)
    with pytest.raises(ApplicationError) as refused:
        services.start_fine_tuning(
            dataset_version=version, base_model=scenes.make_base(), deployment="support"
        )
    assert (refused.value.code, refused.value.status_hint) == ("storage_quota_exceeded", 409)
    assert not FineTuningJob.objects.exists()


# --- Engines forget what is gone -----------------------------------------------------------------


def test_an_engine_forgets_what_was_deleted_and_nothing_that_is_not_ours(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, deleted = make(base, "support", 1, 1), make(base, "support", 2, 1)
    services.checkpoints.delete_checkpoint(deleted)
    gone = "erased.support@v1-0123abcd"

    class Loaded:
        def __init__(self, name: str) -> None:
            self.name = name

    known = [base.name, kept.name, deleted.name, gone, "somebodys-static-adapter"]
    told: list[str] = []
    engines = services.engines
    monkeypatch.setattr(
        engines.client, "loaded_models", lambda *, base: [Loaded(name) for name in known]
    )
    monkeypatch.setattr(engines.client, "unload", lambda *, base, name: told.append(name) or True)
    with system_scope("test"):
        engines.reconcile_engines()
    assert sorted(told) == sorted([deleted.name, gone])
