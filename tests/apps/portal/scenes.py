"""A tenant with a story: a finished job that may be promoted, one that runs, one that waits, one refused,
one that failed. For the portal's tests, the browser and the screenshots."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from gpt_core import gate
from gpt_core.models import (
    BaseModel,
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    Export,
    FineTuningJob,
    JobEvent,
    JobMetric,
    State,
)
from labeling.models import Dataset, DatasetVersion, Example, ImportRun, VersionRow
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.reports import QUESTIONS, report


@dataclass(frozen=True)
class Story:
    """What was made, for a test to look at."""

    base: BaseModel
    dataset: Dataset
    version: DatasetVersion
    open: FineTuningJob
    refused: FineTuningJob
    running: FineTuningJob
    waiting: FineTuningJob
    failed: FineTuningJob
    serving: FineTuningJob
    deployment: Deployment


def make_base(name: str = "smollm2-135m-instruct") -> BaseModel:
    base, _made = BaseModel.objects.get_or_create(
        name=name,
        defaults={
            "digest": f"{random.getrandbits(256):064x}",
            "folder_name": name,
            "architecture": "llama",
            "parameters": 134_515_008,
            "context": 2048,
            "languages": ["en"],
            "licence": "Apache-2.0",
        },
    )
    return base


def tell(tenant: Tenant) -> Story:
    """The whole story, inside the tenant's own scope."""
    with tenant_scope(tenant):
        base = make_base()
        dataset, version = make_dataset()
        now = timezone.now()
        serving = make_job(tenant, base, version, 1, now - timedelta(days=6), State.SUCCEEDED)
        first = make_checkpoint(serving, now - timedelta(days=6))
        evaluate(first, None, gain=0.42, at=now - timedelta(days=6))
        deployment = Deployment.objects.create(
            name="support", base_model=base, checkpoint=first, previous=None
        )
        change = DeploymentChange.objects.create(
            deployment=deployment, kind="promote", before=None, after=first
        )
        DeploymentChange.objects.filter(pk=change.pk).update(at=now - timedelta(days=5))
        refused = make_job(tenant, base, version, 2, now - timedelta(days=2), State.SUCCEEDED)
        evaluate(make_checkpoint(refused, now - timedelta(days=2)), first, gain=0.05, at=now)
        failed = make_failed(tenant, base, version, 3, now - timedelta(hours=20))
        opened = make_job(tenant, base, version, 4, now - timedelta(hours=3), State.SUCCEEDED)
        evaluate(
            make_checkpoint(opened, now - timedelta(hours=2)),
            first,
            gain=0.71,
            at=now - timedelta(hours=1),
        )
        make_exports(opened.checkpoint)
        running = make_job(tenant, base, version, 5, now - timedelta(minutes=7), State.RUNNING)
        waiting = make_job(tenant, base, version, 6, now - timedelta(minutes=1), State.QUEUED)
        return Story(
            base, dataset, version, opened, refused, running, waiting, failed, serving, deployment
        )


def make_dataset(slug: str = "support") -> tuple[Dataset, DatasetVersion]:
    dataset = Dataset.objects.create(
        name="Customer questions",
        slug=slug,
        description="What visitors asked and what the office answered, from the site's history.",
        language="en",
    )
    run = ImportRun.objects.create(
        dataset=dataset,
        filename="zaragoza-faq.jsonl",
        state=ImportRun.State.DONE,
        counts={"created": 503},
        fault_count=2,
        finished_at=timezone.now(),
    )
    examples = [
        Example.objects.create(
            dataset=dataset,
            kind="chat",
            content={"messages": _messages(asked, answer)},
            external_id=f"row-{at}",
            state="accepted" if at else "draft",
            import_run=run,
        )
        for at, (asked, answer, _base, _tuned) in enumerate(QUESTIONS)
    ]
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=1,
        digest=f"{random.getrandbits(256):064x}",
        counts={"train": 402, "validation": 50, "test": 51},
        shares=[0.8, 0.1, 0.1],
        frozen_at=timezone.now() - timedelta(days=6),
    )
    for split in ("train", "validation", "test"):
        for at, (asked, answer, _base, _tuned) in enumerate(QUESTIONS):
            VersionRow.objects.create(
                version=version,
                split=split,
                position=at,
                example=examples[at],
                payload={
                    "id": f"row-{at}",
                    "messages": _messages(asked, answer),
                    "labels": ["offers", "报价"] if at == 2 else [],
                },
            )
    return dataset, version


def make_job(
    tenant: Tenant,
    base: BaseModel,
    version: DatasetVersion,
    number: int,
    at: datetime,
    state: str,
    deployment: str = "support",
) -> FineTuningJob:
    """A job as it stands in this state, with its curve and its events."""
    done = state == State.SUCCEEDED
    steps = 480
    step = steps if done else 204 if state == State.RUNNING else 0
    job = FineTuningJob.objects.create(
        state=state,
        base_model=base,
        dataset_version=version,
        deployment_name=deployment,
        number=number,
        method={"type": "lora", "rank": "auto", "alpha": "auto", "dropout": 0.05},
        hyperparameters={
            "optimizer": "adamw",
            "learning_rate": "auto",
            "schedule": "cosine",
            "batch_size": "auto",
            "epochs": 3,
            "max_length": "auto",
        },
        chosen={
            "method": "lora",
            "rank": 16,
            "alpha": 32,
            "dropout": 0.05,
            "optimizer": "adamw",
            "learning_rate": 0.0011,
            "schedule": "cosine",
            "batch_size": 8,
            "epochs": 3,
            "max_length": 256,
            "device": "cpu",
            "threads": 2,
            "precision": "bfloat16",
            "steps": 480,
        }
        if step
        else {},
        reasons={
            "rank": "by_learned_tokens",
            "alpha": "by_rank",
            "dropout": "given",
            "optimizer": "given",
            "learning_rate": "by_model_size",
            "schedule": "given",
            "batch_size": "by_rows",
            "epochs": "given",
            "max_length": "by_longest_row",
            "precision": "bf16_is_faster",
        }
        if step
        else {},
        step=step,
        steps=steps if step else 0,
        queued_at=at,
        started_at=at + timedelta(seconds=4) if step else None,
        finished_at=at + timedelta(minutes=6, seconds=41) if done else None,
        eta_seconds=252.0 if state == State.RUNNING else None,
        tokens_per_second=612.4 if step else None,
        trained_tokens=118_432 if done else 0,
        best_step=360 if done else None,
        best_loss=1.436 if done else None,
        seed=7,
    )
    if step:
        _curve(job, step, random.Random(number))
    _events(job, at)
    return job


def make_failed(
    tenant: Tenant, base: BaseModel, version: DatasetVersion, number: int, at: datetime
) -> FineTuningJob:
    job = make_job(tenant, base, version, number, at, State.FAILED)
    FineTuningJob.objects.filter(pk=job.pk).update(
        finished_at=at + timedelta(seconds=9),
        failure_code="row_without_labels",
        failure_whose="user",
        failure_line=118,
        failure_detail="no learned token",
        log_tail="reading train.jsonl\nline 118: nothing to learn in this row\n",
    )
    JobEvent.objects.create(
        job=job, code="failed", level="error", data={"code": "row_without_labels"}
    )
    job.refresh_from_db()
    return job


def make_checkpoint(job: FineTuningJob, at: datetime) -> Checkpoint:
    weights = f"{random.getrandbits(32):08x}"
    checkpoint = Checkpoint.objects.create(
        name=f"{job.unhashed_name}-{weights}",
        manifest={
            "code_version": "0.3.0",
            "parameters": {name: value for name, value in job.chosen.items() if name != "device"},
        },
        base_model=job.base_model,
        job=job,
        dataset_version=job.dataset_version,
        digest=f"{random.getrandbits(256):064x}",
    )
    Checkpoint.objects.filter(pk=checkpoint.pk).update(created_at=at)
    JobEvent.objects.create(
        job=job, code="checkpoint_published", data={"name": checkpoint.name}, at=job.finished_at
    )
    return checkpoint


def evaluate(
    checkpoint: Checkpoint, champion: Checkpoint | None, *, gain: float, at: datetime
) -> Evaluation:
    """A finished comparison in which the loss fell by `gain` against the base."""
    document = report(gain, with_champion=champion is not None)
    return Evaluation.objects.create(
        checkpoint=checkpoint,
        champion=champion,
        state=State.SUCCEEDED,
        report=document,
        verdict=gate.judge(document, main_metric="loss").as_dict(),
        queued_at=at - timedelta(minutes=2),
        started_at=at - timedelta(minutes=2),
        finished_at=at,
        step=51,
        steps=51,
    )


def make_exports(checkpoint: Checkpoint) -> None:
    """One that is ready, one that is being made, one whose proof failed."""
    proof = {"prompts": 16, "same_answers": 15, "near_ties": 1, "tokens": 316}
    proof |= {"max_difference": 0.416, "reader": "transformers 5.23.0", "precision": "bfloat16"}
    Export.objects.create(
        checkpoint=checkpoint,
        kind="merged",
        precision="bfloat16",
        state=State.SUCCEEDED,
        filename=f"{checkpoint.name}-merged-bf16.zip",
        size=272_586_238,
        sha256=f"{random.getrandbits(256):064x}",
        proof=proof,
        expires_at=timezone.now() + timedelta(days=6),
    )
    Export.objects.create(
        checkpoint=checkpoint,
        kind="gguf",
        precision="float16",
        state=State.RUNNING,
        step=42,
        steps=100,
        eta_seconds=38.0,
    )
    Export.objects.create(
        checkpoint=checkpoint,
        kind="adapter",
        precision="float32",
        state=State.FAILED,
        failure_code="export_logits_differ",
        failure_whose="system",
    )


def _messages(asked: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def _curve(job: FineTuningJob, last: int, chance: random.Random) -> None:
    rows = []
    for step in range(1, last + 1):
        loss = 1.18 + 1.35 * math.exp(-step / 120) + chance.gauss(0, 0.09)
        rows.append(
            JobMetric(
                job=job, kind="train", step=step, loss=loss, learning_rate=4e-4, grad_norm=1.0
            )
        )
    best = math.inf
    for step in range(40, last + 1, 40):
        loss = 1.40 + 0.95 * math.exp(-step / 110) + max(0, step - 380) * 0.0006
        rows.append(JobMetric(job=job, kind="validation", step=step, loss=loss, best=loss < best))
        best = min(best, loss)
    JobMetric.objects.bulk_create(rows)


def _events(job: FineTuningJob, at: datetime) -> None:
    told: list[tuple[int, str, dict[str, Any]]] = [(0, "created", {}), (1, "queued", {})]
    if job.step:
        told += [
            (4, "attempt_began", {"attempt": 1}),
            (6, "training_started", {"resumed_from_step": 0}),
            (9, "parameters_chosen", {}),
        ]
    if job.state == State.SUCCEEDED:
        told += [(400, "training_finished", {"best_step": 360, "best_loss": 1.436})]
    JobEvent.objects.bulk_create(
        JobEvent(job=job, code=code, data=data, at=at + timedelta(seconds=seconds))
        for seconds, code, data in told
    )
