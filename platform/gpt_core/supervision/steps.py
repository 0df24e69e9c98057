"""The steps that a training kept besides its best: published like a result, so that they can be asked.

None of them can fail the job: what cannot be published is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import job_folder
from ..models import Checkpoint, FineTuningJob, JobMetric
from .work import json_of, mapping, text, whole

MOST = 3


@dataclass(frozen=True)
class PublishedStep:
    step: int
    name: str
    digest: str
    manifest: Mapping[str, Any]


def kept_steps(finished: Mapping[str, Any]) -> list[int]:
    """What the process says that it kept, without the step that is the result itself."""
    said = finished.get("kept")
    found = [whole(step) for step in said] if isinstance(said, list) else []
    steps = {step for step in found if step is not None}
    return sorted(steps - {finished.get("best_step")})[-MOST:]


def forget(folder: Path) -> None:
    """Remove what an earlier attempt said of its publications."""
    for path in (*folder.glob("publication-*.json"), *folder.glob("published-*.json")):
        path.unlink(missing_ok=True)


def next_publication(
    folder: Path, finished: Mapping[str, Any], result: Mapping[str, Any], job: FineTuningJob
) -> list[str] | None:
    """What to tell the process that publishes the next kept step; None when each had its turn. `result` is the
    manifest of the job's result, which is theirs but for the step and its figures."""
    for step in kept_steps(finished):
        order = folder / f"publication-{step}.json"
        if order.exists():
            continue
        losses = job.metrics.filter(kind=JobMetric.Kind.VALIDATION, step=step)
        loss = losses.values_list("loss", flat=True).first()
        manifest = {**result, "step": step, "metrics": {"validation_loss": loss}}
        job_folder.write_json(order, manifest)
        return [
            "--optional",
            str(folder / "state" / f"kept-{step:08d}"),
            str(job_folder.store_folder()),
            order.name,
            f"published-{step}.json",
        ]
    return None


def published(folder: Path, finished: Mapping[str, Any], job: FineTuningJob) -> list[PublishedStep]:
    """The steps whose publication succeeded, and that say something else than another."""
    found: dict[str, PublishedStep] = {}
    for step in kept_steps(finished):
        said = json_of(folder / f"published-{step}.json")
        name, digest = text(said.get("name")), text(said.get("digest"))
        if not name.startswith(f"{job.unhashed_name}-") or len(digest) != 64:
            continue
        manifest = json_of(job_folder.store_folder() / digest / "manifest.json")
        if mapping(manifest).get("job") == str(job.pk):
            found[name] = PublishedStep(step, name, digest, manifest)
    return list(found.values())


def write(steps: list[PublishedStep], job: FineTuningJob, result: Checkpoint) -> None:
    """Their rows, beside that of the result, in its transaction."""
    Checkpoint.objects.bulk_create(
        Checkpoint(
            tenant_id=job.tenant_id,
            name=one.name,
            kind=result.kind,
            base_model=job.base_model,
            step_of=job,
            step=one.step,
            dataset_version=job.dataset_version,
            digest=one.digest,
            manifest=one.manifest,
        )
        for one in steps
        # Weights that did not change since are the result under another step.
        if one.name != result.name
    )
