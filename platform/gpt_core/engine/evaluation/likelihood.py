"""What a model thinks of the reference answers: loss and token accuracy, teacher forced.

Loss is taken on learned tokens alone, exactly those that training learns, and logits are computed
where they are needed alone: a vocabulary of 49,152 makes the head a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ..formats import Encoded
from .mixture import Mixture

#: Tokens of one forward pass, padding included. More would not be faster on a CPU, and the logits
#: of this many are 200 MB with a vocabulary of 49,152 in bfloat16.
TOKENS_PER_PASS = 2048


@dataclass(frozen=True)
class Likelihood:
    """Of one row and one model, over the row's learned tokens."""

    loss_sum: float  # nats
    correct: int  # tokens that greedy decoding would have got right
    tokens: int


@torch.inference_mode()
def likelihoods(
    mixture: Mixture,
    owner: str | None,
    rows: Sequence[Encoded],
    *,
    on_tokens: Callable[[int], None] = lambda _: None,
) -> list[Likelihood]:
    """The likelihood of every row under one model, in the order of `rows`."""
    found: list[Likelihood | None] = [None] * len(rows)
    for batch in batches([len(row.ids) for row in rows], TOKENS_PER_PASS):
        for position, likelihood in zip(
            batch, _one_pass(mixture, owner, [rows[i] for i in batch]), strict=True
        ):
            found[position] = likelihood
        on_tokens(sum(len(rows[i].ids) for i in batch))
    return [likelihood for likelihood in found if likelihood is not None]


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions in groups of like length, each group at most `budget` tokens with its padding (or
    one row, where that is longer)."""
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    group: list[int] = []
    for position in order:
        # Longest first: the first of a group sets what the others are padded to.
        if group and (len(group) + 1) * lengths[group[0]] > budget:
            yield group
            group = []
        group.append(position)
    if group:
        yield group


def _one_pass(mixture: Mixture, owner: str | None, rows: Sequence[Encoded]) -> list[Likelihood]:
    width = max(len(row.ids) for row in rows)
    # Padding stands on the right, where causal attention never looks back from: no mask needed,
    # and the padding id is never asked about.
    ids = torch.zeros(len(rows), width, dtype=torch.long, device=mixture.device)
    learned = torch.zeros(len(rows), width, dtype=torch.bool, device=mixture.device)
    for position, row in enumerate(rows):
        ids[position, : len(row.ids)] = torch.tensor(row.ids)
        learned[position, : len(row.ids)] = torch.tensor(row.mask)
    # The logits before a token foretell it; the first token of a row has none.
    wanted = learned[:, 1:]
    places = wanted.any(dim=0).nonzero().squeeze(1)  # the union of the rows' learned places
    mixture.choose([owner] * len(rows))
    logits = mixture.model(input_ids=ids, use_cache=False, logits_to_keep=places).logits
    found = []
    for position in range(len(rows)):
        here = wanted[position, places]
        targets = ids[position, places[here] + 1]
        scores = logits[position, here].float()  # [tokens, vocabulary]
        losses = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        correct = int((scores.argmax(dim=-1) == targets).sum())
        found.append(Likelihood(float(losses.double().sum()), correct, len(targets)))
    return found
