"""What the training loop needs of a model, whichever way it computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .loss import Sums
from .rows import Example
from .weights import FlatWeights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Learner(Protocol):
    """A model that learns: gradients in, weights out."""

    weights: FlatWeights
    modules: list[str]

    def accumulate(
        self, examples: Sequence[Example], *, scale: float, smoothing: float, seed: int
    ) -> Sums:
        """Forward and backward over one pass; adds `scale` times the gradient to `weights.grad`."""

    def evaluate(self, examples: Sequence[Example]) -> Sums:
        """Forward only, without dropout."""

    def refresh(self) -> None:
        """Called after the masters changed."""

    def write(self, folder: Path) -> None:
        """Write what a checkpoint is made of into an empty folder."""


def move(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The model on the device (transformers' wrapper around `to` has lost its types)."""
    to: Any = model.to
    moved: PreTrainedModel = to(device)
    return moved


def targets_of(
    examples: Sequence[Example], width: int | None, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """(positions, targets) of a pass: flat positions in a padded batch of `width`, or back to back if None."""
    positions: list[int] = []
    targets: list[int] = []
    start = 0
    for example in examples:
        positions += [start + position for position in example.positions]
        targets += example.targets
        start += len(example) if width is None else width
    return (
        torch.tensor(positions, dtype=torch.long, device=device),
        torch.tensor(targets, dtype=torch.long, device=device),
    )
