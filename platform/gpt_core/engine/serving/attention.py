"""Keys and values: pools of rows that decode together, and a scratch for what is still being read.

Rows in a pool stand side by side from 0 upward, all with room for the same number of tokens, so that one
batched product over a contiguous slice serves them all. A row that outgrows its pool moves to the next
larger one: that groups the batch by length, and no row pays for a neighbour more than about twice its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST_ROOM = 64


@dataclass(frozen=True)
class Shape:
    """What the keys and values of a model look like."""

    layers: int
    query_heads: int
    heads: int
    head_size: int
    dtype: torch.dtype

    @property
    def scale(self) -> float:
        """What scores are multiplied by before the softmax."""
        return 1.0 / math.sqrt(self.head_size)


class Scratch:
    """The keys and values of one sequence that is being read: (layers, 2, heads, tokens, head size)."""

    def __init__(self, shape: Shape, tokens: int) -> None:
        self.shape = shape
        self.room = tokens
        self.store = torch.zeros(
            shape.layers, 2, shape.heads, tokens, shape.head_size, dtype=shape.dtype
        )


@dataclass
class Segment:
    """Tokens of one sequence read in one step, written to `scratch` at `start` and the places after it.

    `mask` (tokens, start + tokens) is added to the scores: 0 where a token may look, -inf where not.
    """

    scratch: Scratch
    start: int
    tokens: int
    mask: Tensor

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        """Write and look: queries (tokens, query heads, size), keys_values (tokens, 2, heads, size)."""
        shape, end = self.scratch.shape, self.start + self.tokens
        store = self.scratch.store[layer]
        store[:, :, self.start : end] = keys_values.permute(1, 2, 0, 3)
        shared = shape.query_heads // shape.heads
        # Query heads that share keys are laid one after another along the token axis: nothing is repeated.
        folded = queries.view(self.tokens, shape.heads, shared, shape.head_size)
        folded = folded.permute(1, 2, 0, 3).reshape(
            1, shape.heads, shared * self.tokens, shape.head_size
        )
        looked = functional.scaled_dot_product_attention(
            folded,
            store[None, 0, :, :end],
            store[None, 1, :, :end],
            attn_mask=self.mask.repeat(shared, 1),
            scale=shape.scale,
        )
        looked = looked.view(shape.heads, shared, self.tokens, shape.head_size)
        return looked.permute(2, 0, 1, 3).reshape(self.tokens, -1)


def causal_mask(tokens: int, start: int, dtype: torch.dtype) -> Tensor:
    """(tokens, start + tokens): each token sees everything before it and itself."""
    full = torch.full((tokens, start + tokens), -torch.inf, dtype=dtype)
    return full.triu_(diagonal=start + 1)


def branch_mask(lengths: list[int], start: int, dtype: torch.dtype) -> Tensor:
    """(sum(lengths), start + sum(lengths)): branches see what comes before `start` and themselves alone."""
    total = sum(lengths)
    mask = torch.full((total, start + total), -torch.inf, dtype=dtype)
    mask[:, :start] = 0
    position = 0
    for length in lengths:
        own = slice(position, position + length)
        mask[own, start + position : start + position + length] = causal_mask(length, 0, dtype)
        position += length
    return mask


class Pool:
    """Rows with room for `room` tokens each; rows 0 .. used-1 are in use.

    `store` is (layers, 2, rows * heads, room, head size). It starts as zeros: memory that was never written may
    read as NaN, and a probability of 0 times NaN is NaN.
    """

    def __init__(self, shape: Shape, room: int, rows: int) -> None:
        self.shape = shape
        self.room = room
        self.rows = rows
        self.used = 0
        self._store: Tensor | None = None

    @property
    def store(self) -> Tensor:
        """The tensor, made when first needed and given back when the pool empties."""
        if self._store is None:
            # Pages of zeros cost nothing until they are written.
            self._store = torch.zeros(
                self.shape.layers,
                2,
                self.rows * self.shape.heads,
                self.room,
                self.shape.head_size,
                dtype=self.shape.dtype,
            )
        return self._store

    def row(self, index: int) -> Tensor:
        """(layers, 2, heads, room, head size) of one row."""
        heads = self.shape.heads
        return self.store[:, :, index * heads : (index + 1) * heads]

    def take(self) -> int:
        """The next free row."""
        self.used += 1
        return self.used - 1

    def give_back(self, index: int, *, last_length: int) -> int | None:
        """Free a row; the last row, of `last_length` tokens, moves into its place.

        Returns that row's old index, if one moved.
        """
        last = self.used - 1
        if index != last:
            self.row(index)[:, :, :, :last_length] = self.row(last)[:, :, :, :last_length]
        self.used = last
        if last == 0:
            self._store = None
        return last if index != last else None


@dataclass(eq=False)
class Row:
    """A sequence's place among the decoding rows: its pool, its index there, its tokens so far."""

    pool: Pool
    index: int
    length: int


@dataclass
class PoolStep:
    """One pool's part of a decode step: `rows` rows at `offset` of the batch."""

    pool: Pool
    offset: int
    rows: int
    mask: Tensor
    places: Tensor
    views: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        """Write and look: queries (rows, query heads, size), keys_values (rows, 2, heads, size)."""
        shape = self.pool.shape
        store = self.pool.store[layer]
        flat = store.view(-1, shape.head_size)
        flat.index_copy_(0, self.places, keys_values.reshape(-1, shape.head_size))
        batch, shared = self.rows * shape.heads, shape.query_heads // shape.heads
        folded = queries.reshape(batch, shared, shape.head_size)
        scores = torch.baddbmm(
            self.mask, folded, store[0, :batch].transpose(1, 2), alpha=shape.scale
        )
        looked = torch.bmm(torch.softmax(scores, dim=-1), store[1, :batch])
        return looked.view(self.rows, -1)


class KeyValueStore:
    """All decoding rows, in pools by length; at most `rows` rows and `context` tokens each."""

    def __init__(self, shape: Shape, *, rows: int, context: int) -> None:
        self.shape = shape
        self.rows = rows
        self.context = context
        self._pools = [Pool(shape, room, rows) for room in _rooms(context)]
        self._members: dict[Pool, list[Row]] = {pool: [] for pool in self._pools}

    @property
    def used(self) -> int:
        """How many rows are decoding."""
        return sum(pool.used for pool in self._pools)

    def tokens(self) -> int:
        """How many tokens all rows hold."""
        return sum(row.length for rows in self._members.values() for row in rows)

    def admit(self, scratch: Scratch, length: int) -> Row:
        """A new row holding the first `length` tokens of `scratch`, with room for one more."""
        row = self._place(length)
        row.pool.row(row.index)[:, :, :, :length] = scratch.store[:, :, :, :length]
        return row

    def ensure_room(self, row: Row) -> None:
        """Move a row that is full to a larger pool."""
        if row.length < row.pool.room:
            return
        old_pool, old = row.pool, row.pool.row(row.index)
        moved = self._place(row.length)
        moved.pool.row(moved.index)[:, :, :, : row.length] = old
        self.release(row)
        row.pool, row.index = moved.pool, moved.index
        members = self._members[moved.pool]
        members[members.index(moved)] = row
        assert row.pool is not old_pool

    def release(self, row: Row, *, scrub: bool = False) -> None:
        """Give a row back. `scrub` wipes it first: a NaN left behind would reach the next tenant of the row."""
        members = self._members[row.pool]
        if scrub:
            row.pool.row(row.index).zero_()
        if row.pool.give_back(row.index, last_length=members[-1].length) is not None:
            members[row.index] = members[-1]
            members[row.index].index = row.index
        members.pop()

    def order(self) -> list[Row]:
        """The rows as a decode step takes them: pool by pool, index by index."""
        return [row for pool in self._pools for row in self._members[pool]]

    def steps(self) -> list[PoolStep]:
        """The plan of a decode step for `order()`: where each row's new token goes and what it may see."""
        plan, offset = [], 0
        for pool in self._pools:
            if pool.used:
                lengths = torch.tensor([row.length for row in self._members[pool]])
                plan.append(_pool_step(pool, offset, lengths))
                offset += pool.used
        return plan

    def _place(self, length: int) -> Row:
        pool = next(pool for pool in self._pools if pool.room > length)
        row = Row(pool, pool.take(), length)
        self._members[pool].append(row)
        return row


def _pool_step(pool: Pool, offset: int, lengths: Tensor) -> PoolStep:
    """`lengths` (rows,): the tokens that each row holds before this step."""
    shape, rows = pool.shape, len(lengths)
    seen = torch.arange(pool.room)[None, :] <= lengths[:, None]
    mask = torch.zeros(rows, 1, pool.room, dtype=shape.dtype).masked_fill_(
        ~seen[:, None], -torch.inf
    )
    mask = mask.repeat_interleave(shape.heads, dim=0)
    # Where row, key or value, and head land in the flat view (2 * rows * heads * room, size) of a layer.
    planes = torch.arange(2)[None, :, None] * pool.rows
    index = (planes + torch.arange(rows)[:, None, None]) * shape.heads
    index = index + torch.arange(shape.heads)[None, None, :]
    places = index * pool.room + lengths[:, None, None]
    return PoolStep(pool, offset, rows, mask, places.flatten())


def _rooms(context: int) -> list[int]:
    """64, 128, 192, 256, 384, 512, 768, 1024 ...: never more than half as much again as the one before."""
    rooms, room = [], _SMALLEST_ROOM
    while room < context:
        rooms.append(room)
        if room + room // 2 < context and room >= 2 * _SMALLEST_ROOM:
            rooms.append(room + room // 2)
        room *= 2
    return [*rooms, context]
