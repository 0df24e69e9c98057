"""Rows without padding: one stream of tokens, a shared beginning computed once, attention in small groups.

Rows of one tenant begin alike (the system message, the template's first words). Those tokens stand once at
the head of the stream and every row attends to them: the same mathematics, a fifth fewer tokens to compute on short
rows. Only attention sees padding, within groups of rows of similar length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .rows import Example


@dataclass(frozen=True)
class Heads:
    """How the fused projection is divided: `queries` + 2 * `keys` heads of `width` each."""

    queries: int
    keys: int
    width: int

    @property
    def each(self) -> int:
        """Heads per token in the fused projection."""
        return self.queries + 2 * self.keys

    @property
    def group(self) -> int:
        """Query heads that share one key head."""
        return self.queries // self.keys


@dataclass(frozen=True)
class AttentionGroup:
    """`rows` rows of at most `length` queries, each seeing `shared` first tokens and its own.

    In the gathered buffer its queries stand at `queries`, its keys at `keys` and its values at `values`.
    """

    rows: int
    length: int
    span: int
    shared: int
    queries: slice
    keys: slice
    values: slice
    outputs: slice
    mask: torch.Tensor  # (1, group * length, span): 0 where a query may look, -inf elsewhere


@dataclass(frozen=True)
class Packed:
    """One pass. Head rows are counted as token * heads.each + head."""

    ids: torch.Tensor  # (tokens,)
    positions: torch.Tensor  # (tokens,) where each token stands in its row
    shared: int
    groups: tuple[AttentionGroup, ...]
    gather: torch.Tensor  # buffer row -> head row of the fused projection
    scatter: torch.Tensor  # head row -> buffer row (of its own row's copy)
    spread: torch.Tensor  # query head row (token * queries + head) -> row of the outputs' buffer
    outputs: int
    learned: torch.Tensor  # (n,) stream positions that predict a learned token
    targets: torch.Tensor  # (n,)


def shared_beginning(examples: Sequence[Example]) -> int:
    """How many first tokens all rows share, short of any position that predicts a learned token."""
    if len(examples) < 2:
        return 0
    most = min(example.positions[0] for example in examples)
    first, last = min(example.ids for example in examples), max(example.ids for example in examples)
    shared = 0
    while shared < most and first[shared] == last[shared]:
        shared += 1
    return shared


def pack(
    examples: Sequence[Example], heads: Heads, *, dtype: torch.dtype, device: torch.device
) -> Packed:
    """Lay a pass out as one stream."""
    ordered = sorted(examples, key=len)
    shared = shared_beginning(ordered)
    ids = list(ordered[0].ids[:shared])
    positions = list(range(shared))
    learned: list[int] = []
    targets: list[int] = []
    starts: list[int] = []
    for example in ordered:
        starts.append(len(ids))
        learned += [len(ids) + position - shared for position in example.positions]
        targets += example.targets
        ids += example.ids[shared:]
        positions += range(shared, len(example))
    layout = _Layout(heads, len(ids), dtype)
    if shared:
        layout.add(torch.arange(shared)[None], 0)
    for members in _similar([len(example) - shared for example in ordered]):
        longest = len(ordered[members[-1]]) - shared
        grid = torch.full((len(members), longest), -1)
        for row, member in enumerate(members):
            size = len(ordered[member]) - shared
            grid[row, :size] = torch.arange(starts[member], starts[member] + size)
        layout.add(grid, shared)
    return Packed(
        ids=torch.tensor(ids, device=device),
        positions=torch.tensor(positions, device=device),
        shared=shared,
        groups=tuple(layout.groups_on(device)),
        gather=torch.cat(layout.gather).to(device),
        scatter=layout.scatter.to(device),
        spread=layout.spread.to(device),
        outputs=layout.outputs,
        learned=torch.tensor(learned, device=device),
        targets=torch.tensor(targets, device=device),
    )


class _Layout:
    """Builds the index tensors group by group."""

    def __init__(self, heads: Heads, tokens: int, dtype: torch.dtype) -> None:
        self.heads = heads
        self.dtype = dtype
        self.size = 0
        self.outputs = 0
        self.gather: list[torch.Tensor] = []
        self.groups: list[AttentionGroup] = []
        self.scatter = torch.zeros(tokens * heads.each, dtype=torch.long)
        self.spread = torch.zeros(tokens * heads.queries, dtype=torch.long)

    def add(self, grid: torch.Tensor, shared: int) -> None:
        """A group from `grid` (rows, length) of stream positions, -1 where there is no token."""
        heads, rows, length = self.heads, *grid.shape
        real = grid >= 0
        own = grid.clamp(min=0)
        before = torch.arange(shared).expand(rows, shared)
        seen = torch.cat((before, own), dim=1)
        query_heads = torch.arange(heads.queries).view(1, -1, 1)
        key_heads = heads.queries + torch.arange(heads.keys).view(1, -1, 1)
        queries = self._take(own[:, None] * heads.each + query_heads)
        keys = self._take(seen[:, None] * heads.each + key_heads)
        values = self._take(seen[:, None] * heads.each + key_heads + heads.keys)
        # Where each real token's own heads went, for the way back.
        at_query = torch.arange(rows * heads.queries * length).view(rows, heads.queries, length)
        at_key = torch.arange(rows * heads.keys * seen.shape[1]).view(rows, heads.keys, -1)
        places = (
            (query_heads, at_query + queries.start),
            (key_heads, at_key[:, :, shared:] + keys.start),
            (key_heads + heads.keys, at_key[:, :, shared:] + values.start),
        )
        for head, place in places:
            token = own[:, None].expand(-1, head.shape[1], -1)
            chosen = real[:, None].expand_as(token)
            self.scatter[(token * heads.each + head)[chosen]] = place[chosen]
        token = own[:, None].expand(-1, heads.queries, -1)
        chosen = real[:, None].expand_as(token)
        self.spread[(token * heads.queries + query_heads)[chosen]] = (at_query + self.outputs)[
            chosen
        ]
        outputs = slice(self.outputs, self.outputs + at_query.numel())
        self.outputs = outputs.stop
        mask = torch.full((length, shared + length), float("-inf"), dtype=self.dtype)
        mask = mask.triu(shared + 1).repeat(heads.group, 1)[None]
        span = shared + length
        self.groups.append(
            AttentionGroup(rows, length, span, shared, queries, keys, values, outputs, mask)
        )

    def groups_on(self, device: torch.device) -> list[AttentionGroup]:
        return [
            AttentionGroup(**{**group.__dict__, "mask": group.mask.to(device)})
            for group in self.groups
        ]

    def _take(self, head_rows: torch.Tensor) -> slice:
        self.gather.append(head_rows.reshape(-1))
        taken = slice(self.size, self.size + head_rows.numel())
        self.size = taken.stop
        return taken


def _similar(lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours of similar length together, so that little of a group is padding. `lengths` ascend."""
    groups: list[list[int]] = []
    for number, length in enumerate(lengths):
        if not groups or length > 1.2 * lengths[groups[-1][0]] + 8:
            groups.append([])
        groups[-1].append(number)
    return groups
