"""Export: a checkpoint in, a file with its proof out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from common.errors import ApplicationError
from common.strict_json import loads
from tenancy import audit

from .. import dispatch, job_folder
from ..dispatch import Failure
from ..models import Export, State
from .lease import Lease
from .work import Reading, Work, WorkError, engine, mapping, number, text, whole

MOST_RESULT_BYTES = 1 << 20


class ExportWork(Work):
    """One process that writes the file aside, proves it, and renames it into its place."""

    EVENTS: ClassVar[str] = "export-events.jsonl"
    row: Export

    def prepare(self) -> Path:
        checkpoint = self.row.checkpoint
        if not Path(checkpoint.base_model.folder).is_dir():
            raise WorkError(
                Failure(
                    "base_missing", detail=f"{checkpoint.base_model.name} is not on this machine"
                )
            )
        if not Path(checkpoint.folder).is_dir():
            raise WorkError(
                Failure("checkpoint_missing", detail=f"{checkpoint.name} is not on this machine")
            )
        return job_folder.write_export(self.row)

    def command(self, folder: Path) -> list[str] | None:
        return engine("export", str(folder)) if self.finished is None else None

    def read(self, event: dict[str, Any], reading: Reading) -> None:
        self.hear_the_end(event)
        if event["type"] == "progress" and self.is_mine(event):
            done, total = whole(event.get("done")), whole(event.get("total"))
            if done is not None and total is not None:
                reading.changes |= {"step": done, "steps": total}
            reading.changes["eta_seconds"] = number(event.get("eta_seconds"))

    def conclude(self, folder: Path, lease: Lease) -> None:
        found = self._result()
        with transaction.atomic():
            lease.end(
                State.SUCCEEDED,
                eta_seconds=0.0,
                expires_at=timezone.now() + timedelta(days=settings.EXPORT_DAYS),
                log_tail=job_folder.log_tail(folder),
                **found,
            )
            dispatch.record(self.row, "finished", filename=found["filename"])
            audit.record("export.finished", self.row, sha256=found["sha256"])

    def _result(self) -> dict[str, Any]:
        """What the process says it made, as columns, once the file is seen to be there."""
        target = job_folder.export_folder(self.row)
        try:
            with (target / "result.json").open("rb") as file:
                said = mapping(loads(file.read(MOST_RESULT_BYTES)))
            name, size = text(said.get("file")), whole(said.get("size"))
            is_there = Path(name).name == name and (target / name).stat().st_size == size
        except (OSError, ApplicationError) as error:
            raise WorkError(Failure("export_missing", detail=str(error)[:500])) from error
        digest, proof = text(said.get("sha256")), mapping(said.get("proof"))
        if not name or not is_there or len(digest) != 64 or not proof:
            raise WorkError(Failure("export_missing", detail="the result is not whole"))
        return {"filename": name, "size": size, "sha256": digest, "proof": proof}
