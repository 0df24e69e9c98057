"""Rows of gpt_core for tests, in one line each. Call them inside a scope."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from gpt_core.models import BaseModel, Checkpoint, Evaluation, FineTuningJob, State
from gpt_core.services.hyperparameters import resolve_hyperparameters, resolve_method
from labeling.models import Dataset, DatasetVersion, VersionRow

_number = itertools.count(1)
QUESTIONS = (
    "How do I reset the router?",
    "When do you open?",
    "退货需要多久？",
    "Where is my order?",
    "发票在哪里？",
)
ANSWERS = (
    "Hold the button for ten seconds.",
    "At nine in the morning.",
    "三到五个工作日。",
    "It leaves us today.",
    "在您的账户里。",
)


def make_base(**fields: Any) -> BaseModel:
    """A base model's row, with a folder that is there and empty."""
    number = next(_number)
    fields.setdefault("name", "smollm2-135m-instruct")
    fields.setdefault("folder_name", f"base-{number}")
    base = BaseModel.objects.create(
        **{
            "digest": f"{number:064x}",
            "architecture": "llama",
            "parameters": 135_000_000,
            "context": 8192,
            "languages": ["en"],
        }
        | fields
    )
    Path(base.folder).mkdir(parents=True, exist_ok=True)
    return base


def make_version(*, train: int = 6, validation: int = 2, test: int = 2) -> DatasetVersion:
    """A frozen version with this many rows in each split, in two languages."""
    number = next(_number)
    dataset = Dataset.objects.create(name=f"客服 {number}", slug=f"support-{number}")
    counts = {"train": train, "validation": validation, "test": test}
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=1,
        digest=f"{number:064x}",
        counts=counts,
        shares=[0.8, 0.1, 0.1],
        frozen_at=timezone.now(),
    )
    VersionRow.objects.bulk_create(
        VersionRow(version=version, split=split, position=i, payload=_row(split, i))
        for split, n in counts.items()
        for i in range(n)
    )
    return version


def make_job(**fields: Any) -> FineTuningJob:
    """A job that waits in the queue."""
    number = next(_number)
    fields.setdefault("state", State.QUEUED)
    fields.setdefault("deployment_name", "support")
    fields.setdefault("number", number)
    if "base_model" not in fields:
        fields["base_model"] = BaseModel.objects.first() or make_base()
    if "dataset_version" not in fields:
        fields["dataset_version"] = make_version()
    fields.setdefault("method", resolve_method("lora"))
    fields.setdefault("hyperparameters", resolve_hyperparameters({}))
    return FineTuningJob.objects.create(**fields)


def make_checkpoint(tenant: Any, **fields: Any) -> Checkpoint:
    """A checkpoint's row with a job that succeeded; no files."""
    job = fields.pop("job", None) or make_job(state=State.SUCCEEDED)
    sha = uuid.uuid4().hex[:8]
    defaults = {
        "name": f"{tenant.slug}.{job.deployment_name}@v{job.number}-{sha}",
        "base_model": job.base_model,
        "job": job,
        "dataset_version": job.dataset_version,
        "digest": uuid.uuid4().hex * 2,
    }
    return Checkpoint.objects.create(**(defaults | fields))


def make_evaluation(
    checkpoint: Checkpoint, *, passed: bool | None = True, **fields: Any
) -> Evaluation:
    """An evaluation; with a verdict it has succeeded, without one it waits."""
    if passed is not None:
        reason = {"code": "too_few_rows", "effect": "against", "figures": {"n": 3, "minimum": 30}}
        fields["verdict"] = {
            "passed": passed,
            "main_metric": "loss",
            "reasons": [] if passed else [reason],
        }
        fields |= {"state": State.SUCCEEDED, "finished_at": timezone.now()}
    return Evaluation.objects.create(checkpoint=checkpoint, **fields)


def checkpoint_store() -> Path:
    return Path(settings.PARLEY_HOME) / "checkpoints"


def _row(split: str, i: int) -> dict[str, Any]:
    kind = {"train": 0, "validation": 1, "test": 2}[split]
    which = (i + kind) % len(QUESTIONS)
    return {
        "id": f"{split}-{i}",
        "line": 2 + i,
        "group": None,
        "messages": [
            {"role": "user", "content": f"{QUESTIONS[which]} ({split} {i})"},
            {"role": "assistant", "content": f"{ANSWERS[which]} {i}"},
        ],
    }
