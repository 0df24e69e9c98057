"""One decoder layer, forward and backward by hand.

By hand because most of what autograd would do here is not needed: the large weights are frozen, so that their
gradients, and the copies kept for them, never exist; what is cheap is computed again instead of kept.
All tensors are (tokens, width) in the working dtype unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .lora import LoraShape, key_a, key_b
from .packing import AttentionGroup, Heads, Packed
from .weights import FlatWeights


class AdaptedLinear:
    """Frozen projections that read the same input, stacked, and their adapters beside them.

    weight (out, in) over all modules; low: (tokens, modules * rank), what the adapters keep for the way back.
    """

    def __init__(
        self,
        weights: FlatWeights,
        modules: Sequence[str],
        frozen: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor | None],
        lora: LoraShape,
    ) -> None:
        self.weight = torch.cat(list(frozen)).contiguous()
        self.bias = None if biases[0] is None else torch.cat([b for b in biases if b is not None])
        self.dropout = lora.dropout
        self._scaling = lora.scaling
        names_a = [key_a(module) for module in modules]
        self.a = weights.stacked(weights.work, names_a)
        self._a_grad = weights.stacked(weights.grad, names_a)
        # B of all modules as one block-diagonal matrix, scaled, so that one product serves them all.
        self.b = self.weight.new_zeros(self.weight.shape[0], lora.rank * len(modules))
        self._blocks = []
        row = 0
        for number, (module, part) in enumerate(zip(modules, frozen, strict=True)):
            rows = slice(row, row + part.shape[0])
            columns = slice(number * lora.rank, (number + 1) * lora.rank)
            self._blocks.append(
                (rows, columns, weights.work_of(key_b(module)), weights.grad_of(key_b(module)))
            )
            row += part.shape[0]

    def refresh(self) -> None:
        """Take over the adapters' new values."""
        for rows, columns, b, _ in self._blocks:
            torch.mul(b, self._scaling, out=self.b[rows, columns])

    def forward(
        self, x: torch.Tensor, *, drop: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(output, low, kept): `kept` is the dropout mask, or None without dropout."""
        kept = None
        seen = x
        if drop and self.dropout:
            kept = torch.empty_like(x).bernoulli_(1.0 - self.dropout).div_(1.0 - self.dropout)
            seen = x * kept
        low = torch.mm(seen, self.a.t())
        if self.bias is None:
            output = torch.mm(x, self.weight.t())
        else:
            output = torch.addmm(self.bias, x, self.weight.t())
        return output.addmm_(low, self.b.t()), low, kept

    def backward(
        self,
        gradient: torch.Tensor,
        x: torch.Tensor,
        low: torch.Tensor,
        kept: torch.Tensor | None,
    ) -> torch.Tensor:
        """The gradient of x; those of A and B are added to the flat fp32 gradient."""
        low_gradient = torch.mm(gradient, self.b)
        seen = x if kept is None else x * kept
        self._a_grad.add_(torch.mm(low_gradient.t(), seen))
        b_gradient = torch.mm(gradient.t(), low)
        for rows, columns, _, into in self._blocks:
            into.add_(b_gradient[rows, columns], alpha=self._scaling)
        backward = torch.mm(gradient, self.weight)
        if kept is None:
            return backward.addmm_(low_gradient, self.a)
        return backward.add_(torch.mm(low_gradient, self.a).mul_(kept))


@dataclass
class Saved:
    """What one layer keeps from forward for backward."""

    x: torch.Tensor
    qkv: torch.Tensor
    head_scales: torch.Tensor | None
    buffer: torch.Tensor
    shares: list[torch.Tensor]
    attended: torch.Tensor
    middle: torch.Tensor
    gate_up: torch.Tensor
    activated: torch.Tensor
    lows: list[torch.Tensor]
    kepts: list[torch.Tensor | None]


class Block:
    """Attention and feed-forward of one layer."""

    def __init__(
        self,
        heads: Heads,
        epsilon: float,
        norms: tuple[torch.Tensor, torch.Tensor],
        head_norms: tuple[torch.Tensor, torch.Tensor] | None,
        projections: Sequence[AdaptedLinear],
    ) -> None:
        self.heads = heads
        self.epsilon = epsilon
        self.first_norm, self.second_norm = norms
        self.qkv, self.out, self.gate_up, self.down = projections
        self.head_norm = None
        if head_norms is not None:
            query_norm, key_norm = head_norms
            # One scale per head of the projection; values are not normalised.
            self.head_norm = torch.cat(
                (query_norm.repeat(heads.queries, 1), key_norm.repeat(heads.keys, 1))
            )

    def refresh(self) -> None:
        for projection in (self.qkv, self.out, self.gate_up, self.down):
            projection.refresh()

    def forward(
        self, x: torch.Tensor, packed: Packed, turn: Turn, *, drop: bool, keep: bool
    ) -> tuple[torch.Tensor, Saved | None]:
        """x (tokens, hidden) -> the same shape. `keep` keeps what backward needs."""
        normed, _ = rms_norm(x, self.first_norm, self.epsilon)
        qkv, low_qkv, kept_qkv = self.qkv.forward(normed, drop=drop)
        turned, head_scales = self._prepare_heads(qkv, turn)
        buffer = turned.view(-1, self.heads.width).index_select(0, packed.gather)
        attended, shares = attend(buffer, packed, self.heads)
        projected, low_out, kept_out = self.out.forward(attended, drop=drop)
        middle = projected.add_(x)
        normed, _ = rms_norm(middle, self.second_norm, self.epsilon)
        gate_up, low_gate_up, kept_gate_up = self.gate_up.forward(normed, drop=drop)
        gate, up = gate_up.chunk(2, dim=1)
        activated = torch.nn.functional.silu(gate).mul_(up)
        output, low_down, kept_down = self.down.forward(activated, drop=drop)
        output.add_(middle)
        if not keep:
            return output, None
        saved = Saved(
            x=x,
            qkv=qkv,
            head_scales=head_scales,
            buffer=buffer,
            shares=shares,
            attended=attended,
            middle=middle,
            gate_up=gate_up,
            activated=activated,
            lows=[low_qkv, low_out, low_gate_up, low_down],
            kepts=[kept_qkv, kept_out, kept_gate_up, kept_down],
        )
        return output, saved

    def backward(
        self, gradient: torch.Tensor, saved: Saved, packed: Packed, turn: Turn
    ) -> torch.Tensor:
        """The gradient of x from the gradient of the output."""
        lows, kepts = saved.lows, saved.kepts
        inner = self.down.backward(gradient, saved.activated, lows[3], kepts[3])
        gate, up = saved.gate_up.chunk(2, dim=1)
        gate_up_gradient = torch.empty_like(saved.gate_up)
        silu = torch.nn.functional.silu(gate)
        torch.mul(inner, silu, out=gate_up_gradient[:, gate.shape[1] :])
        torch.ops.aten.silu_backward.grad_input(
            inner.mul_(up), gate, grad_input=gate_up_gradient[:, : gate.shape[1]]
        )
        normed, scale = rms_norm(saved.middle, self.second_norm, self.epsilon)
        inner = self.gate_up.backward(gate_up_gradient, normed, lows[2], kepts[2])
        gradient = rms_norm_backward(inner, saved.middle, self.second_norm, scale).add_(gradient)
        inner = self.out.backward(gradient, saved.attended, lows[1], kepts[1])
        inner = attend_backward(inner, saved.buffer, saved.shares, packed, self.heads)
        inner = self._prepare_heads_backward(inner, saved, turn)
        normed, scale = rms_norm(saved.x, self.first_norm, self.epsilon)
        inner = self.qkv.backward(inner, normed, lows[0], kepts[0])
        return rms_norm_backward(inner, saved.x, self.first_norm, scale).add_(gradient)

    def _prepare_heads(
        self, qkv: torch.Tensor, turn: Turn
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Normalise queries and keys where the family does, and turn them by their position."""
        heads = self.heads
        split = qkv.view(-1, heads.each, heads.width)
        turning = split[:, : heads.queries + heads.keys]
        if self.head_norm is None:
            turn(turning, into=turning)
            return split, None
        turned = split.clone()
        normed, scales = rms_norm(turning, self.head_norm, self.epsilon)
        turn(normed, into=turned[:, : heads.queries + heads.keys])
        return turned, scales

    def _prepare_heads_backward(
        self, gradient: torch.Tensor, saved: Saved, turn: Turn
    ) -> torch.Tensor:
        heads = self.heads
        split = gradient.view(-1, heads.each, heads.width)
        turning = split[:, : heads.queries + heads.keys]
        turn.back(turning)
        if self.head_norm is not None and saved.head_scales is not None:
            raw = saved.qkv.view(-1, heads.each, heads.width)[:, : heads.queries + heads.keys]
            turning.copy_(rms_norm_backward(turning, raw, self.head_norm, saved.head_scales))
        return split.view(-1, heads.each * heads.width)


class Turn:
    """Rotary position embedding of one pass. cosine, sine: (tokens, 1, width / 2)."""

    def __init__(self, cosine: torch.Tensor, sine: torch.Tensor) -> None:
        self.cosine, self.sine = cosine, sine

    def __call__(self, x: torch.Tensor, *, into: torch.Tensor) -> None:
        """Turn x (tokens, heads, width) forward; `into` may be x itself."""
        self._turn(x, into, self.sine, 1.0)

    def back(self, gradient: torch.Tensor) -> None:
        """Turn a gradient back, in place: the transpose of a rotation is the rotation backwards."""
        self._turn(gradient, gradient, self.sine, -1.0)

    def _turn(self, x: torch.Tensor, into: torch.Tensor, sine: torch.Tensor, sign: float) -> None:
        first, second = x.chunk(2, dim=-1)
        turned_first = (first * self.cosine).addcmul_(second, sine, value=-sign)
        turned_second = (second * self.cosine).addcmul_(first, sine, value=sign)
        half = first.shape[-1]
        into[..., :half] = turned_first
        into[..., half:] = turned_second


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x * scale * weight, scale), scale = 1 / root mean square over the last dimension, in fp32."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    scale = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return torch.mul(x, scale.to(x.dtype)).mul_(weight), scale


def rms_norm_backward(
    gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """The gradient of x: scale * (g w) - x * scale^3 * mean(g w x)."""
    weighted = gradient * weight
    along = (weighted * x).sum(-1, keepdim=True, dtype=torch.float32)
    along.mul_(scale.pow(3)).div_(-x.shape[-1])
    return weighted.mul_(scale.to(x.dtype)).addcmul_(x, along.to(x.dtype))


def attend(
    buffer: torch.Tensor, packed: Packed, heads: Heads
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Causal attention of every group. Returns (tokens, queries * width) and each group's shares."""
    outputs = buffer.new_empty(packed.outputs, heads.width)
    shares = []
    for group in packed.groups:
        queries, keys, values = _parts(buffer, group, heads)
        scores = torch.baddbmm(group.mask, queries, keys.transpose(1, 2), alpha=heads.width**-0.5)
        share = scores.softmax(-1)
        torch.bmm(share, values, out=outputs[group.outputs].view_as(queries))
        shares.append(share)
    attended = outputs.index_select(0, packed.spread)
    return attended.view(-1, heads.queries * heads.width), shares


def attend_backward(
    gradient: torch.Tensor,
    buffer: torch.Tensor,
    shares: list[torch.Tensor],
    packed: Packed,
    heads: Heads,
) -> torch.Tensor:
    """The gradient of the turned projection, (tokens, each * width)."""
    # Padding gets no gradient: rows of the outputs that no token reads stay zero.
    outputs = gradient.new_zeros(packed.outputs, heads.width)
    outputs.index_copy_(0, packed.spread, gradient.view(-1, heads.width))
    gathered = torch.empty_like(buffer)
    shared = gradient.new_zeros(2, heads.keys, packed.shared, heads.width, dtype=torch.float32)
    for group, share in zip(packed.groups, shares, strict=True):
        queries, keys, values = _parts(buffer, group, heads)
        to_queries, to_keys, to_values = _parts(gathered, group, heads)
        above = outputs[group.outputs].view_as(queries)
        torch.bmm(share.transpose(1, 2), above, out=to_values)
        scores = torch.bmm(above, values.transpose(1, 2))
        scores = softmax_backward(scores, share).mul_(heads.width**-0.5)
        torch.bmm(scores, keys, out=to_queries)
        torch.bmm(scores.transpose(1, 2), queries, out=to_keys)
        if group.shared:
            for part, number in ((to_keys, 0), (to_values, 1)):
                rows = part.view(group.rows, heads.keys, group.span, heads.width)
                shared[number] += rows[:, :, : group.shared].sum(0, dtype=torch.float32)
    result = gathered.index_select(0, packed.scatter).view(-1, heads.each, heads.width)
    if packed.shared:
        beginning = shared.view(2 * heads.keys, packed.shared, heads.width).transpose(0, 1)
        result[: packed.shared, heads.queries :] += beginning.to(result.dtype)
    return result.view(-1, heads.each * heads.width)


def softmax_backward(gradient: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The gradient of softmax's input."""
    operator: Callable[..., torch.Tensor] = torch.ops.aten._softmax_backward_data
    return operator(gradient, share, -1, share.dtype)


def _parts(
    buffer: torch.Tensor, group: AttentionGroup, heads: Heads
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(rows * keys, group * length, width) queries and (rows * keys, span, width) keys and values."""
    pairs = group.rows * heads.keys
    queries = buffer[group.queries].view(pairs, heads.group * group.length, heads.width)
    keys = buffer[group.keys].view(pairs, group.span, heads.width)
    values = buffer[group.values].view(pairs, group.span, heads.width)
    return queries, keys, values
