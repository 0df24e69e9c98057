"""Evaluation: a checkpoint beside its base and its champion, and the gate's verdict on the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from django.db import transaction

from common.errors import ApplicationError
from common.strict_json import loads
from tenancy import audit

from .. import dispatch, gate, job_folder
from ..dispatch import Failure
from ..models import Deployment, Evaluation, State
from .lease import Lease
from .work import Reading, Work, WorkError, engine, mapping, number, whole

MOST_REPORT_BYTES = 8 << 20


class EvaluationWork(Work):
    """One process that measures; the gate judges what it reported."""

    EVENTS: ClassVar[str] = "evaluation-events.jsonl"
    row: Evaluation

    def prepare(self) -> Path:
        evaluation, checkpoint = self.row, self.row.checkpoint
        if checkpoint.dataset_version is None:
            raise WorkError(Failure("no_held_out_rows", detail="the checkpoint names no dataset"))
        deployment = (
            Deployment.objects.filter(name=checkpoint.deployment_name)
            .select_related("checkpoint")
            .first()
        )
        champion = deployment.checkpoint if deployment else None
        # Beside another base's checkpoint the losses would not be comparable.
        if champion and (
            champion.base_model_id != checkpoint.base_model_id
            or champion.kind != checkpoint.kind
            or champion.pk == checkpoint.pk
        ):
            champion = None
        evaluation.champion = champion
        folder = job_folder.write_evaluation(evaluation)
        (folder / "report.json").unlink(missing_ok=True)
        return folder

    def command(self, folder: Path) -> list[str] | None:
        return engine("evaluation", str(folder)) if self.finished is None else None

    def read(self, event: dict[str, Any], reading: Reading) -> None:
        self.hear_the_end(event)
        if event["type"] == "progress" and self.is_mine(event):
            done, total = whole(event.get("done")), whole(event.get("total"))
            if done is not None and total is not None:
                reading.changes |= {"step": done, "steps": total}
            reading.changes["eta_seconds"] = number(event.get("eta_seconds"))

    def conclude(self, folder: Path, lease: Lease) -> None:
        report = _report_of(folder)
        metric = main_metric(report, self.row.main_metric)
        verdict = gate.judge(report, main_metric=metric)
        with transaction.atomic():
            lease.end(
                State.SUCCEEDED,
                champion=self.row.champion,
                report=report,
                verdict=verdict.as_dict(),
                eta_seconds=0.0,
                log_tail=job_folder.log_tail(folder),
            )
            dispatch.record(
                self.row, "evaluated", passed=verdict.passed, main_metric=verdict.main_metric
            )
            audit.record("evaluation.finished", self.row, passed=verdict.passed)


def main_metric(report: dict[str, Any], asked: str) -> str:
    """What the gate looks at first: what the job asked for, or what its examples can show."""
    if asked != "auto":
        return asked
    candidate = mapping(mapping(report.get("models")).get("candidate"))
    return "label_macro_f1" if number(candidate.get("label_macro_f1")) is not None else "loss"


def _report_of(folder: Path) -> dict[str, Any]:
    try:
        with (folder / "report.json").open("rb") as file:
            content = file.read(MOST_REPORT_BYTES + 1)
        report = loads(content) if len(content) <= MOST_REPORT_BYTES else None
    except (OSError, ApplicationError) as error:
        raise WorkError(Failure("report_missing", detail=str(error)[:500])) from error
    if not isinstance(report, dict) or report.get("format") != 1:
        raise WorkError(Failure("report_missing", detail="the report is not of format 1"))
    return report
