"""Greedy answers to the test rows' prompts, all models' rows in one batch.

One decode step costs about the same for forty rows as for four, so the rows of every model go
through it together, and rows that have ended leave the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from .mixture import Mixture

#: Rows decoded together, and the keys and values they may hold: beyond this a step takes longer
#: in proportion and nothing is won.
ROWS_PER_BATCH = 96
CACHE_BYTES = 1_500_000_000
#: Ended rows are taken out of the batch once they are this share of it: taking out copies the
#: cache.
_EVICT_SHARE = 0.2


@dataclass(frozen=True)
class Answer:
    """What a model wrote: token ids without the end token, and whether it had to be cut off."""

    ids: list[int]
    overlong: bool


@dataclass(frozen=True)
class Question:
    """A prompt for one of the models; `owner` None is the base."""

    owner: str | None
    ids: list[int]


def answer_cap(reference_lengths: Sequence[int], context: int) -> int:
    """How many tokens an answer may have, from the lengths of the references in tokens.

    Half as much again as all but the longest twentieth of the references: whoever needs more does
    not answer as these people answer. At least 16, at most 512 and half of the context.
    """
    if not reference_lengths:
        return 16
    ordered = sorted(reference_lengths)
    nearly_longest = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return max(1, min(max(16, math.ceil(1.5 * nearly_longest)), 512, context // 2))


@torch.inference_mode()
def answers(
    mixture: Mixture,
    questions: Sequence[Question],
    *,
    cap: int,
    ends: Collection[int],
    on_tokens: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """A greedy answer to every question, in their order.

    A prompt that leaves no room for `cap` tokens in the context loses its beginning: the question
    stands at its end. `on_tokens` hears of `cap` tokens for every answer that is done, however
    early it ended.
    """
    found: list[Answer | None] = [None] * len(questions)
    context = int(getattr(mixture.model.config, "max_position_embeddings", 1 << 20))
    order = sorted(range(len(questions)), key=lambda at: (len(questions[at].ids), at))
    size = _rows_that_fit(mixture.model.config, questions, cap)
    # Groups of like prompt length; inside a group the rows of one model lie together.
    for start in range(0, len(order), size):
        group = sorted(order[start : start + size], key=lambda at: (questions[at].owner or "", at))
        batch = _Batch(mixture, [questions[at] for at in group], cap, context - cap, set(ends))
        for place, answer in batch.run(on_tokens):
            found[group[place]] = answer
    return [answer for answer in found if answer is not None]


class _Batch:
    """Rows that are decoded together, until the last one has ended."""

    def __init__(
        self,
        mixture: Mixture,
        questions: Sequence[Question],
        cap: int,
        room: int,
        ends: set[int],
    ) -> None:
        self.mixture, self.cap, self.ends = mixture, cap, ends
        prompts = [question.ids[-room:] for question in questions]
        width = max(len(ids) for ids in prompts)
        rows = len(prompts)
        # Prompts end together, so that every row writes its next token into the same column.
        self.ids = torch.zeros(rows, width, dtype=torch.long, device=mixture.device)
        self.seen = torch.zeros(rows, width + cap, dtype=torch.long, device=mixture.device)
        for row, ids in enumerate(prompts):
            self.ids[row, width - len(ids) :] = torch.tensor(ids)
            self.seen[row, width - len(ids) :] = 1
        self.width = width
        self.lengths = torch.tensor([len(ids) for ids in prompts], device=mixture.device)
        self.places = list(range(rows))  # where each row that is left stood at first
        self.owners = [question.owner for question in questions]
        self.written: list[list[int]] = [[] for _ in range(rows)]
        self.live = [True] * rows
        self.cache = _cache(mixture.model.config, width + cap)

    def run(self, on_tokens: Callable[[int], None]) -> list[tuple[int, Answer]]:
        done: list[tuple[int, Answer]] = []
        tokens = self._prefill()
        for step in range(self.cap):
            ended = self._take(tokens.tolist(), last=step == self.cap - 1)
            done += ended
            on_tokens(self.cap * len(ended))
            if not any(self.live):
                break
            tokens = self._evict(tokens)
            tokens = self._decode(tokens, step)
        return done

    def _take(self, tokens: list[int], *, last: bool) -> list[tuple[int, Answer]]:
        """Give every live row its token; returns the answers that are complete with it."""
        ended = []
        for row, token in enumerate(tokens):
            if not self.live[row]:
                continue
            ends = token in self.ends
            if not ends:
                self.written[row].append(token)
            if ends or last:
                self.live[row] = False
                ended.append((self.places[row], Answer(self.written[row], overlong=not ends)))
        return ended

    def _prefill(self) -> torch.Tensor:
        self.mixture.choose(self.owners)
        positions = (self.seen[:, : self.width].cumsum(dim=1) - 1).clamp_(min=0)
        return self._forward(self.ids, positions, self.width)

    def _decode(self, tokens: torch.Tensor, step: int) -> torch.Tensor:
        positions = (self.lengths + step)[:, None]
        return self._forward(tokens[:, None], positions, self.width + step + 1)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, seen: int) -> torch.Tensor:
        """[rows, tokens] ids at `positions` -> the likeliest next token of each row."""
        logits = self.mixture.model(
            input_ids=ids,
            attention_mask=self.seen[:, :seen],
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1].argmax(dim=-1)

    def _evict(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take out the rows that have ended, once they are many."""
        if self.live.count(False) < _EVICT_SHARE * len(self.live):
            return tokens
        kept = [row for row, live in enumerate(self.live) if live]
        index = torch.tensor(kept, device=self.mixture.device)
        self.cache.batch_select_indices(index)
        self.seen, self.lengths = self.seen[index], self.lengths[index]
        self.places = [self.places[row] for row in kept]
        self.owners = [self.owners[row] for row in kept]
        self.written = [self.written[row] for row in kept]
        self.live = [True] * len(kept)
        self.mixture.choose(self.owners)
        return tokens[index]


class _RoomyLayer(DynamicLayer):
    """Keys and values of one layer with room for all that will come.

    transformers' own layer copies everything it holds at every token; this one writes the new
    column into place.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            rows, heads, _, size = key_states.shape
            self._keys = key_states.new_empty(rows, heads, self._room, size)
            self._values = value_states.new_empty(rows, heads, self._room, value_states.shape[-1])
            self._length = 0
        start, end = self._length, self._length + key_states.shape[-2]
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        self._length = end
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        if self.is_initialized:
            self._keys, self._values = self._keys[indices], self._values[indices]
            self.keys = self._keys[:, :, : self._length]
            self.values = self._values[:, :, : self._length]


def _cache(config: Any, room: int) -> Cache:
    if getattr(config, "sliding_window", None):
        # Its layers forget what slid out of the window; transformers knows which ones do.
        return DynamicCache(config=config)
    return Cache(layers=[_RoomyLayer(room) for _ in range(config.num_hidden_layers)])


def _rows_that_fit(config: Any, questions: Sequence[Question], cap: int) -> int:
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest = max((len(question.ids) for question in questions), default=0) + cap
    bytes_per_row = 2 * 2 * config.num_hidden_layers * heads * size * longest
    return max(1, min(ROWS_PER_BATCH, CACHE_BYTES // max(1, bytes_per_row)))
