"""The job folder: all that the engine's processes know of a job.

The one path builder of gpt_core: every part of a path is a UUID or a digest that we made ourselves.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling.models import DatasetVersion
from labeling.services import write_rows

from .models import Evaluation, Export, FineTuningJob, Supervised

SPLITS = ("train", "validation", "test")
TAIL_BYTES = 8_000


def folder_of(row: Supervised) -> Path:
    """Where the process of this job works."""
    if not isinstance(row.pk, uuid.UUID):
        raise TypeError("a job folder is named by the job's own UUID")
    return Path(settings.PARLEY_HOME) / "jobs" / str(row.pk)


def store_folder() -> Path:
    """Where checkpoints are published."""
    return Path(settings.PARLEY_HOME) / "checkpoints"


def exports_folder() -> Path:
    """Where exports lie until their time is over: a folder for each tenant, and one in it for each."""
    return Path(settings.PARLEY_HOME) / "exports"


def export_folder(export: Export) -> Path:
    """Where the file of this export lies once it is proven."""
    if not isinstance(export.pk, uuid.UUID):
        raise TypeError("an export's folder is named by its own UUID")
    return exports_folder() / str(export.tenant_id) / str(export.pk)


def write_training(job: FineTuningJob) -> Path:
    """The rows, once, and the order to train them under the job's present fencing token."""
    folder = folder_of(job)
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        _write_split(job.dataset_version, split, folder)  # type: ignore[arg-type]
    write_json(
        folder / "spec.json",
        {
            "format": 1,
            "base": job.base_model.folder,
            "method": {"rank": "auto", "alpha": "auto", "dropout": "auto"} | job.method,
            "hyperparameters": job.hyperparameters,
            "seed": job.seed,
            "precision": job.precision,
            "fencing_token": job.fencing_token,
            "checkpoint_every_seconds": settings.JOB_CHECKPOINT_SECONDS,
        },
    )
    return folder


def write_evaluation(evaluation: Evaluation) -> Path:
    """The rows held out, and the order to compare the checkpoint on them."""
    folder = folder_of(evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = evaluation.checkpoint
    if checkpoint.dataset_version is not None:
        for split in ("train", "test"):
            _write_split(checkpoint.dataset_version, split, folder)
    champion = evaluation.champion
    write_json(
        folder / "evaluation.json",
        {
            "format": 1,
            "base": checkpoint.base_model.folder,
            "candidate": checkpoint.folder,
            "champion": champion.folder if champion else None,
            "rows": "test.jsonl",
            "train_rows": "train.jsonl",
            "max_new_tokens": "auto",
            "seed": 0,
            "samples": 20,
            "fencing_token": evaluation.fencing_token,
        },
    )
    return folder


def write_export(export: Export) -> Path:
    """The order to make the file under the export's present fencing token."""
    folder = folder_of(export)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = export.checkpoint
    write_json(
        folder / "export.json",
        {
            "format": 1,
            "kind": export.kind,
            "precision": export.precision,
            "base": str(Path(checkpoint.base_model.folder).resolve()),
            "checkpoint": str(Path(checkpoint.folder).resolve()),
            "target": str(export_folder(export).resolve()),
            "fencing_token": export.fencing_token,
        },
    )
    return folder


def tidy(row: Supervised) -> None:
    """Once a job is over, remove the copies of people's rows and the state to resume from.

    The log, the events, the curves and the report stay. A version can be written out again.
    """
    folder = folder_of(row)
    for split in SPLITS:
        (folder / f"{split}.jsonl").unlink(missing_ok=True)
    for part in ("state", "best"):
        shutil.rmtree(folder / part, ignore_errors=True)


def write_json(path: Path, document: Any) -> None:
    """The whole document or the one before it, whatever happens in between."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    _whole(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def log_tail(folder: Path, name: str = "process.log") -> str:
    """The end of what the process printed, as text that any database stores."""
    try:
        with (folder / name).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    except OSError:
        return ""


def _write_split(version: DatasetVersion, split: str, folder: Path) -> None:
    path = folder / f"{split}.jsonl"
    # A version is frozen: what an earlier attempt wrote whole is what this one would write.
    if not path.exists():
        write_rows(version, split, path)


def _whole(path: Path, write: Callable[[Path], Any]) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(aside)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
