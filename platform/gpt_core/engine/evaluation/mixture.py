"""One base, several adapters, one forward pass: each row of a batch goes through its own.

The models that stand against each other share every weight but the adapters'. Rows of one model lie
next to each other, so that an adapter is two small matrix products over a slice of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch

from ..errors import EngineError
from ..serving.kernels import can_pack, make_linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..checkpoint import Adapter


class Mixture:
    """A base model with adapters beside it; rows choose theirs by name, or None for the base."""

    def __init__(self, model: PreTrainedModel, adapters: Mapping[str, Adapter]) -> None:
        self.model = model
        self.device = model.device
        # (name, first row, row after the last) of every run of rows that has an adapter.
        self._spans: list[tuple[str, int, int]] = []
        self._rows = 0
        self._handles: list[Any] = []
        if model.dtype == torch.bfloat16 and model.device.type == "cpu" and can_pack():
            for module in model.modules():
                if isinstance(module, torch.nn.Linear):
                    _pack(module)
        by_module: dict[str, dict[str, tuple[torch.Tensor, torch.Tensor]]] = {}
        for name, adapter in adapters.items():
            for path, (a, b) in adapter.tensors.items():
                by_module.setdefault(path, {})[name] = self._ready(a, b, adapter.scaling)
        for path, weights in by_module.items():
            module = model.get_submodule(path)
            self._handles.append(module.register_forward_hook(self._adding(weights)))

    def choose(self, owners: Sequence[str | None]) -> None:
        """Say whose adapter each row of the next forward passes goes through."""
        self._spans, self._rows = [], len(owners)
        position = 0
        for owner, run in groupby(owners):
            end = position + sum(1 for _ in run)
            if owner is not None:
                self._spans.append((owner, position, end))
            position = end

    def release(self) -> None:
        """Take the adapters off the model again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _ready(
        self, a: torch.Tensor, b: torch.Tensor, scaling: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(in, rank) and (rank, out) in the model's type; the scaling is folded into the second
        in float32, before it is rounded."""
        dtype = self.model.dtype
        down = a.to(self.device, torch.float32).T.contiguous().to(dtype)
        up = (b.to(self.device, torch.float32) * scaling).T.contiguous().to(dtype)
        return down, up

    def _adding(self, weights: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Any:
        def add(
            module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> None:
            """inputs[0]: [rows, tokens, in]; output: [rows, tokens, out], changed in place."""
            if output.shape[0] != self._rows:
                # Experts and the like mix the rows of a batch before their linear layers.
                raise EngineError("base_unusable", "a linear layer does not see the batch by rows")
            for name, start, end in self._spans:
                if name in weights:
                    down, up = weights[name]
                    own = output[start:end].view(-1, output.shape[-1])
                    own.addmm_(inputs[0][start:end].flatten(0, 1) @ down, up)

        return add


def _pack(module: torch.nn.Linear) -> None:
    """Lay a layer's weights out as oneDNN wants them, once instead of at every call."""
    packed = make_linear(module.weight, module.bias)

    def forward(x: torch.Tensor) -> torch.Tensor:
        product = packed(x.reshape(-1, x.shape[-1]))
        return product.view(*x.shape[:-1], product.shape[-1])

    # As an attribute of this one layer; nn.Module calls what it finds under the name.
    vars(module)["forward"] = forward
