"""What is trained, as one flat fp32 vector.

One vector makes everything around the model short: the optimizer is a few vector operations, clipping is one
norm, averaging over processes one all-reduce, and resume state three tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Slot:
    """Where one tensor stands in the vector."""

    name: str
    shape: tuple[int, ...]
    start: int
    decays: bool

    @property
    def end(self) -> int:
        size = 1
        for side in self.shape:
            size *= side
        return self.start + size


class FlatWeights:
    """Masters in fp32, gradients in fp32, and a working copy in the dtype that the model computes in.

    master, grad: (n,) float32; work: (n,) in `dtype` (the master itself where dtype is float32).
    """

    def __init__(
        self,
        shapes: Iterable[tuple[str, tuple[int, ...], bool]],
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.slots: dict[str, Slot] = {}
        size = 0
        for name, shape, decays in shapes:
            self.slots[name] = Slot(name, tuple(shape), size, decays)
            size = self.slots[name].end
        self.master = torch.zeros(size, dtype=torch.float32, device=device)
        self.grad = torch.zeros_like(self.master)
        same = dtype == torch.float32
        self.work = self.master if same else torch.zeros(size, dtype=dtype, device=device)

    def __len__(self) -> int:
        return self.master.numel()

    def master_of(self, name: str) -> torch.Tensor:
        return self._view(self.master, name)

    def work_of(self, name: str) -> torch.Tensor:
        return self._view(self.work, name)

    def grad_of(self, name: str) -> torch.Tensor:
        return self._view(self.grad, name)

    def stacked(self, flat: torch.Tensor, names: list[str]) -> torch.Tensor:
        """Neighbouring matrices of equal width as one matrix (rows on rows), without copying."""
        slots = [self.slots[name] for name in names]
        for left, right in itertools.pairwise(slots):
            if left.end != right.start or left.shape[1] != right.shape[1]:
                raise ValueError(f"{left.name} and {right.name} do not stand together")
        return flat[slots[0].start : slots[-1].end].view(-1, slots[0].shape[1])

    def refresh(self) -> None:
        """Bring the working copy up to date with the masters."""
        if self.work is not self.master:
            self.work.copy_(self.master)

    def decaying(self) -> Iterator[tuple[int, int]]:
        """The (start, end) stretches that weight decay applies to, neighbours joined."""
        joined: list[tuple[int, int]] = []
        for slot in self.slots.values():
            if not slot.decays:
                continue
            if joined and joined[-1][1] == slot.start:
                joined[-1] = (joined[-1][0], slot.end)
            else:
                joined.append((slot.start, slot.end))
        return iter(joined)

    def _view(self, flat: torch.Tensor, name: str) -> torch.Tensor:
        slot = self.slots[name]
        return flat[slot.start : slot.end].view(slot.shape)
