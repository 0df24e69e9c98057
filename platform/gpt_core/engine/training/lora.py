"""LoRA: where the adapters sit, how they begin, and how they are written for peft and vLLM to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..bases import Base
from ..checkpoint import CONFIG, WEIGHTS, adapter_config
from ..files import dump_json, sync_file, write_whole
from .batches import seed_of
from .weights import FlatWeights

PREFIX = "base_model.model."


@dataclass(frozen=True)
class LoraShape:
    """Rank and scaling shared by every adapted layer."""

    rank: int
    alpha: float
    rslora: bool
    dropout: float

    @property
    def scaling(self) -> float:
        """What the product B·A is multiplied with."""
        return self.alpha / math.sqrt(self.rank) if self.rslora else self.alpha / self.rank


def key_a(module: str) -> str:
    return f"{PREFIX}{module}.lora_A.weight"


def key_b(module: str) -> str:
    return f"{PREFIX}{module}.lora_B.weight"


def lora_weights(
    groups: Sequence[Sequence[str]],
    shapes: dict[str, tuple[int, int]],
    lora: LoraShape,
    *,
    dtype: torch.dtype,
    device: torch.device,
    seed: int,
) -> FlatWeights:
    """Fresh adapters for every module. Modules of a group read the same input, so their A stand together."""
    entries: list[tuple[str, tuple[int, ...], bool]] = []
    for group in groups:
        entries += [(key_a(module), (lora.rank, shapes[module][0]), True) for module in group]
        entries += [(key_b(module), (shapes[module][1], lora.rank), True) for module in group]
    weights = FlatWeights(entries, dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(seed_of("lora", seed))
    for group in groups:
        for module in group:
            # As peft begins: A uniform within 1/sqrt(in), B zero, so that the first step starts at the base.
            a = weights.master_of(key_a(module))
            bound = 1.0 / math.sqrt(a.shape[1])
            a.copy_(torch.empty(a.shape).uniform_(-bound, bound, generator=generator))
    weights.refresh()
    return weights


def write_adapter(
    folder: Path, weights: FlatWeights, lora: LoraShape, base: Base, modules: Sequence[str]
) -> None:
    """adapter_model.safetensors (fp32) and adapter_config.json, fsynced."""
    tensors = {
        name: weights.master_of(name).detach().cpu().clone().contiguous() for name in weights.slots
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)
    sync_file(folder / WEIGHTS)
    config = adapter_config(
        base=base,
        rank=lora.rank,
        alpha=lora.alpha,
        rslora=lora.rslora,
        targets=target_names(modules),
        dropout=lora.dropout,
    )
    write_whole(folder / CONFIG, dump_json(config))


def target_names(modules: Sequence[str]) -> list[str]:
    """The last parts of the module paths: what adapter_config.json calls target_modules."""
    return sorted({module.rsplit(".", 1)[-1] for module in modules})
