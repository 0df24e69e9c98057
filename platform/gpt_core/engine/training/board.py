"""TensorBoard event files of a job."""

from __future__ import annotations

from pathlib import Path


class Board:
    """Scalars by step. After a resume, what was written beyond the resumed step is purged by the reader."""

    def __init__(self, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step or None, flush_secs=30)

    def show(self, step: int, **scalars: float) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name.replace("__", "/"), value, step)

    def close(self) -> None:
        self._writer.close()
