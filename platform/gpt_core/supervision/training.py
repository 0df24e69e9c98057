"""Training: rows in, a published checkpoint and its evaluation's row out."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from django.db import transaction

from tenancy import audit

from .. import dispatch, job_folder
from ..dispatch import Failure
from ..models import Checkpoint, Evaluation, FineTuningJob, JobEvent, JobMetric, State
from . import steps
from .lease import Lease
from .results import keep_results
from .work import Reading, Work, WorkError, engine, json_of, mapping, number, text, whole

PUBLICATION = "publication.json"
PUBLISHED = "published.json"
# Told as they stand; everything else is a figure, or the process talking of its own end.
_STORY = {"started": "training_started", "parameters": "parameters_chosen", "saved": "state_saved"}


class TrainingWork(Work):
    """Train, then publish: two processes, one job, one fencing token."""

    EVENTS: ClassVar[str] = "events.jsonl"
    row: FineTuningJob

    def __init__(self, row: FineTuningJob) -> None:
        super().__init__(row)
        self.trained_tokens = row.trained_tokens

    def prepare(self) -> Path:
        if not Path(self.row.base_model.folder).is_dir():
            raise WorkError(
                Failure("base_missing", detail=f"{self.row.base_model.name} is not on this machine")
            )
        folder = job_folder.write_training(self.row)
        for stale in (PUBLICATION, PUBLISHED):
            (folder / stale).unlink(missing_ok=True)
        steps.forget(folder)
        return folder

    def command(self, folder: Path) -> list[str] | None:
        if self.finished is None:
            return engine("training", str(folder))
        if not (folder / PUBLICATION).exists():
            job_folder.write_json(folder / PUBLICATION, self.manifest(folder))
            store = str(job_folder.store_folder())
            return engine("publication", str(folder / "best"), store, PUBLICATION, PUBLISHED)
        more = steps.next_publication(folder, self.finished, self.manifest(folder), self.row)
        return engine("publication", *more) if more is not None else None

    def read(self, event: dict[str, Any], reading: Reading) -> None:
        self.hear_the_end(event)
        match event["type"]:
            case "train" | "validation" as kind:
                self._read_figures(kind, event, reading)
            case "progress" if self.is_mine(event):
                self._read_progress(event, reading)
            case "parameters":
                reading.changes |= {
                    "chosen": mapping(event.get("chosen")),
                    "reasons": mapping(event.get("reasons")),
                }
                self._tell(event, reading)
            case "saved":
                saved = whole(event.get("step"))
                if saved is not None and saved > self.row.last_step:
                    # Only what the next attempt starts from is progress.
                    self.row.last_step = saved
                    reading.changes |= {"last_step": saved, "attempts_without_progress": 0}
            case "finished" if self.is_mine(event):
                reading.changes |= {
                    "best_step": whole(event.get("best_step")),
                    "best_loss": number(event.get("best_loss")),
                    "eta_seconds": 0.0,
                }
                self._read_tokens(event.get("tokens", event.get("trained_tokens")), reading)
                self._tell(event, reading, code="training_finished")
            case "started" | "log":
                self._tell(event, reading)

    def conclude(self, folder: Path, lease: Lease) -> None:
        published = self._published(folder)
        manifest = self._manifest_of(published)
        job = self.row
        kept = steps.published(folder, self.finished or {}, job)
        table = keep_results(job)
        with transaction.atomic():
            lease.end(
                State.SUCCEEDED,
                eta_seconds=0.0,
                result_file=table,
                log_tail=job_folder.log_tail(folder),
            )
            checkpoint = Checkpoint.objects.create(
                tenant_id=job.tenant_id,
                name=published["name"],
                kind=manifest["kind"],
                base_model=job.base_model,
                job=job,
                dataset_version=job.dataset_version,
                digest=published["digest"],
                manifest=manifest,
            )
            steps.write(kept, job, checkpoint)
            Evaluation.objects.create(
                tenant_id=job.tenant_id, checkpoint=checkpoint, main_metric=job.main_metric
            )
            dispatch.record(
                job, "checkpoint_published", name=checkpoint.name, checkpoint=str(checkpoint.pk)
            )
            audit.record("checkpoint.published", checkpoint, name=checkpoint.name)
            dispatch.ring()
        self._sweep({published["digest"], *(one.digest for one in kept)})

    def failure(self, code: int, folder: Path) -> Failure:
        said = mapping(json_of(folder / PUBLISHED).get("error"))
        if said:
            return Failure(text(said.get("code"), "publication"), detail=text(said.get("detail")))
        return super().failure(code, folder)

    def manifest(self, folder: Path) -> dict[str, Any]:
        """All of the manifest but the files and the hash in the name, which publication adds."""
        job, finished = self.row, self.finished or {}
        best = folder / "best"
        config = json_of(best / "adapter_config.json") if job.method.get("type") != "full" else {}
        job.refresh_from_db(fields=["chosen"])
        version = job.dataset_version
        return {
            "format": 1,
            "kind": "full" if job.method.get("type") == "full" else "adapter",
            "name": job.unhashed_name,
            "base": {"name": job.base_model.name, "digest": job.base_model.digest},
            "rank": config.get("r"),
            "alpha": config.get("lora_alpha"),
            "rslora": bool(config.get("use_rslora", False)),
            "targets": config.get("target_modules", []),
            "dataset": {"id": str(version.pk), "digest": version.digest},  # type: ignore[union-attr]
            "job": str(job.pk),
            "parameters": job.chosen,
            "code_version": metadata.version("parley"),
            "step": whole(finished.get("best_step")) or 0,
            "metrics": {"validation_loss": number(finished.get("best_loss"))},
            "fencing_token": job.fencing_token,
        }

    def _read_figures(self, kind: str, event: dict[str, Any], reading: Reading) -> None:
        step, loss = whole(event.get("step")), number(event.get("loss"))
        if step is None or loss is None:
            return
        reading.metrics.append(
            JobMetric(
                tenant_id=self.row.tenant_id,
                job_id=self.row.pk,
                kind=kind,
                step=step,
                loss=loss,
                token_accuracy=number(event.get("token_accuracy")),
                learning_rate=number(event.get("learning_rate")),
                grad_norm=number(event.get("grad_norm")),
                best=event.get("best") is True,
            )
        )

    def _read_progress(self, event: dict[str, Any], reading: Reading) -> None:
        for column in ("step", "steps"):
            if (found := whole(event.get(column))) is not None:
                reading.changes[column] = found
        self._read_tokens(event.get("tokens"), reading)
        for name in ("tokens_per_second", "eta_seconds"):
            reading.changes[name] = number(event.get(name))

    def _read_tokens(self, tokens: Any, reading: Reading) -> None:
        """Tokens read in training. What an attempt does again after a crash is not the tenant's."""
        most = max(whole(tokens) or 0, reading.trained_tokens, self.trained_tokens)
        reading.trained_tokens = reading.changes["trained_tokens"] = most

    def _tell(self, event: dict[str, Any], reading: Reading, code: str = "") -> None:
        data = {key: value for key, value in event.items() if key not in ("type", "token", "t")}
        if len(json.dumps(data)) > 20_000:
            data = {"omitted": True}
        level = text(event.get("level"), "info")[:8]
        code = code or _STORY.get(event["type"]) or text(event.get("code"), "log")[:64]
        reading.events.append(
            JobEvent(
                tenant_id=self.row.tenant_id, job_id=self.row.pk, code=code, level=level, data=data
            )
        )

    def _published(self, folder: Path) -> dict[str, str]:
        said = json_of(folder / PUBLISHED)
        name, digest = text(said.get("name")), text(said.get("digest"))
        if not name.startswith(f"{self.row.unhashed_name}-") or len(digest) != 64:
            raise WorkError(Failure("publication_missing", detail="no checkpoint was published"))
        return {"name": name, "digest": digest}

    def _manifest_of(self, published: dict[str, str]) -> dict[str, Any]:
        manifest = json_of(job_folder.store_folder() / published["digest"] / "manifest.json")
        if manifest.get("job") != str(self.row.pk):
            raise WorkError(Failure("publication_missing", detail="the manifest names another job"))
        return manifest

    def _sweep(self, kept: set[str]) -> None:
        """Remove what earlier attempts at this job published before they could say so."""
        if self.row.attempt == 1:
            return
        mine = str(self.row.pk)
        for folder in job_folder.store_folder().iterdir():
            is_other = len(folder.name) == 64 and folder.name not in kept
            if is_other and json_of(folder / "manifest.json").get("job") == mine:
                shutil.rmtree(folder, ignore_errors=True)
