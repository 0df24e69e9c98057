"""The model itself: Llama, Qwen2, Qwen3, Mistral and GPT-2 as one step over a mixed batch.

A step takes the next token of every decoding row and any number of segments (prompts being read), multiplies
them all by the weights once, and returns logits where they are wanted. Logits equal those of transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import EngineError
from .adapters import Group, Mix, Part, Place, Slabs
from .attention import PoolStep, Segment, Shape
from .kernels import Linear, Weights, make_linear

Norm = Callable[[Tensor], Tensor]
# Rare variations of GPT-2 that would silently compute something else.
_PLAIN_SWITCHES = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
}
ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3", "gpt2")


@dataclass
class Step:
    """One pass through the model: decoding rows first, then the tokens of each segment.

    `tokens` and `positions` are (all tokens,); `wanted` are the places in it whose logits are asked for.
    """

    tokens: Tensor
    positions: Tensor
    pools: list[PoolStep]
    mix: Mix
    segments: list[tuple[Segment, Place | None]]
    wanted: Tensor
    rows: int = 0
    _tables: tuple[Tensor, Tensor] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Layer:
    """The weights of one block."""

    before_attention: Norm
    qkv: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    out: Linear
    before_mlp: Norm
    up: Linear
    down: Linear


class Decoder:
    """A base model, ready to serve. `groups[i]` are the fused linear layers of block i that adapters change."""

    def __init__(
        self,
        config: Any,
        tensors: Mapping[str, Tensor],
        *,
        dtype: torch.dtype,
        context: int,
        weights: Weights = "auto",
    ) -> None:
        """`config` is a transformers config, `tensors` the weights by their names in transformers."""
        if config.model_type not in ARCHITECTURES:
            raise EngineError("base_unsupported", f"architecture {config.model_type!r}")
        for switch, plain in _PLAIN_SWITCHES.items():
            if getattr(config, switch, plain) != plain:
                raise EngineError("base_unsupported", f"{switch} is not {plain}")
        self.config = config
        self.dtype = dtype
        self.context = _usable_context(config, context)
        self.gpt2 = config.model_type == "gpt2"
        self._weights = weights
        self._read = lambda name: tensors[name].to(dtype)
        self._has = tensors.__contains__
        heads = config.num_attention_heads
        self.shape = Shape(
            layers=config.num_hidden_layers,
            query_heads=heads,
            heads=getattr(config, "num_key_value_heads", None) or heads,
            head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
            dtype=dtype,
        )
        self._rotary = None if self.gpt2 else rotary_tables(config, self.shape, self.context)
        self._activation = _activation(config)
        blocks = range(self.shape.layers)
        if self.gpt2:
            self.groups = [_gpt2_groups(config, index) for index in blocks]
            self.layers = [self._gpt2_layer(index) for index in blocks]
            self._words = self._read("transformer.wte.weight").clone()
            self._places: Tensor | None = self._read("transformer.wpe.weight").clone()
            self._last_norm = self._norm("transformer.ln_f")
        else:
            self.groups = [_llama_groups(config, self.shape, index) for index in blocks]
            self.layers = [self._llama_layer(index) for index in blocks]
            self._words = self._read("model.embed_tokens.weight").clone()
            self._places = None
            self._last_norm = self._norm("model.norm")
        tied = not self._has("lm_head.weight")
        self._head = self._linear(self._words if tied else self._read("lm_head.weight"), None)
        # Nothing that is kept may be a view of the file: one such view keeps all of its pages in memory.
        del self._read, self._has

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        return int(self._words.shape[0])

    def make_slabs(self, slots: int) -> Slabs:
        """Room for `slots` adapters of this model."""
        return Slabs(self.groups, slots=slots, dtype=self.dtype)

    def forward(self, step: Step, slabs: Slabs) -> Tensor:
        """Logits (wanted, vocabulary) of a step; keys and values are written on the way."""
        x = functional.embedding(step.tokens, self._words)
        if self._places is not None:
            x = x + functional.embedding(step.positions, self._places)
        if self._rotary is not None:
            cosines, sines = self._rotary
            step._tables = (cosines[step.positions], sines[step.positions])
        for index, layer in enumerate(self.layers):
            x = self._block(index, layer, x, step, slabs)
        if not len(step.wanted):
            return x.new_empty(0, self.vocabulary)
        return self._head(self._last_norm(x.index_select(0, step.wanted)))

    def _block(self, index: int, layer: Layer, x: Tensor, step: Step, slabs: Slabs) -> Tensor:
        shape, tokens = self.shape, x.shape[0]

        def linear(product: Linear, group: str, y: Tensor, onto: Tensor | None = None) -> Tensor:
            addition = adapter_addition(index, group, y, step, slabs)
            if addition is not None and onto is not None:
                addition.add_(onto)
            return product(y, onto if addition is None else addition)

        qkv = linear(layer.qkv, "qkv", layer.before_attention(x))
        qkv = qkv.view(tokens, shape.query_heads + 2 * shape.heads, shape.head_size)
        self._prepare_heads(layer, qkv, step)
        queries = qkv[:, : shape.query_heads]
        keys_values = qkv[:, shape.query_heads :].view(tokens, 2, shape.heads, shape.head_size)
        looked = attend(index, queries, keys_values, step)
        x = linear(layer.out, "out", looked, onto=x)
        inner = linear(layer.up, "up", layer.before_mlp(x))
        return linear(layer.down, "down", self._gate(inner), onto=x)

    def _prepare_heads(self, layer: Layer, qkv: Tensor, step: Step) -> None:
        """Normalise (Qwen3) and rotate queries and keys in place; qkv is (tokens, all heads, size)."""
        shape = self.shape
        if layer.query_norm is not None and layer.key_norm is not None:
            queries, keys = (
                qkv[:, : shape.query_heads],
                qkv[:, shape.query_heads : shape.query_heads + shape.heads],
            )
            queries.copy_(layer.query_norm(queries))
            keys.copy_(layer.key_norm(keys))
        if step._tables is not None:
            cosines, sines = step._tables
            turning = qkv[:, : shape.query_heads + shape.heads]
            # The sines carry the sign of "rotate half", so that swapping the halves is all that is left.
            swapped = turning.roll(shape.head_size // 2, dims=-1)
            turning.mul_(cosines).addcmul_(swapped, sines)

    def _gate(self, inner: Tensor) -> Tensor:
        if self.gpt2:
            return self._activation(inner)
        half = inner.shape[1] // 2
        return self._activation(inner[:, :half]).mul_(inner[:, half:])

    def _llama_layer(self, index: int) -> Layer:
        prefix = f"model.layers.{index}"
        attention = f"{prefix}.self_attn"
        normed = self._has(f"{attention}.q_norm.weight")
        return Layer(
            before_attention=self._norm(f"{prefix}.input_layernorm"),
            qkv=self._fused(*(f"{attention}.{name}_proj" for name in "qkv")),
            query_norm=self._norm(f"{attention}.q_norm") if normed else None,
            key_norm=self._norm(f"{attention}.k_norm") if normed else None,
            out=self._fused(f"{attention}.o_proj"),
            before_mlp=self._norm(f"{prefix}.post_attention_layernorm"),
            up=self._fused(f"{prefix}.mlp.gate_proj", f"{prefix}.mlp.up_proj"),
            down=self._fused(f"{prefix}.mlp.down_proj"),
        )

    def _gpt2_layer(self, index: int) -> Layer:
        prefix = f"transformer.h.{index}"
        return Layer(
            before_attention=self._norm(f"{prefix}.ln_1"),
            qkv=self._fused(f"{prefix}.attn.c_attn"),
            query_norm=None,
            key_norm=None,
            out=self._fused(f"{prefix}.attn.c_proj"),
            before_mlp=self._norm(f"{prefix}.ln_2"),
            up=self._fused(f"{prefix}.mlp.c_fc"),
            down=self._fused(f"{prefix}.mlp.c_proj"),
        )

    def _fused(self, *modules: str) -> Linear:
        weight = (
            torch.cat([self._read(f"{module}.weight") for module in modules])
            if not self.gpt2
            else self._read(f"{modules[0]}.weight").t()
        )
        biases = [f"{module}.bias" for module in modules]
        bias = torch.cat([self._read(name) for name in biases]) if self._has(biases[0]) else None
        return self._linear(weight, bias)

    def _linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        return make_linear(weight, bias, weights=self._weights)

    def _norm(self, name: str) -> Norm:
        weight = self._read(f"{name}.weight").clone()
        size = weight.shape
        if self.gpt2:
            bias, epsilon = self._read(f"{name}.bias").clone(), self.config.layer_norm_epsilon
            return lambda x: functional.layer_norm(x, size, weight, bias, epsilon)
        epsilon = self.config.rms_norm_eps
        return lambda x: functional.rms_norm(x, size, weight, epsilon)


def adapter_addition(layer: int, group: str, x: Tensor, step: Step, slabs: Slabs) -> Tensor | None:
    """What the adapters of a step add to a product over x (all tokens, in); None where none takes part."""
    rows = step.rows
    if not any(place for _, place in step.segments):
        if not step.mix:
            return None
        if not step.segments:
            return step.mix.addition(layer, group, x)
    total = x.new_zeros(x.shape[0], slabs.outputs(layer, group))
    if step.mix:
        total[:rows] = step.mix.addition(layer, group, x[:rows])
    start = rows
    for segment, place in step.segments:
        end = start + segment.tokens
        if place is not None:
            total[start:end] = slabs.addition(layer, group, x[start:end], place)
        start = end
    return total


def attend(layer: int, queries: Tensor, keys_values: Tensor, step: Step) -> Tensor:
    """What each token sees: (all tokens, query heads * size)."""
    parts, start = [], 0
    attending: Sequence[tuple[PoolStep | Segment, int]] = [
        *((pool, pool.rows) for pool in step.pools),
        *((segment, segment.tokens) for segment, _ in step.segments),
    ]
    for place, count in attending:
        end = start + count
        parts.append(place.attend(layer, queries[start:end], keys_values[start:end]))
        start = end
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def rotary_tables(config: Any, shape: Shape, context: int) -> tuple[Tensor, Tensor]:
    """(cosines, signed sines), each (context, 1, head size)."""
    settings = config.rope_parameters
    kind = settings.get("rope_type", "default")
    if kind == "default":
        exponents = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
        frequencies, factor = 1.0 / (settings["rope_theta"] ** exponents), 1.0
    elif kind in ("linear", "llama3", "yarn"):
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
    else:
        raise EngineError("base_unsupported", f"rotary embedding {kind!r}")
    angles = torch.outer(torch.arange(context, dtype=torch.float32), frequencies)
    cosines, sines = angles.cos() * factor, angles.sin() * factor
    both = torch.cat([cosines, cosines], dim=-1), torch.cat([-sines, sines], dim=-1)
    return both[0][:, None].to(shape.dtype), both[1][:, None].to(shape.dtype)


def _llama_groups(config: Any, shape: Shape, index: int) -> tuple[Group, ...]:
    attention, mlp = f"model.layers.{index}.self_attn", f"model.layers.{index}.mlp"
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = shape.query_heads * shape.head_size, shape.heads * shape.head_size
    return (
        Group(
            "qkv",
            hidden,
            (
                Part(f"{attention}.q_proj", queries),
                Part(f"{attention}.k_proj", keys),
                Part(f"{attention}.v_proj", keys),
            ),
        ),
        Group("out", queries, (Part(f"{attention}.o_proj", hidden),)),
        Group("up", hidden, (Part(f"{mlp}.gate_proj", inner), Part(f"{mlp}.up_proj", inner))),
        Group("down", inner, (Part(f"{mlp}.down_proj", hidden),)),
    )


def _gpt2_groups(config: Any, index: int) -> tuple[Group, ...]:
    prefix, hidden = f"transformer.h.{index}", config.hidden_size
    inner = config.n_inner or 4 * hidden
    return (
        Group("qkv", hidden, (Part(f"{prefix}.attn.c_attn", 3 * hidden),)),
        Group("out", hidden, (Part(f"{prefix}.attn.c_proj", hidden),)),
        Group("up", hidden, (Part(f"{prefix}.mlp.c_fc", inner),)),
        Group("down", inner, (Part(f"{prefix}.mlp.c_proj", hidden),)),
    )


def _usable_context(config: Any, asked: int) -> int:
    """At most what the model was made for; inside a sliding window attention is the full one."""
    limits = [asked, config.max_position_embeddings]
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True):
        limits.append(window)
    return min(limits)


def _activation(config: Any) -> Callable[[Tensor], Tensor]:
    name = getattr(config, "activation_function", None) or config.hidden_act
    known: dict[str, Callable[[Tensor], Tensor]] = {
        "silu": functional.silu,
        "swish": functional.silu,
        "gelu": functional.gelu,
        "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
        "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "relu": functional.relu,
    }
    if name not in known:
        raise EngineError("base_unsupported", f"activation {name!r}")
    return known[name]
