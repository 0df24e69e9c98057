"""The tables of gpt_core: bases, jobs, checkpoints, evaluations, exports, deployments."""

from .archives import TenantArchive
from .exports import Export
from .jobs import BaseModel, FineTuningJob, JobEvent, JobMetric
from .results import Checkpoint, Deployment, DeploymentChange, Evaluation
from .sightings import Sighting
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
    "Export",
    "FineTuningJob",
    "JobEvent",
    "JobMetric",
    "Sighting",
    "State",
    "StateError",
    "Supervised",
    "TenantArchive",
    "Whose",
    "seconds_from_now",
]
