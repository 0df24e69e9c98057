"""The whole walk with the real engine: a job's row, a subprocess, a checkpoint, an evaluation, a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpt_core import dispatch, tasks
from gpt_core.models import BaseModel, Checkpoint, Evaluation, FineTuningJob, JobMetric, State
from gpt_core.services import start_fine_tuning
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.gpt_core.rows import make_version
from tests.tiny import tiny_base

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.fixture
def base(home: Path, tmp_path: Path) -> BaseModel:
    prepared = tiny_base(tmp_path)
    (tmp_path / "bases").rename(home / "bases")
    return BaseModel.objects.create(
        name=prepared.name,
        digest=prepared.digest,
        folder_name=prepared.folder.name,
        architecture=prepared.architecture,
        parameters=prepared.parameters,
        context=prepared.context,
    )


def run_queue() -> None:
    with system_scope("test"):
        while tasks.supervise_one(lambda: False):
            pass


def test_a_job_becomes_a_checkpoint_with_its_evaluation_and_its_verdict(
    in_tenant: Tenant, base: BaseModel, home: Path, rings: list[int]
) -> None:
    version = make_version(train=12, validation=3, test=3)
    job = start_fine_tuning(
        dataset_version=version,
        base_model=base,
        deployment="support",
        hyperparameters={"epochs": 2, "batch_size": 2, "max_length": 128, "learning_rate": 0.01},
    )

    run_queue()

    job.refresh_from_db()
    assert (job.state, job.failure_code, job.failure_detail) == (State.SUCCEEDED, "", "")
    assert job.step == job.steps > 0
    assert job.chosen["learning_rate"] == 0.01
    assert job.chosen["rank"] > 0
    checkpoint = Checkpoint.objects.results().get()
    assert checkpoint.name.startswith(f"{in_tenant.slug}.support@v1-")
    manifest = json.loads((Path(checkpoint.folder) / "manifest.json").read_text())
    assert manifest == checkpoint.manifest
    assert manifest["dataset"] == {"id": str(version.pk), "digest": version.digest}
    assert manifest["job"] == str(job.pk)
    steps = JobMetric.objects.filter(kind="train").values_list("step", flat=True)
    assert list(steps) == sorted(set(steps))
    evaluation = Evaluation.objects.get()
    assert (evaluation.state, evaluation.failure_code, evaluation.failure_detail) == (
        State.SUCCEEDED, "", "",
    )  # fmt: skip
    assert evaluation.report["n"] == 3
    assert evaluation.verdict["passed"] is False  # three rows are too few for the gate
    codes = set(job.events.values_list("code", flat=True))
    assert {"created", "queued", "training_started", "checkpoint_published", "evaluated"} <= codes
    with system_scope("test"):
        assert dispatch.claim_next("nobody") is None


def test_a_row_without_a_word_to_learn_fails_with_its_line(
    in_tenant: Tenant, base: BaseModel, rings: list[int]
) -> None:
    version = make_version(train=3)
    row = version.rows.get(split="train", position=1)
    payload: dict[str, Any] = row.payload | {"line": 41}
    payload["messages"] = [
        *payload["messages"][:1],
        {"role": "assistant", "content": "好", "weight": 0},
    ]
    # A frozen row cannot change; a row in its place can.
    row.delete()
    version.rows.create(version=version, split="train", position=1, payload=payload)
    job = start_fine_tuning(dataset_version=version, base_model=base, deployment="support")

    run_queue()

    job.refresh_from_db()
    assert (job.state, job.failure_whose, job.failure_code, job.failure_line) == (
        State.FAILED, "user", "row_without_labels", 41,
    )  # fmt: skip
    assert FineTuningJob.objects.get().attempt == 1
