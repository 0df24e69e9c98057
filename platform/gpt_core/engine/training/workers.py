"""One process or several under torchrun: the few things that processes agree on."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist


class Workers:
    """The group of training processes. Alone, every method costs nothing."""

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._joined = False

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def join(self, device: str) -> None:
        """Meet the others; gloo on CPUs, nccl on GPUs."""
        if self.count > 1 and not self._joined:
            dist.init_process_group("nccl" if device == "cuda" else "gloo")
            self._joined = True

    def leave(self) -> None:
        if self._joined:
            dist.destroy_process_group()
            self._joined = False

    def add_up(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        if self._joined:
            dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says so: all take the same decision at the same step."""
        if not self._joined:
            return flag
        return bool(self.add_up(torch.tensor([float(flag)], device=device)).item() > 0)

    def wait(self) -> None:
        """Go on when everybody is here."""
        if self._joined:
            dist.barrier()
