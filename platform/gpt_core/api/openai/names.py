"""Names of models: what OpenAI's clients call a model, and which one is meant.

A fine-tuned model is `ft:<base>:<tenant>:<suffix>:<short id>`; the short id is the beginning of its
job's key, so that a name leads to its row by the primary key's index. A base model goes by its own name, a checkpoint
also by ours, and a deployment by the slot's: what answers there may change, its name does not.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.utils.text import slugify

from ...models import BaseModel, Checkpoint, Deployment, FineTuningJob
from .errors import UnknownModelError

SHORT = 10
MOST_CHARACTERS = 300
_FINE_TUNED = re.compile(
    r"ft:[^:]+:[^:]+:[^:]*:(?P<short>[0-9a-f]{10})(?::ckpt-step-(?P<step>[0-9]{1,9}))?"
)

Model = BaseModel | Checkpoint


def name_of_job(job: FineTuningJob) -> str:
    """What the model of this job is called; needs its tenant and its base."""
    suffix = slugify(job.name, allow_unicode=True)
    return f"ft:{job.base_model.name}:{job.tenant.slug}:{suffix}:{job.pk.hex[:SHORT]}"


def name_at_step(job: FineTuningJob, step: int) -> str:
    return f"{name_of_job(job)}:ckpt-step-{step}"


def name_of(checkpoint: Checkpoint) -> str:
    """The public name of a checkpoint; one that no job of ours made keeps its own."""
    if checkpoint.step_of is not None:
        return name_at_step(checkpoint.step_of, checkpoint.step or 0)
    return name_of_job(checkpoint.job) if checkpoint.job is not None else checkpoint.name


def model_called(name: str) -> Model:
    """The model that a name means to the tenant in scope. Raises UnknownModelError."""
    if len(name) > MOST_CHARACTERS:
        raise UnknownModelError(name)
    found = _fine_tuned(name) if name.startswith("ft:") else _plain(name)
    if found is None:
        raise UnknownModelError(name)
    return found


def base_called(name: str) -> BaseModel:
    """The newest base of this name. Raises UnknownModelError."""
    found = BaseModel.objects.filter(name=name[:64]).order_by("-created_at").first()
    if found is None or found.name != name:
        raise UnknownModelError(name)
    return found


def _fine_tuned(name: str) -> Checkpoint | None:
    match = _FINE_TUNED.fullmatch(name)
    if match is None:
        return None
    short, step = match["short"], match["step"]
    rest = 32 - SHORT
    jobs = FineTuningJob.objects.select_related("tenant", "base_model").filter(
        pk__gte=UUID(hex=short + "0" * rest), pk__lte=UUID(hex=short + "f" * rest)
    )
    # Two jobs of one beginning differ in the rest of their names, or are told apart by nobody.
    for job in jobs[:10]:
        if step is None and name == name_of_job(job):
            return _present().filter(job=job).first()
        if step is not None and name == name_at_step(job, int(step)):
            return checkpoint_at(job, int(step))
    return None


def checkpoint_at(job: FineTuningJob, step: int) -> Checkpoint | None:
    """What a job kept of this step; its result is also known by the step that it is of."""
    kept = _present().filter(step_of=job, step=step).first()
    if kept is not None:
        return kept
    return _present().filter(job=job).first() if job.best_step == step else None


def _plain(name: str) -> Model | None:
    base = BaseModel.objects.filter(name=name[:64]).order_by("-created_at").first()
    if base is not None and base.name == name:
        return base
    checkpoint = _present().filter(name=name).first()
    if checkpoint is not None:
        return checkpoint
    slots = Deployment.objects.select_related("checkpoint__base_model", "base_model")
    slot = slots.filter(name=name).first()
    return None if slot is None else slot.checkpoint or slot.base_model


def _present() -> Any:
    return Checkpoint.objects.present().select_related("base_model")
