"""Who is in the next step: continuous batching with joins and leaves at every token.

A step takes every decoding row and fills up with prompt tokens, in chunks so that nobody who is being written
waits long for somebody who is being read. Everything here runs on the engine's one thread. Whatever goes wrong
with one request ends that request alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import EngineError
from .adapters import Place, Slabs
from .attention import KeyValueStore, Segment
from .constraints import Grammars
from .decoder import Decoder, Step
from .fairness import FairQueue
from .requests import Event, Failed, Finished, Request
from .sampling import Chooser, choose
from .sequences import Reading, Scoring, Writing
from .text import Detokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much a step may hold. Prompt tokens per step: fewer while others are being written."""

    rows: int = 32
    chunk_beside_rows: int = 128
    chunk_alone: int = 512


@dataclass
class Tally:
    """What has been done since the start, for the metrics."""

    steps: int = 0
    read: int = 0
    written: int = 0
    finished: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: str) -> None:
        """One more request ended as `outcome`."""
        self.finished[outcome] = self.finished.get(outcome, 0) + 1


@dataclass
class _Plan:
    """Where in a step's logits each participant finds its own."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    segments: list[tuple[Segment, Place | None]] = field(default_factory=list)
    writing: list[Writing] = field(default_factory=list)
    read: list[tuple[Reading, int, int | None]] = field(default_factory=list)
    scored: list[tuple[Scoring, range, int, int]] = field(default_factory=list)

    def want(self, place: int) -> int:
        """Ask for the logits of the token at `place`; returns where they will be."""
        self.wanted.append(place)
        return len(self.wanted) - 1


class Scheduler:
    """The requests in flight and the steps that serve them."""

    def __init__(
        self,
        decoder: Decoder,
        slabs: Slabs,
        detokenizer: Detokenizer,
        grammars: Grammars,
        ends: set[int],
        limits: Limits | None = None,
        on_leave: Callable[[Request], None] | None = None,
    ) -> None:
        """`on_leave` is told of every request that is over, however it ended."""
        self.limits = limits or Limits()
        self.slabs = slabs
        self.tally = Tally()
        self.queue = FairQueue()
        self.store = KeyValueStore(decoder.shape, rows=self.limits.rows, context=decoder.context)
        self._decoder = decoder
        self._detokenizer = detokenizer
        self._grammars = grammars
        self._ends = ends
        self._on_leave = on_leave or (lambda request: None)
        self._reading: list[Reading] = []
        self._scoring: list[Scoring] = []
        self._writing: dict[int, Writing] = {}
        self._open: dict[Request, int] = {}
        self._written: dict[Request, int] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.queue or self._reading or self._scoring or self._writing)

    @property
    def running(self) -> int:
        """How many requests are being served."""
        return len(self._open)

    def add(self, request: Request) -> None:
        """Let a request wait for its turn."""
        self.queue.add(request)

    @torch.inference_mode()
    def step(self) -> None:
        """One pass of the model over everything that is ready."""
        self._drop_cancelled()
        self._start_reading()
        plan = self._plan()
        if not plan.tokens:
            return
        try:
            logits = self._run(plan)
        except Exception as error:
            log.exception("a step failed")
            self._fail_all(plan, EngineError("step_failed", f"{type(error).__name__}: {error}"))
            return
        self.tally.steps += 1
        self._after_writing(plan, logits)
        self._after_scoring(plan, logits)
        self._after_reading(plan, logits)

    @torch.inference_mode()
    def fail_everything(self, error: EngineError) -> None:
        """End every request, waiting or running."""
        for request in self.queue.waiting():
            self.queue.take(request)
            self._finish(request, Failed(error.code, error.detail))
        for request in list(self._open):
            self._end(request, Failed(error.code, error.detail))

    def _drop_cancelled(self) -> None:
        for request in self.queue.waiting():
            if request.cancelled:
                self.queue.take(request)
                self._finish(request, Failed("cancelled", "the client went away"))
        for request in [request for request in self._open if request.cancelled]:
            self._end(request, Failed("cancelled", "the client went away"))

    def _start_reading(self) -> None:
        """Begin with the next prompts while there are rows for their answers and little is left to read."""
        while (request := self.queue.next()) is not None:
            taken = self.store.used + sum(reading.request.rows for reading in self._reading)
            pending = sum(reading.left for reading in self._reading)
            if taken + request.rows > self.limits.rows or pending >= self.limits.chunk_alone:
                return
            self.queue.take(request)
            self._open[request] = max(request.rows, 1)
            self._written[request] = 0
            try:
                self._reading.append(Reading(request, self._decoder.shape))
            except (RuntimeError, MemoryError) as error:
                self._end(request, Failed("out_of_memory", str(error)[:200]))

    def _plan(self) -> _Plan:
        plan = _Plan()
        for writing in self._writing.values():
            self.store.ensure_room(writing.row)
        for row in self.store.order():
            writing = self._writing[id(row)]
            plan.writing.append(writing)
            plan.tokens.append(writing.last)
            plan.positions.append(row.length)
            plan.want(len(plan.tokens) - 1)
        alone = not plan.writing
        budget = self.limits.chunk_alone if alone else self.limits.chunk_beside_rows
        for scoring in self._scoring:
            if budget > 0:
                budget -= self._plan_scoring(plan, scoring, budget)
        for reading in self._reading:
            if budget > 0:
                budget -= self._plan_reading(plan, reading, budget)
        return plan

    def _plan_scoring(self, plan: _Plan, scoring: Scoring, budget: int) -> int:
        segment, tokens, positions, branches = scoring.segment(budget)
        first = len(plan.tokens)
        plan.tokens += tokens
        plan.positions += positions
        start = len(plan.wanted)
        plan.wanted += range(first, first + len(tokens))
        plan.segments.append((segment, _place(scoring.request)))
        plan.scored.append((scoring, branches, start, len(tokens)))
        return len(tokens)

    def _plan_reading(self, plan: _Plan, reading: Reading, budget: int) -> int:
        segment = reading.segment(budget)
        tokens, positions = reading.tokens(segment)
        plan.tokens += tokens
        plan.positions += positions
        plan.segments.append((segment, _place(reading.request)))
        whole = reading.left == segment.tokens
        place = plan.want(len(plan.tokens) - 1) if whole else None
        plan.read.append((reading, segment.tokens, place))
        return segment.tokens

    def _run(self, plan: _Plan) -> torch.Tensor:
        step = Step(
            tokens=torch.tensor(plan.tokens),
            positions=torch.tensor(plan.positions),
            pools=self.store.steps(),
            mix=self.slabs.step([_place(writing.request) for writing in plan.writing]),
            segments=plan.segments,
            wanted=torch.tensor(plan.wanted, dtype=torch.long),
            rows=len(plan.writing),
        )
        return self._decoder.forward(step, self.slabs)

    def _after_writing(self, plan: _Plan, logits: torch.Tensor) -> None:
        for writing in plan.writing:
            writing.row.length += 1
        self._take_tokens(plan.writing, logits[: len(plan.writing)])

    def _after_scoring(self, plan: _Plan, logits: torch.Tensor) -> None:
        for scoring, branches, start, count in plan.scored:
            scoring.take(branches, logits[start : start + count])
            self._finish_scoring(scoring)

    def _after_reading(self, plan: _Plan, logits: torch.Tensor) -> None:
        for reading, count, place in plan.read:
            reading.position += count
            self.tally.read += count
            self.queue.charge(reading.request.group, read=count)
            if place is None:
                continue
            self._reading.remove(reading)
            if reading.request.completions is not None:
                scoring = Scoring(reading, logits[place])
                self._scoring.append(scoring)
                self._finish_scoring(scoring)
            else:
                self._start_writing(reading, logits[place])

    def _finish_scoring(self, scoring: Scoring) -> None:
        if not scoring.done:
            return
        self._scoring.remove(scoring)
        request = scoring.request
        try:
            scores = scoring.scores()
        except EngineError as error:
            self._end(request, Failed(error.code, error.detail))
            return
        count = sum(len(score.logprobs) for score in scores)
        self.queue.charge(request.group, read=count)
        self._end(request, Finished(len(request.prompt), count, scores))

    def _start_writing(self, reading: Reading, logits: torch.Tensor) -> None:
        request, started = reading.request, []
        try:
            for index in range(request.sampling.n):
                matcher = self._grammars.start(request.grammar) if request.grammar else None
                chooser = Chooser.start(request.sampling, index, request.prompt, matcher)
                row = reading.admit(self.store)
                text = self._detokenizer.start()
                writing = Writing(request, index, row, chooser, text, self._ends)
                self._writing[id(row)] = writing
                started.append(writing)
        except Exception as error:
            log.exception("a request could not start")
            self._end(request, Failed("not_started", f"{type(error).__name__}: {error}"))
            return
        self._take_tokens(started, logits.expand(len(started), -1))

    def _take_tokens(self, writings: list[Writing], logits: torch.Tensor) -> None:
        """Choose the next token of each row of logits (rows, vocabulary) and tell whom it concerns."""
        if not writings:
            return
        choices = choose(logits, [writing.chooser for writing in writings])
        for writing, choice in zip(writings, choices, strict=True):
            request = writing.request
            if request not in self._open:
                continue  # another choice of the same request has just failed
            if choice.error is not None:
                self._end(request, Failed(choice.error.code, choice.error.detail))
                continue
            try:
                finish = writing.push(choice.token, choice.logprob)
                delta = writing.delta(finish)
            except EngineError as error:
                self._end(request, Failed(error.code, error.detail))
                continue
            self.tally.written += 1
            self._written[request] += 1
            self.queue.charge(request.group, written=1)
            if delta is not None:
                _tell(request, delta)
            if finish:
                self._leave_row(writing, scrub=False)
                self._open[request] -= 1
                if not self._open[request]:
                    self._end(request, Finished(len(request.prompt), self._written[request]))

    def _leave_row(self, writing: Writing, *, scrub: bool) -> None:
        del self._writing[id(writing.row)]
        self.store.release(writing.row, scrub=scrub)

    def _end(self, request: Request, event: Finished | Failed) -> None:
        """Take a running request out, wherever it is, and tell how it ended."""
        bad = isinstance(event, Failed) and event.code != "cancelled"
        for writing in [own for own in self._writing.values() if own.request is request]:
            self._leave_row(writing, scrub=bad)
        self._reading = [own for own in self._reading if own.request is not request]
        self._scoring = [own for own in self._scoring if own.request is not request]
        del self._open[request], self._written[request]
        self._finish(request, event)

    def _finish(self, request: Request, event: Finished | Failed) -> None:
        self.queue.leave(request)
        self.tally.count(event.code if isinstance(event, Failed) else "finished")
        self._on_leave(request)
        _tell(request, event)

    def _fail_all(self, plan: _Plan, error: EngineError) -> None:
        """A step that failed took its participants with it; those who only wait are served on."""
        participants: list[Any] = [
            *plan.writing,
            *(scoring for scoring, *_ in plan.scored),
            *(reading for reading, *_ in plan.read),
        ]
        for request in {own.request for own in participants}:
            if request in self._open:
                self._end(request, Failed(error.code, error.detail))


def _place(request: Request) -> Place | None:
    return request.adapter.place if request.adapter else None


def _tell(request: Request, event: Event) -> None:
    try:
        request.sink(event)
    except Exception:
        log.exception("a request's sink failed")
