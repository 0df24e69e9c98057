"""Choosing tokens: every row by its own parameters and its own random numbers.

A row's choice is a function of its logits, its parameters, its history and its seed alone; what its neighbours
ask for changes nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import EngineError
from .constraints import Matcher
from .requests import SamplingParameters, TokenLogprob

# How many of the likeliest tokens are sorted before the whole vocabulary is.
_CANDIDATES = 256


@dataclass
class Chooser:
    """What choosing the next token of one sequence depends on."""

    parameters: SamplingParameters
    random: random.Random
    prompt: list[int] = field(default_factory=list)
    matcher: Matcher | None = None
    written: Counter[int] = field(default_factory=Counter)

    @classmethod
    def start(
        cls,
        parameters: SamplingParameters,
        index: int,
        prompt: list[int],
        matcher: Matcher | None,
    ) -> Chooser:
        """The chooser of choice `index`; the same seed gives each choice its own numbers."""
        seed = None if parameters.seed is None else f"{parameters.seed}/{index}"
        return cls(parameters, random.Random(seed), prompt, matcher)

    def adjust(self, logits: Tensor) -> None:
        """Apply penalties and the grammar to logits (vocabulary,), in place."""
        parameters = self.parameters
        if parameters.repetition_penalty != 1.0:
            seen = torch.tensor(sorted({*self.prompt, *self.written}))
            own = logits[seen]
            factor = parameters.repetition_penalty
            logits[seen] = torch.where(own > 0, own / factor, own * factor)
        if self.written and (parameters.frequency_penalty or parameters.presence_penalty):
            tokens = torch.tensor(list(self.written))
            counts = torch.tensor(list(self.written.values()), dtype=logits.dtype)
            penalty = counts * parameters.frequency_penalty + parameters.presence_penalty
            logits[tokens] -= penalty
        if self.matcher is not None:
            self.matcher.limit(logits)

    def took(self, token: int) -> None:
        """Remember a chosen token."""
        self.written[token] += 1
        if self.matcher is not None:
            self.matcher.consume(token)


@dataclass(frozen=True)
class Choice:
    """The outcome for one row: a token, or the reason why there is none."""

    token: int = -1
    logprob: TokenLogprob | None = None
    error: EngineError | None = None


def choose(logits: Tensor, choosers: list[Chooser]) -> list[Choice]:
    """The next token for each row of logits (rows, vocabulary).

    A row with NaN or infinity, or one that its grammar leaves nothing, gets an error; the others their tokens.
    """
    choices: list[Choice] = [Choice()] * len(choosers)
    peaks = logits.amax(dim=-1).float()
    sound = [
        row
        for row, fine in enumerate(torch.isfinite(peaks).tolist())
        if fine or _fail(choices, row, EngineError("not_finite", "logits are not finite"))
    ]
    simple = [row for row in sound if _takes_the_peak(choosers[row])]
    if simple:
        own = logits if len(simple) == len(choosers) else logits[simple]
        for row, token in zip(simple, own.max(dim=-1).indices.tolist(), strict=True):
            choices[row] = Choice(token)
    rest = sorted(set(sound) - set(simple))
    if rest:
        # Indexing copies: rows may share memory, and what follows changes them in place.
        _choose_adjusted(logits[rest].float(), rest, choosers, choices)
    return choices


def _takes_the_peak(chooser: Chooser) -> bool:
    parameters = chooser.parameters
    return (
        parameters.temperature == 0
        and not parameters.penalised
        and parameters.logprobs is None
        and chooser.matcher is None
    )


def _fail(choices: list[Choice], row: int, error: EngineError) -> bool:
    choices[row] = Choice(error=error)
    return False


def _choose_adjusted(
    logits: Tensor, rows: list[int], choosers: list[Chooser], choices: list[Choice]
) -> None:
    """Choose for `rows`, whose logits (len(rows), vocabulary) are the caller's to spend; fills `choices`."""
    raw: dict[int, Tensor] = {}
    drawing: list[int] = []
    for place, row in enumerate(rows):
        chooser = choosers[row]
        try:
            if chooser.parameters.logprobs is not None:
                raw[row] = torch.log_softmax(logits[place], dim=-1)
            if _adjusts(chooser):
                chooser.adjust(logits[place])
                if not torch.isfinite(logits[place].max()):
                    raise EngineError("nothing_allowed", "no token is left to choose")
        except EngineError as error:
            _fail(choices, row, error)
            continue
        if chooser.parameters.temperature == 0:
            choices[row] = Choice(int(logits[place].argmax()))
        else:
            drawing.append(place)
    if drawing:
        own = logits if len(drawing) == len(rows) else logits[drawing]
        drawn = _draw(own, [choosers[rows[place]] for place in drawing])
        for place, token in zip(drawing, drawn, strict=True):
            choices[rows[place]] = Choice(token)
    for row, logprobs in raw.items():
        if choices[row].error is None:
            token, top = choices[row].token, choosers[row].parameters.logprobs or 0
            choices[row] = Choice(token, logprob_of(logprobs, token, top))


def _adjusts(chooser: Chooser) -> bool:
    return chooser.parameters.penalised or chooser.matcher is not None


def logprob_of(logprobs: Tensor, token: int, top: int) -> TokenLogprob:
    """A token's log-probability from logprobs (vocabulary,), with the `top` likeliest tokens."""
    likeliest: tuple[tuple[int, float], ...] = ()
    if top:
        values, tokens = logprobs.topk(min(top, len(logprobs)))
        likeliest = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, float(logprobs[token]), likeliest)


def _draw(logits: Tensor, choosers: list[Chooser]) -> list[int]:
    """A token for each row of logits (rows, vocabulary), which are spent.

    Tokens are taken from the likeliest downward, so that nearly always the first few hundred are enough.
    """
    temperatures = torch.tensor([chooser.parameters.temperature for chooser in choosers])
    probabilities = torch.softmax(logits.div_(temperatures[:, None]), dim=-1)
    values, tokens = probabilities.topk(min(_CANDIDATES, probabilities.shape[1]))
    whole = values.shape[1] == probabilities.shape[1]
    shares, drawn = values.double().numpy(), []
    for row, chooser in enumerate(choosers):
        at = chooser.random.random()
        place = _place_of(shares[row], chooser.parameters, at, whole=whole)
        if place is not None:
            drawn.append(int(tokens[row, place]))
            continue
        all_values, all_tokens = probabilities[row].sort(descending=True)
        place = _place_of(all_values.double().numpy(), chooser.parameters, at, whole=True)
        assert place is not None
        drawn.append(int(all_tokens[place]))
    return drawn


def _place_of(
    shares: NDArray[np.float64], parameters: SamplingParameters, at: float, *, whole: bool
) -> int | None:
    """The place in `shares`, sorted downward, where the running share passes `at` of what is kept.

    Kept is what top-k, then top-p, then min-p leave. None where `shares` is only the beginning of the
    distribution (not `whole`) and the answer depends on the rest.
    """
    bounded = whole
    if parameters.top_k and (whole or parameters.top_k <= len(shares)):
        shares, bounded = shares[: parameters.top_k], True
    elif parameters.top_k:
        return None
    running = shares.cumsum()
    mass = running[-1] if bounded else 1.0
    kept = len(shares)
    if parameters.top_p < 1.0:
        needed = int(np.searchsorted(running, parameters.top_p * mass)) + 1
        if needed > kept and not bounded:
            return None
        kept, bounded = min(kept, needed), True
    if parameters.min_p:
        near = int((shares >= parameters.min_p * shares[0]).sum())
        if near == len(shares) and not bounded:
            return None
        kept, bounded = min(kept, near), True
    target = at * (running[kept - 1] if bounded else mass)
    if not bounded and target >= running[-1]:
        return None
    place = int(np.searchsorted(running[:kept], target, side="right"))
    # Rounding may carry the search past the last token that has any share.
    return max(min(place, int(np.count_nonzero(shares[:kept])) - 1), 0)
