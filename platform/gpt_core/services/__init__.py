"""What the products and the API call: start, cancel, evaluate, promote, roll back."""

from .deployments import owner_needed, promote, roll_back
from .engines import reconcile_engines, require_engine
from .evaluations import evaluate_checkpoint, latest_evaluation
from .jobs import cancel_job, pause_job, resume_job, retry_job, start_fine_tuning

__all__ = [
    "cancel_job",
    "evaluate_checkpoint",
    "latest_evaluation",
    "owner_needed",
    "pause_job",
    "promote",
    "reconcile_engines",
    "require_engine",
    "resume_job",
    "retry_job",
    "roll_back",
    "start_fine_tuning",
]
