"""What the products and the API call: start, cancel, evaluate, promote, roll back, export."""

from .checkpoints import delete_checkpoint
from .collection import collect_checkpoints, collect_of_every_tenant, judge_checkpoints
from .deployments import owner_needed, promote, require_admitted, roll_back
from .engines import reconcile_engines, require_engine
from .erasure import Erasure, erase_person, with_erased_rows
from .evaluations import evaluate_checkpoint, latest_evaluation
from .exports import (
    delete_export,
    open_export,
    start_export,
    sweep_exports,
)
from .jobs import cancel_job, pause_job, resume_job, retry_job, start_fine_tuning, start_from_files

__all__ = [
    "Erasure",
    "cancel_job",
    "collect_checkpoints",
    "collect_of_every_tenant",
    "delete_checkpoint",
    "delete_export",
    "erase_person",
    "evaluate_checkpoint",
    "judge_checkpoints",
    "latest_evaluation",
    "open_export",
    "owner_needed",
    "pause_job",
    "promote",
    "reconcile_engines",
    "require_admitted",
    "require_engine",
    "resume_job",
    "retry_job",
    "roll_back",
    "start_export",
    "start_fine_tuning",
    "start_from_files",
    "sweep_exports",
    "with_erased_rows",
]
