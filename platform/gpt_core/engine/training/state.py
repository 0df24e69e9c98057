"""Resume state: `state/step-NNN/` is whole or absent, JSON and safetensors only.

What the state does not hold is a function of what it does: the order of rows and the dropout of a step follow
from the seed and the step's number, the learning rate from the step.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..errors import EngineError
from ..files import (
    dump_json,
    folder_aside,
    read_json,
    rename_folder,
    sha256_of,
    sync_file,
    sync_folder,
    write_whole,
)

FORMAT = 1
_TENSORS = "state.safetensors"
_FIGURES = "state.json"
_STEP = re.compile(r"step-\d{8}")
_BEST = re.compile(r"best-\d{8}")
_KEPT = re.compile(r"kept-(\d{8})")
KEPT_STEPS = 3


@dataclass
class Progress:
    """Where a run stands after `step` steps."""

    step: int = 0
    updates: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    best_step: int | None = None
    best_loss: float | None = None
    validations_without_gain: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Progress:
        return replace(self)


class StateFolder:
    """The resume state of one job. `identity` is what a state must have been made for to be of use."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self.identity = identity

    def save(self, progress: Progress, tensors: Mapping[str, torch.Tensor]) -> Path:
        """Write the state aside and rename it into place; older states and bests go afterwards."""
        final = self.folder / f"step-{progress.step:08d}"
        with folder_aside(self.folder) as aside:
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside / _TENSORS
            )
            sync_file(aside / _TENSORS)
            digest, size = sha256_of(aside / _TENSORS)
            figures = {
                "format": FORMAT,
                "identity": self.identity,
                "progress": asdict(progress),
                "sha256": digest,
                "size": size,
            }
            write_whole(aside / _FIGURES, dump_json(figures))
            if final.exists():
                # The same step saved again, after a resume: content is equal, but the newer one is whole for sure.
                shutil.rmtree(final)
            rename_folder(aside, final)
        self._forget_older(progress)
        return final

    def load(
        self, warn: Callable[[str, str], None]
    ) -> tuple[Progress, dict[str, torch.Tensor]] | None:
        """The newest state that is whole, or None. What is damaged is reported to `warn` and left out."""
        for folder in sorted(self.folder.glob("step-*"), reverse=True):
            if not _STEP.fullmatch(folder.name):
                continue
            try:
                figures = read_json(folder / _FIGURES)
                if figures["format"] != FORMAT or figures["identity"] != self.identity:
                    warn("state_of_another_job", folder.name)
                    continue
                if sha256_of(folder / _TENSORS)[0] != figures["sha256"]:
                    warn("state_damaged", folder.name)
                    continue
                progress = Progress(**figures["progress"])
                if progress.best_step is not None and not self.best(progress.best_step).is_dir():
                    warn("state_damaged", f"{folder.name} misses its best")
                    continue
                return progress, load_file(folder / _TENSORS)
            except (EngineError, OSError, KeyError, TypeError) as error:
                warn("state_damaged", f"{folder.name}: {error}")
        return None

    def best(self, step: int) -> Path:
        """Where the best weights so far are kept."""
        return self.folder / f"best-{step:08d}"

    def save_best(self, step: int, write: Callable[[Path], None]) -> Path:
        """Keep the weights of a step; `write` fills an empty folder."""
        with folder_aside(self.folder) as aside:
            write(aside)
            if self.best(step).exists():
                shutil.rmtree(self.best(step))
            rename_folder(aside, self.best(step))
        return self.best(step)

    def keep(self, step: int, write: Callable[[Path], None]) -> None:
        """Keep the weights of a step beside the best, and of those before it the last few."""
        target = self.folder / f"kept-{step:08d}"
        with folder_aside(self.folder) as aside:
            write(aside)
            if target.exists():
                shutil.rmtree(target)
            rename_folder(aside, target)
        for older in self.kept()[:-KEPT_STEPS]:
            shutil.rmtree(self.folder / f"kept-{older:08d}", ignore_errors=True)

    def kept(self) -> list[int]:
        """The steps that are kept, in their order."""
        found = (_KEPT.fullmatch(folder.name) for folder in self.folder.glob("kept-*"))
        return sorted(int(match[1]) for match in found if match)

    def _forget_older(self, progress: Progress) -> None:
        kept = {f"step-{progress.step:08d}"}
        if progress.best_step is not None:
            kept.add(self.best(progress.best_step).name)
        for folder in self.folder.iterdir():
            ours = _STEP.fullmatch(folder.name) or _BEST.fullmatch(folder.name)
            if ours and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def expose_best(source: Path, target: Path) -> None:
    """Make `target` a copy of the kept weights, replacing what an earlier attempt left there."""
    with folder_aside(target.parent / "state") as aside:
        fresh = aside / "fresh"
        shutil.copytree(source, fresh)
        for path in fresh.iterdir():
            sync_file(path)
        sync_folder(fresh)
        if target.exists():
            target.rename(aside / "old")
        fresh.rename(target)
    sync_folder(target.parent)
