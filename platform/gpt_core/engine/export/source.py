"""The checkpoint that is exported: its weights as one model has them, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from ..bases import Base, load_model, open_base
from ..checkpoint import Adapter, Checkpoint, load_adapter, open_checkpoint
from ..errors import EngineError
from ..evaluation.mixture import Mixture
from ..files import read_json
from ..tensors import read_header


@dataclass(frozen=True)
class Source:
    """A checkpoint with the base that its adapter stands on; a full fine-tune is its own base."""

    checkpoint: Checkpoint
    base: Base
    adapter: Adapter | None

    @classmethod
    def open(cls, base_folder: Path, checkpoint_folder: Path) -> Source:
        """Every byte checked. Raises EngineError of opening: checkpoint_..., base_..."""
        checkpoint, base = open_checkpoint(checkpoint_folder), open_base(base_folder)
        if checkpoint.manifest["kind"] == "adapter":
            return cls(checkpoint, base, load_adapter(checkpoint, base))
        if checkpoint.manifest["base"].get("digest") != base.digest:
            raise EngineError("checkpoint_base", f"{checkpoint.name} was made from another base")
        return cls(checkpoint, open_base(checkpoint.folder, verify=False), None)

    @property
    def config(self) -> dict[str, Any]:
        return dict(read_json(self.base.folder / "config.json"))

    @property
    def shards(self) -> list[Path]:
        return sorted(self.base.folder.glob("*.safetensors"))

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor's name and shape, in the order of `tensors`."""
        for shard in self.shards:
            header = read_header(shard)
            yield from ((name, tuple(header[name]["shape"])) for name in sorted(header))

    def tensors_of(self, shard: Path) -> Iterator[tuple[str, torch.Tensor]]:
        """Each tensor of a file in float32, `scaling * B @ A` added where the adapter has one."""
        with safe_open(shard, framework="pt") as stored:
            for name in sorted(stored.keys()):
                yield name, self._merged(name, stored.get_tensor(name).to(torch.float32))

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for shard in self.shards:
            yield from self.tensors_of(shard)

    @contextmanager
    def answering(self) -> Iterator[tuple[Mixture, str | None]]:
        """The checkpoint as it answers: the base with the adapter beside it, in float32, unmerged."""
        model = load_model(self.base, torch.float32)
        adapters = {} if self.adapter is None else {"it": self.adapter}
        mixture = Mixture(model, adapters)
        try:
            yield mixture, None if self.adapter is None else "it"
        finally:
            mixture.release()

    def _merged(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        module, _dot, kind = name.rpartition(".")
        if self.adapter is None or kind != "weight" or module not in self.adapter.tensors:
            return weight
        a, b = (part.to(torch.float32) for part in self.adapter.tensors[module])
        change = b @ a * self.adapter.scaling
        # GPT-2 keeps its linear layers as (in, out).
        return weight + (change.T if self.base.architecture == "gpt2" else change)
