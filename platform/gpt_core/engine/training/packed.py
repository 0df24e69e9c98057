"""The learner for decoders of the Llama family: packed rows, forward and backward by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from ..bases import Base
from .block import AdaptedLinear, Block, Saved, Turn, rms_norm, rms_norm_backward
from .learner import move
from .lora import LoraShape, lora_weights, write_adapter
from .loss import Sums, score, score_with_gradient
from .packing import Heads, Packed, pack
from .rows import Example

_FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_GROUPS = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)


def can_pack(model: PreTrainedModel, max_length: int) -> bool:
    """Whether this model is one that PackedLearner computes exactly."""
    config = model.config
    window = getattr(config, "sliding_window", None)
    windowed = getattr(config, "use_sliding_window", True) and window and window < max_length
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in _FAMILIES
        and config.hidden_act == "silu"
        and not windowed
        # The angles of these grow with the sequence, which one stream of many rows does not have.
        and rope.get("rope_type", "default") not in ("dynamic", "longrope")
        and model.get_output_embeddings().bias is None
    )


class PackedLearner:
    """See Learner; LoRA only."""

    def __init__(
        self,
        model: PreTrainedModel,
        base: Base,
        lora: LoraShape,
        *,
        dtype: torch.dtype,
        device: torch.device,
        seed: int,
    ) -> None:
        move(model, device)
        config = model.config
        self.base, self.lora, self.device, self.dtype = base, lora, device, dtype
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        self.heads = Heads(config.num_attention_heads, config.num_key_value_heads, width)
        self.epsilon = float(config.rms_norm_eps)
        groups = [
            [f"model.layers.{number}.{name}" for name in names]
            for number in range(config.num_hidden_layers)
            for names in _GROUPS
        ]
        self.modules = [module for group in groups for module in group]
        linears: dict[str, Any] = {module: model.get_submodule(module) for module in self.modules}
        shapes = {
            module: (linear.weight.shape[1], linear.weight.shape[0])
            for module, linear in linears.items()
        }
        self.weights = lora_weights(groups, shapes, lora, dtype=dtype, device=device, seed=seed)
        self._blocks = []
        body: Any = model.model
        for number, layer in enumerate(body.layers):
            projections: list[AdaptedLinear] = []
            for group in groups[4 * number : 4 * number + 4]:
                frozen = [linears[module].weight.data for module in group]
                biases = [linears[module].bias for module in group]
                projections.append(AdaptedLinear(self.weights, group, frozen, biases, lora))
                for module in group:
                    # The stacked copy is the one in use; keeping both would double the memory.
                    linears[module].weight.data = frozen[0].new_empty(0)
            norms = (layer.input_layernorm.weight.data, layer.post_attention_layernorm.weight.data)
            head_norms = None
            if config.model_type == "qwen3":
                head_norms = (
                    layer.self_attn.q_norm.weight.data,
                    layer.self_attn.k_norm.weight.data,
                )
            self._blocks.append(Block(self.heads, self.epsilon, norms, head_norms, projections))
        embedding: Any = model.get_input_embeddings()
        head: Any = model.get_output_embeddings()
        self._embedding: torch.Tensor = embedding.weight.data
        self._head: torch.Tensor = head.weight.data
        self._last_norm = body.norm.weight.data
        self._rotary: Callable[..., Any] = body.rotary_emb
        self.refresh()

    def refresh(self) -> None:
        """See Learner."""
        for block in self._blocks:
            block.refresh()

    @torch.no_grad()
    def accumulate(
        self, examples: Sequence[Example], *, scale: float, smoothing: float, seed: int
    ) -> Sums:
        """See Learner."""
        torch.manual_seed(seed)
        packed = pack(examples, self.heads, dtype=self.dtype, device=self.device)
        turn = self._turn(packed)
        x, saved = self._forward(packed, turn, drop=True, keep=True)
        last = x.index_select(0, packed.learned)
        normed, norm_scale = rms_norm(last, self._last_norm, self.epsilon)
        sums, above = score_with_gradient(
            normed, self._head, packed.targets, scale=scale, smoothing=smoothing
        )
        above = rms_norm_backward(above, last, self._last_norm, norm_scale)
        gradient = torch.zeros_like(x).index_copy_(0, packed.learned, above)
        for block in reversed(self._blocks):
            gradient = block.backward(gradient, saved.pop(), packed, turn)
        return sums

    @torch.no_grad()
    def evaluate(self, examples: Sequence[Example]) -> Sums:
        """See Learner."""
        packed = pack(examples, self.heads, dtype=self.dtype, device=self.device)
        x, _ = self._forward(packed, self._turn(packed), drop=False, keep=False)
        last = x.index_select(0, packed.learned)
        normed, _ = rms_norm(last, self._last_norm, self.epsilon)
        return score(normed, self._head, packed.targets)

    def write(self, folder: Path) -> None:
        """See Learner."""
        write_adapter(folder, self.weights, self.lora, self.base, self.modules)

    def _forward(
        self, packed: Packed, turn: Turn, *, drop: bool, keep: bool
    ) -> tuple[torch.Tensor, list[Saved]]:
        x = self._embedding.index_select(0, packed.ids)
        kept: list[Saved] = []
        for block in self._blocks:
            x, saved = block.forward(x, packed, turn, drop=drop, keep=keep)
            if saved is not None:
                kept.append(saved)
        return x, kept

    def _turn(self, packed: Packed) -> Turn:
        """The angles of every token, from the model's own rotary embedding."""
        cosine, sine = self._rotary(self._embedding, packed.positions[None])
        half = cosine.shape[-1] // 2
        return Turn(cosine[0, :, None, :half].contiguous(), sine[0, :, None, :half].contiguous())
