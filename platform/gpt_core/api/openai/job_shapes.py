"""A job, its events and its checkpoints, in OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from ...fair_queue import NOTHING, Forecast
from ...models import Checkpoint, FineTuningJob, JobEvent, JobMetric, State, Whose
from . import ids, messages
from .base import timestamp
from .names import name_at_step, name_of_job

_LEVELS = {"warning": "warn", "error": "error"}


def as_object(job: FineTuningJob, forecast: Forecast = NOTHING) -> dict[str, Any]:
    """OpenAI's job. Besides theirs are `paused`, a status, and `queue_position`: how many jobs start
    before it, and one; null where it does not wait in the queue.
    """
    done = job.state == State.SUCCEEDED
    parameters = hyperparameters(job)
    return {
        "id": ids.written(ids.JOB, job.pk),
        "object": "fine_tuning.job",
        "created_at": timestamp(job.created_at),
        "error": _error(job) if job.state == State.FAILED else None,
        "estimated_finish": timestamp(_finish(forecast)),
        "fine_tuned_model": name_of_job(job) if done else None,
        "finished_at": timestamp(job.finished_at) if done or job.is_terminal else None,
        "hyperparameters": {name: parameters[name] for name in _THEIRS},
        "integrations": [],
        "metadata": job.metadata,
        "method": {"type": "supervised", "supervised": {"hyperparameters": parameters}},
        "model": job.base_model.name,
        "organization_id": job.tenant.slug,
        "queue_position": forecast.position,
        "result_files": [ids.written(ids.FILE, job.result_file_id)] if job.result_file_id else [],
        "seed": job.seed,
        "status": job.state,
        "trained_tokens": job.trained_tokens if done else None,
        "training_file": _training_file(job),
        "validation_file": (
            ids.written(ids.FILE, job.validation_file_id) if job.validation_file_id else None
        ),
        "user_provided_suffix": job.name or None,
    }


_THEIRS = ("n_epochs", "batch_size", "learning_rate_multiplier")


def hyperparameters(job: FineTuningJob) -> dict[str, Any]:
    """As they were chosen where they have been; ours besides OpenAI's where somebody set them."""
    asked, chosen = dict(job.hyperparameters), job.chosen
    asked["n_epochs"] = asked.pop("epochs", "auto")
    found: dict[str, Any] = {
        "n_epochs": _plain(chosen.get("epochs", asked["n_epochs"])),
        "batch_size": chosen.get("batch_size", asked.get("batch_size", "auto")),
        "learning_rate_multiplier": asked.get("learning_rate_multiplier", "auto"),
    }
    found |= {name: value for name, value in asked.items() if name not in found and value != "auto"}
    lora = {name: value for name, value in job.method.items() if value != "auto"}
    return found | {"lora": lora} if lora != {"type": "lora"} else found


def event_object(event: JobEvent | JobMetric, job: FineTuningJob) -> dict[str, Any]:
    """What happened, or the figures of a step."""
    if isinstance(event, JobMetric):
        found = {
            "level": "info",
            "message": messages.of_metric(event, job.steps),
            "type": "metrics",
            "data": _figures([event]) | {"total_steps": job.steps},
        }
    else:
        found = {
            "level": _LEVELS.get(event.level, "info"),
            "message": messages.of_event(event),
            "type": "message",
            "data": messages.data_of(event),
        }
    return {
        "id": event_id(event),
        "object": "fine_tuning.job.event",
        "created_at": timestamp(event.created_at),
        **found,
    }


def event_id(event: JobEvent | JobMetric) -> str:
    kind = "m" if isinstance(event, JobMetric) else "e"
    return f"{ids.EVENT}{kind}{event.pk}"


def checkpoint_object(
    checkpoint: Checkpoint, job: FineTuningJob, metrics: list[JobMetric]
) -> dict[str, Any]:
    """A step that was kept. The job's result is the one of its best step."""
    step = checkpoint.step if checkpoint.step is not None else job.best_step or 0
    return {
        "id": ids.written(ids.CHECKPOINT, checkpoint.pk),
        "object": "fine_tuning.job.checkpoint",
        "created_at": timestamp(checkpoint.created_at),
        "fine_tuned_model_checkpoint": name_at_step(job, step),
        "fine_tuning_job_id": ids.written(ids.JOB, job.pk),
        "step_number": step,
        "metrics": _figures([metric for metric in metrics if metric.step == step]) | {"step": step},
    }


def _figures(metrics: list[JobMetric]) -> dict[str, Any]:
    """Every validation of ours is over all the rows: what OpenAI calls full."""
    found: dict[str, Any] = {}
    for metric in metrics:
        found["step"] = metric.step
        is_training = metric.kind == JobMetric.Kind.TRAIN
        for name in ("train",) if is_training else ("valid", "full_valid"):
            found[f"{name}_loss"] = metric.loss
            found[f"{name}_mean_token_accuracy"] = metric.token_accuracy
    return found


def _error(job: FineTuningJob) -> Mapping[str, Any]:
    ours = job.failure_whose == Whose.SYSTEM
    return {
        "code": "server_error" if ours else job.failure_code,
        "message": messages.of_failure(job),
        "param": job.failure_data.get("param"),
    }


def _finish(forecast: Forecast) -> datetime | None:
    if forecast.finishes_in is None:
        return None
    return timezone.now() + timedelta(seconds=forecast.finishes_in)


def _training_file(job: FineTuningJob) -> str:
    """A job of the pages or of the native API learned from a version, and from no file."""
    if job.training_file_id is not None:
        return ids.written(ids.FILE, job.training_file_id)
    return f"dataset-version-{job.dataset_version_id}"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
