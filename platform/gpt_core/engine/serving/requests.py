"""What is asked of the engine and what comes back, free of any protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .adapters import Place

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class SamplingParameters:
    """How tokens are chosen. The values are checked before they come here."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int = 16
    n: int = 1
    logprobs: int | None = None
    ignore_eos: bool = False

    @property
    def penalised(self) -> bool:
        """Whether earlier tokens change the odds of later ones."""
        return (
            self.repetition_penalty != 1.0
            or self.frequency_penalty != 0.0
            or self.presence_penalty != 0.0
        )


@dataclass(frozen=True)
class TokenLogprob:
    """A chosen token with its log-probability, and the likeliest alternatives, all before temperature."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Delta:
    """More of choice `index`; the last of a choice has `finish`."""

    index: int
    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: Finish | None = None


@dataclass(frozen=True)
class Score:
    """The log-probability of a completion: one figure per token."""

    logprobs: tuple[float, ...]


@dataclass(frozen=True)
class Finished:
    """The end of a request. `scores` only for scoring."""

    prompt_tokens: int
    completion_tokens: int
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The end of a request that could not be served; its neighbours are not affected."""

    code: str
    detail: str


Event = Delta | Finished | Failed
Sink = Callable[[Event], None]


@dataclass(eq=False)
class LoadedAdapter:
    """An adapter that requests may name. `users` requests hold it; its slot is freed when they are gone."""

    name: str
    digest: str
    place: Place
    users: int = 0
    last_used: float = 0.0
    dropped: bool = False
    freed: bool = False


@dataclass(eq=False)
class Request:
    """A generation or, where `completions` is given, a scoring.

    `group` is whom the request counts for in the fair order. `grammar` limits the output (see constraints).
    """

    prompt: list[int]
    sink: Sink
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    adapter: LoadedAdapter | None = None
    group: str = ""
    stream: bool = False
    grammar: str | None = None
    completions: list[list[int]] | None = None
    cancelled: bool = False
    arrived: float = field(default_factory=time.monotonic)

    @property
    def rows(self) -> int:
        """How many decoding rows the request will need."""
        return 0 if self.completions is not None else self.sampling.n
