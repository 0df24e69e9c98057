"""Choosing tokens: every row by its own parameters and its own random numbers.

A row's choice is a function of its logits, its parameters, its history and its seed alone; what its neighbours
ask for changes nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import torch
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
    if len(simple) == len(choosers):
        tokens = logits.max(dim=-1).indices.tolist()
        return [Choice(token) for token in tokens]
    if simple:
        tokens = logits[simple].max(dim=-1).indices.tolist()
        for row, token in zip(simple, tokens, strict=True):
            choices[row] = Choice(token)
    for row in sorted(set(sound) - set(simple)):
        try:
            choices[row] = _choose_one(logits[row].to(torch.float32, copy=True), choosers[row])
        except EngineError as error:
            _fail(choices, row, error)
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


def _choose_one(logits: Tensor, chooser: Chooser) -> Choice:
    """`logits` (vocabulary,) in float32, a copy of the row's own."""
    parameters = chooser.parameters
    raw = torch.log_softmax(logits, dim=-1) if parameters.logprobs is not None else None
    chooser.adjust(logits)
    if not torch.isfinite(logits.max()):
        raise EngineError("nothing_allowed", "no token is left to choose")
    if parameters.temperature == 0:
        token = int(logits.argmax())
    else:
        token = _draw(logits.div_(parameters.temperature), parameters, chooser.random.random())
    if raw is None:
        return Choice(token)
    return Choice(token, logprob_of(raw, token, parameters.logprobs or 0))


def logprob_of(logprobs: Tensor, token: int, top: int) -> TokenLogprob:
    """A token's log-probability from logprobs (vocabulary,), with the `top` likeliest tokens."""
    likeliest: tuple[tuple[int, float], ...] = ()
    if top:
        values, tokens = logprobs.topk(min(top, len(logprobs)))
        likeliest = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, float(logprobs[token]), likeliest)


def _draw(logits: Tensor, parameters: SamplingParameters, at: float) -> int:
    """The token at the share `at` of the distribution that top-k, top-p and min-p leave."""
    size = len(logits)
    if not parameters.top_k and parameters.top_p >= 1.0 and not parameters.min_p:
        return _at(torch.softmax(logits, dim=-1), at)
    if parameters.top_k:
        values, tokens = logits.topk(min(parameters.top_k, size))
        return int(tokens[_at(_kept(torch.softmax(values, dim=-1), parameters), at)])
    probabilities = torch.softmax(logits, dim=-1)
    values, tokens = probabilities.topk(min(_CANDIDATES, size))
    if not _covers(values, parameters):
        values, tokens = probabilities.sort(descending=True)
    return int(tokens[_at(_kept(values, parameters), at)])


def _covers(values: Tensor, parameters: SamplingParameters) -> bool:
    """Whether the likeliest tokens `values`, sorted, contain everything that top-p or min-p keeps."""
    by_share = parameters.top_p < 1.0 and float(values.sum()) >= parameters.top_p
    by_peak = bool(values[-1] < parameters.min_p * values[0])
    return by_share or by_peak


def _kept(values: Tensor, parameters: SamplingParameters) -> Tensor:
    """Sorted probabilities with zeros for what top-p and min-p drop; the first always stays."""
    if parameters.top_p < 1.0:
        before = values.cumsum(dim=-1) - values
        values = values.masked_fill(before >= parameters.top_p, 0.0)
    if parameters.min_p:
        values = values.masked_fill(values < parameters.min_p * values[0], 0.0)
    return values


def _at(weights: Tensor, at: float) -> int:
    """The index where the running share of `weights` passes `at`."""
    running = weights.double().cumsum(dim=-1)
    index = int(torch.searchsorted(running, float(running[-1]) * at, right=True))
    # Rounding may carry the search past the last token that has any weight.
    return min(index, int(weights.nonzero()[-1]))
