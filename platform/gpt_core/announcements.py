"""What of the story of jobs and deployments is told outside: from its events to webhooks.

`dispatch.record` writes the story of jobs, in the transaction of what happens, and is therefore the one
place that announces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenancy.webhooks import services as webhooks

from .models import Deployment, Evaluation, FineTuningJob, State, Supervised

# An event of the story: what is told then, and the state that the job is in from then on.
_OF_A_JOB: Mapping[str, tuple[str, str]] = {
    "created": ("job.created", State.VALIDATING_FILES),
    "queued": ("job.queued", State.QUEUED),
    "resumed": ("job.queued", State.QUEUED),
    "attempt_began": ("job.running", State.RUNNING),
    "paused": ("job.paused", State.PAUSED),
    "cancelled": ("job.cancelled", State.CANCELLED),
    "failed": ("job.failed", State.FAILED),
    "gave_up": ("job.failed", State.FAILED),
    "checkpoint_published": ("job.succeeded", State.SUCCEEDED),
}


def announce(row: Supervised, event: str, data: Mapping[str, Any]) -> None:
    """Tell what this event means, if it means anything outside."""
    if isinstance(row, Evaluation):
        if event == "evaluated":
            _announce_evaluation(row, data)
        return
    if not isinstance(row, FineTuningJob) or event not in _OF_A_JOB:
        return
    if event == "attempt_began" and row.attempt > 1:
        return  # it goes on; that it began was told
    event_type, state = _OF_A_JOB[event]
    told = _about_job(row) | {"state": str(state)}
    if state == State.FAILED:
        told["failure"] = data.get("code")
    if event == "checkpoint_published":
        told["checkpoint"] = data.get("checkpoint")
    webhooks.publish(event_type, told, tenant_id=row.tenant_id)
    if event == "checkpoint_published":
        published = {
            "id": data.get("checkpoint"),
            "name": data.get("name"),
            "job": str(row.pk),
            "dataset_version": str(row.dataset_version_id),
        }
        webhooks.publish("checkpoint.published", published, tenant_id=row.tenant_id)


def announce_deployment(event_type: str, deployment: Deployment) -> None:
    """Promoted or rolled back: what answers here now, and what did before."""
    told = {
        "id": str(deployment.pk),
        "name": deployment.name,
        "model": deployment.model,
        "checkpoint": _id(deployment.checkpoint_id),
        "previous": _id(deployment.previous_id),
    }
    webhooks.publish(event_type, told)


def _about_job(job: FineTuningJob) -> dict[str, Any]:
    return {
        "id": str(job.pk),
        "name": job.name,
        "deployment": job.deployment_name,
        "number": job.number,
        "dataset_version": str(job.dataset_version_id),
        "retry_of": _id(job.retry_of_id),
    }


def _announce_evaluation(evaluation: Evaluation, data: Mapping[str, Any]) -> None:
    told = {
        "id": str(evaluation.pk),
        "checkpoint": str(evaluation.checkpoint_id),
        "champion": _id(evaluation.champion_id),
        "passed": data.get("passed"),
        "main_metric": data.get("main_metric"),
    }
    webhooks.publish("evaluation.succeeded", told, tenant_id=evaluation.tenant_id)


def _id(pk: Any) -> str | None:
    return str(pk) if pk else None
