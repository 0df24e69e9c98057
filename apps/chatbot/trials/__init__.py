"""What a checkpoint on trial achieves beside the one that serves, and when it is certain to do worse."""

from .arms import Arm, arms_of
from .stopping import does_worse

__all__ = ["Arm", "arms_of", "does_worse"]
