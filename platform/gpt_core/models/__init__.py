"""The tables of gpt_core: bases, jobs, checkpoints, evaluations, deployments."""

from .jobs import BaseModel, FineTuningJob, JobEvent, JobMetric
from .results import Checkpoint, Deployment, DeploymentChange, Evaluation
from .states import MOVES, TERMINAL, State, StateError, Whose, seconds_from_now
from .supervised import Supervised

__all__ = [
    "MOVES",
    "TERMINAL",
    "BaseModel",
    "Checkpoint",
    "Deployment",
    "DeploymentChange",
    "Evaluation",
    "FineTuningJob",
    "JobEvent",
    "JobMetric",
    "State",
    "StateError",
    "Supervised",
    "Whose",
    "seconds_from_now",
]
