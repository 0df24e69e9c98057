"""What a promotion waits for beyond the gate: a product's word on the checkpoint that is to serve it.

Products name their check when Django starts (`AppConfig.ready`); nothing here knows which there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Checkpoint


@dataclass(frozen=True)
class Objection:
    """Why the checkpoint may not serve yet: a stable code, a sentence, and its figures."""

    code: str
    sentence: Any
    figures: dict[str, Any] = field(default_factory=dict)


# (checkpoint, name of the deployment) -> objections, none where all is well.
Check = Callable[["Checkpoint", str], Iterable[Objection]]
_CHECKS: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    _CHECKS[name] = check


def objections_to(checkpoint: Checkpoint, deployment: str) -> list[Objection]:
    return [one for check in _CHECKS.values() for one in check(checkpoint, deployment)]
