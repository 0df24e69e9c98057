"""The learner that any causal language model of transformers gets: padded batches, autograd.

Slower than the packed decoder, and indifferent to the architecture: it carries GPT-2, unknown families, and full
fine-tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ..bases import MANIFEST as BASE_MANIFEST
from ..bases import Base, describe_base, load_tokenizer, write_model_files
from ..files import dump_json, write_whole
from .learner import move, targets_of
from .lora import LoraShape, key_a, key_b, lora_weights, write_adapter
from .loss import Sums, score, score_with_gradient
from .rows import Example
from .weights import FlatWeights


class LoraLinear(nn.Module):
    """A frozen linear layer with its adapter: y = W x + b + scaling * B A dropout(x)."""

    def __init__(self, inner: nn.Module, a: torch.Tensor, b: torch.Tensor, lora: LoraShape) -> None:
        super().__init__()
        self.inner = inner
        self.a = a  # (rank, in), a view into the flat weights
        self.b = b  # (out, rank)
        self.scaling = lora.scaling
        self.dropout = lora.dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.dropout(x, self.dropout, self.training)
        low = nn.functional.linear(seen, self.a)
        return self.inner(x) + self.scaling * nn.functional.linear(low, self.b)


class PaddedLearner:
    """Learns with LoRA (`lora` given) or with every weight (`lora` None)."""

    def __init__(
        self,
        model: PreTrainedModel,
        base: Base,
        lora: LoraShape | None,
        *,
        dtype: torch.dtype,
        device: torch.device,
        seed: int,
    ) -> None:
        self.model = move(model, device)
        self.base = base
        self.lora = lora
        self.device = device
        self.modules: list[str] = []
        self._leaves: dict[str, torch.Tensor] = {}
        if lora is None:
            self.weights = self._adopt_every_weight(dtype)
        else:
            self.weights = self._adapt(lora, dtype, seed)
        self._body, self._head = _body_and_head(model)

    def accumulate(
        self, examples: Sequence[Example], *, scale: float, smoothing: float, seed: int
    ) -> Sums:
        """See Learner."""
        self.model.train()
        torch.manual_seed(seed)
        ids, attention = _pad(examples, self.device)
        positions, targets = targets_of(examples, ids.shape[1], self.device)
        if self._head is not None:
            hidden = self._body(input_ids=ids, attention_mask=attention, use_cache=False)[0]
            chosen = hidden.flatten(0, 1).index_select(0, positions)
            head_grad = torch.zeros_like(self._head) if self._head.requires_grad else None
            with torch.no_grad():
                sums, gradient = score_with_gradient(
                    chosen.detach(),
                    self._head.detach(),
                    targets,
                    scale=scale,
                    smoothing=smoothing,
                    head_grad=head_grad,
                )
            chosen.backward(gradient)
            if head_grad is not None:
                held = self._head.grad
                self._head.grad = head_grad if held is None else held.add_(head_grad)
        else:
            sums = self._accumulate_whole(ids, attention, positions, targets, scale, smoothing)
        self._collect()
        return sums

    def _accumulate_whole(
        self,
        ids: torch.Tensor,
        attention: torch.Tensor,
        positions: torch.Tensor,
        targets: torch.Tensor,
        scale: float,
        smoothing: float,
    ) -> Sums:
        """For heads that are more than one matrix: the model's own scores, all of them."""
        output = self.model(input_ids=ids, attention_mask=attention, use_cache=False)
        logits = output.logits.flatten(0, 1).index_select(0, positions).float()
        loss = nn.functional.cross_entropy(
            logits, targets, reduction="sum", label_smoothing=smoothing
        )
        (loss * scale).backward()
        with torch.no_grad():
            plain = nn.functional.cross_entropy(logits, targets, reduction="sum")
            correct = int((logits.argmax(-1) == targets).sum())
        return Sums(float(plain), len(targets), correct)

    @torch.no_grad()
    def evaluate(self, examples: Sequence[Example]) -> Sums:
        """See Learner."""
        self.model.eval()
        ids, attention = _pad(examples, self.device)
        positions, targets = targets_of(examples, ids.shape[1], self.device)
        if self._head is not None:
            hidden = self._body(input_ids=ids, attention_mask=attention, use_cache=False)[0]
            return score(hidden.flatten(0, 1).index_select(0, positions), self._head, targets)
        output = self.model(input_ids=ids, attention_mask=attention, use_cache=False)
        logits = output.logits.flatten(0, 1).index_select(0, positions).float()
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return Sums(float(loss), len(targets), int((logits.argmax(-1) == targets).sum()))

    def refresh(self) -> None:
        """Nothing to do: the model computes on views of the working copy."""

    def write(self, folder: Path) -> None:
        """See Learner."""
        if self.lora is not None:
            write_adapter(folder, self.weights, self.lora, self.base, self.modules)
            return
        tokenizer = load_tokenizer(self.base)
        write_model_files(self.model, tokenizer, folder)
        origin = {
            "source": f"fine-tuned from {self.base.name}",
            "languages": list(self.base.languages),
            "licence": self.base.licence,
        }
        manifest = describe_base(folder, self.model, self.base.name, origin)
        write_whole(folder / BASE_MANIFEST, dump_json(manifest))

    def _collect(self) -> None:
        """Add the leaves' gradients to the flat fp32 gradient and forget them."""
        for name, leaf in self._leaves.items():
            if leaf.grad is not None:
                self.weights.grad_of(name).add_(leaf.grad)
                leaf.grad = None

    def _adapt(self, lora: LoraShape, dtype: torch.dtype, seed: int) -> FlatWeights:
        """Put an adapter on every linear layer inside the numbered blocks."""
        found = {
            name: module
            for name, module in self.model.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and any(c.isdigit() for c in name.split("."))
        }
        self.modules = sorted(found)
        shapes = {name: _in_and_out(module) for name, module in found.items()}
        groups = [[name] for name in self.modules]
        weights = lora_weights(groups, shapes, lora, dtype=dtype, device=self.device, seed=seed)
        for name, module in found.items():
            a = weights.work_of(key_a(name)).detach().requires_grad_()
            b = weights.work_of(key_b(name)).detach().requires_grad_()
            self._leaves |= {key_a(name): a, key_b(name): b}
            parent, _, own = name.rpartition(".")
            setattr(self.model.get_submodule(parent), own, LoraLinear(module, a, b, lora))
        return weights

    def _adopt_every_weight(self, dtype: torch.dtype) -> FlatWeights:
        """Make every parameter of the model a view into the flat working copy."""
        named = dict(self.model.named_parameters())
        entries = [(name, tuple(p.shape), p.ndim > 1) for name, p in named.items()]
        weights = FlatWeights(entries, dtype=dtype, device=self.device)
        for name, parameter in named.items():
            weights.master_of(name).copy_(parameter.detach())
        weights.refresh()
        for name, parameter in named.items():
            parameter.data = weights.work_of(name)
            parameter.requires_grad_()
            self._leaves[name] = parameter
        return weights


def _pad(examples: Sequence[Example], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, attention), both (rows, longest); padding stands on the right and is masked by position."""
    width = max(len(example) for example in examples)
    ids = torch.zeros((len(examples), width), dtype=torch.long)
    attention = torch.zeros((len(examples), width), dtype=torch.long)
    for row, example in enumerate(examples):
        ids[row, : len(example)] = torch.tensor(example.ids)
        attention[row, : len(example)] = 1
    return ids.to(device), attention.to(device)


def _body_and_head(model: PreTrainedModel) -> tuple[Any, torch.Tensor | None]:
    """The model without its head, and the head's matrix; None where the head does more than multiply."""
    head = model.get_output_embeddings()
    body = getattr(model, model.base_model_prefix, None)
    known = {"gpt2", "llama", "mistral", "qwen2", "qwen3"}
    plain = isinstance(head, nn.Linear) and head.bias is None
    if not plain or body is None or model.config.model_type not in known:
        return model, None
    return body, head.weight


def _in_and_out(module: nn.Linear | Conv1D) -> tuple[int, int]:
    first, second = module.weight.shape
    return (first, second) if isinstance(module, Conv1D) else (second, first)
