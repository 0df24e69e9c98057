"""Every tenant's adapter in one slab, applied to a mixed batch without loops over adapters.

For a row x of an adapter with matrices A (r, in) and B (out, r) the layer adds B A x. Both products are weighted
sums of table rows: A x is the sum of A's columns weighted by x, B h the sum of B's columns weighted by h. That
is what an embedding bag computes, with a table that holds all adapters one after another and indices that
point into the part of the table that belongs to the row's own adapter. So a batch over any number of adapters
costs one bag per product; a row reads no other adapter's numbers, not even to multiply them by zero; and
loading an adapter is copying it into its slot.

Measured for 32 rows and rank 8 in all layers of a 135M model (2 cores, bf16), products alone: 7 to 9 ms a step
with 8, 16 or 32 adapters. The dense product with all slots and a mask, the usual way, takes 12, 16 and 26 ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import EngineError

RANKS = (8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Part:
    """One linear layer inside a fused group: its path in the model and how many outputs it has."""

    module: str
    outputs: int


@dataclass(frozen=True)
class Group:
    """Linear layers with a common input, computed as one product; their outputs stand side by side."""

    name: str
    inputs: int
    parts: tuple[Part, ...]

    @property
    def outputs(self) -> int:
        """All outputs together."""
        return sum(part.outputs for part in self.parts)

    @property
    def unit(self) -> int:
        """The width of the blocks that the outputs of every part divide into."""
        return math.gcd(*(part.outputs for part in self.parts))

    @property
    def blocks(self) -> list[int]:
        """For each block of outputs, the part that it belongs to."""
        return [
            index for index, part in enumerate(self.parts) for _ in range(part.outputs // self.unit)
        ]


class Table:
    """The slots of one group of one layer, for adapters up to one rank.

    `down` is (slots * in, parts * rank), `up` is (slots * blocks * rank, unit).
    """

    def __init__(self, group: Group, rank: int, slots: int, dtype: torch.dtype) -> None:
        self.group = group
        self.rank = rank
        blocks, parts = group.blocks, len(group.parts)
        # Zeros that are never written take no memory: only loaded adapters do.
        self.down = torch.zeros(slots * group.inputs, parts * rank, dtype=dtype)
        self.up = torch.zeros(slots * len(blocks) * rank, group.unit, dtype=dtype)
        self.columns: Tensor | None = None
        if len(blocks) != parts:
            self.columns = torch.cat([torch.arange(rank) + part * rank for part in blocks])

    def write(self, slot: int, pairs: Sequence[tuple[Tensor, Tensor] | None]) -> None:
        """Put an adapter's (A (r, in), scaled B (out, r)) of each part into `slot`, padded with zeros."""
        group, rank = self.group, self.rank
        down = self.down_of(slot).zero_()
        up = self.up_of(slot).zero_()
        block = 0
        for index, (part, pair) in enumerate(zip(group.parts, pairs, strict=True)):
            count = part.outputs // group.unit
            if pair is not None:
                a, b = pair
                own = a.shape[0]
                down[:, index * rank : index * rank + own] = a.t()
                up[block : block + count, :own] = b.view(count, group.unit, own).transpose(1, 2)
            block += count

    def down_of(self, slot: int) -> Tensor:
        """(in, parts * rank) of one slot."""
        return self.down[slot * self.group.inputs : (slot + 1) * self.group.inputs]

    def up_of(self, slot: int) -> Tensor:
        """(blocks, rank, unit) of one slot."""
        blocks = len(self.group.blocks)
        return self.up.view(-1, blocks, self.rank, self.group.unit)[slot]

    def many(self, x: Tensor, plan: SlotPlan) -> Tensor:
        """The addition for a batch in which each row of x (rows, in) has its own slot: (rows, out)."""
        group = self.group
        down, down_offsets = plan.down_indices(group.inputs)
        h = _bag(self.down, down, down_offsets, x)
        if self.columns is not None:
            h = h.index_select(1, self.columns)
        up, up_offsets = plan.up_indices(len(group.blocks) * self.rank, self.rank)
        return _bag(self.up, up, up_offsets, h).view(x.shape[0], group.outputs)

    def one(self, x: Tensor, slot: int) -> Tensor:
        """The addition for tokens x (tokens, in) of a single adapter: (tokens, out)."""
        group, tokens = self.group, x.shape[0]
        h = x @ self.down_of(slot)
        if self.columns is not None:
            h = h.index_select(1, self.columns)
        h = h.view(tokens, len(group.blocks), self.rank).transpose(0, 1)
        return torch.bmm(h, self.up_of(slot)).transpose(0, 1).reshape(tokens, group.outputs)


class SlotPlan:
    """Which slot each row of a decode step uses; the indices it implies are built once per shape."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.slots = torch.tensor(slots, dtype=torch.int32)
        self._down: dict[int, tuple[Tensor, Tensor]] = {}
        self._up: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def down_indices(self, inputs: int) -> tuple[Tensor, Tensor]:
        """(indices (rows * inputs,), offsets (rows,)) into a `down` table."""
        if inputs not in self._down:
            span = torch.arange(inputs, dtype=torch.int32)
            indices = (self.slots[:, None] * inputs + span).flatten()
            offsets = torch.arange(0, indices.numel(), inputs, dtype=torch.int32)
            self._down[inputs] = (indices, offsets)
        return self._down[inputs]

    def up_indices(self, stride: int, rank: int) -> tuple[Tensor, Tensor]:
        """(indices (rows * stride,), offsets (rows * stride / rank,)) into an `up` table."""
        key = (stride, rank)
        if key not in self._up:
            span = torch.arange(stride, dtype=torch.int32)
            indices = (self.slots[:, None] * stride + span).flatten()
            offsets = torch.arange(0, indices.numel(), rank, dtype=torch.int32)
            self._up[key] = (indices, offsets)
        return self._up[key]


class Slab:
    """The tables of all layers for adapters up to one rank. Slot 0 is the base model: an adapter of zeros."""

    def __init__(
        self, layers: Sequence[Sequence[Group]], rank: int, slots: int, dtype: torch.dtype
    ) -> None:
        self.rank = rank
        self.tables = [
            {group.name: Table(group, rank, slots + 1, dtype) for group in groups}
            for groups in layers
        ]
        self._free = list(range(slots, 0, -1))

    def load(self, tensors: Mapping[str, tuple[Tensor, Tensor]], scaling: float) -> int:
        """Copy an adapter {module: (A (r, in), B (out, r))} into a free slot and return the slot."""
        slot = self._free.pop()
        for tables in self.tables:
            for table in tables.values():
                table.write(slot, [_pair(tensors, part, scaling) for part in table.group.parts])
        return slot

    def unload(self, slot: int) -> None:
        """Free a slot."""
        self._free.append(slot)


@dataclass(frozen=True)
class Place:
    """Where a loaded adapter lives."""

    rank: int
    slot: int


class Slabs:
    """The loaded adapters, in one slab per rank bucket; only buckets in use take part in a step."""

    def __init__(
        self, layers: Sequence[Sequence[Group]], *, slots: int, dtype: torch.dtype
    ) -> None:
        self._layers = layers
        self._slots = slots
        self._dtype = dtype
        self._by_rank: dict[int, Slab] = {}
        self._modules = {
            part.module for groups in layers for group in groups for part in group.parts
        }

    @torch.inference_mode()
    def load(
        self, tensors: Mapping[str, tuple[Tensor, Tensor]], *, rank: int, scaling: float
    ) -> Place:
        """Copy an adapter into the slab of the smallest bucket that holds its rank.

        Raises EngineError: adapter_rank, adapter_targets.
        """
        unknown = sorted(set(tensors) - self._modules)
        if unknown:
            raise EngineError("adapter_targets", f"no such linear layers: {unknown[:3]}")
        if rank > RANKS[-1]:
            raise EngineError("adapter_rank", f"rank {rank} is above {RANKS[-1]}")
        bucket = next(size for size in RANKS if size >= rank)
        if bucket not in self._by_rank:
            self._by_rank[bucket] = Slab(self._layers, bucket, self._slots, self._dtype)
        return Place(bucket, self._by_rank[bucket].load(tensors, scaling))

    def unload(self, place: Place) -> None:
        """Free the slot of an adapter that no row uses any more."""
        self._by_rank[place.rank].unload(place.slot)

    def step(self, places: Sequence[Place | None]) -> Mix:
        """The plan of a decode step whose rows use `places`; None is the base model."""
        ranks = sorted({place.rank for place in places if place is not None})
        return Mix(
            [
                (
                    self._by_rank[rank],
                    SlotPlan(
                        [place.slot if place and place.rank == rank else 0 for place in places]
                    ),
                )
                for rank in ranks
            ]
        )

    def outputs(self, layer: int, group: str) -> int:
        """How many outputs a group has."""
        return next(own.outputs for own in self._layers[layer] if own.name == group)

    def addition(self, layer: int, group: str, x: Tensor, place: Place) -> Tensor:
        """What one adapter adds to tokens x (tokens, in) of one sequence: (tokens, out)."""
        return self._by_rank[place.rank].tables[layer][group].one(x, place.slot)


class Mix:
    """The adapters of one decode step, per rank bucket."""

    def __init__(self, plans: list[tuple[Slab, SlotPlan]]) -> None:
        self._plans = plans

    def __bool__(self) -> bool:
        return bool(self._plans)

    def addition(self, layer: int, group: str, x: Tensor) -> Tensor:
        """What the adapters of all rows add to x (rows, in): (rows, out)."""
        total: Tensor | None = None
        for slab, plan in self._plans:
            own = slab.tables[layer][group].many(x, plan)
            total = own if total is None else total.add_(own)
        assert total is not None
        return total


def _bag(table: Tensor, indices: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """For each bag of indices, the sum of the table's rows weighted by `weights`, added up in float32."""
    return torch.embedding_bag(
        table, indices, offsets, False, 0, False, weights.reshape(-1), False
    )[0]


def _pair(
    tensors: Mapping[str, tuple[Tensor, Tensor]], part: Part, scaling: float
) -> tuple[Tensor, Tensor] | None:
    pair = tensors.get(part.module)
    return None if pair is None else (pair[0], pair[1].float() * scaling)
