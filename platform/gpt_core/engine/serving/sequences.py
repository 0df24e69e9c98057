"""Requests on their way through the engine: being read, being written, being scored."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import EngineError
from .attention import KeyValueStore, Row, Scratch, Segment, Shape, branch_mask, causal_mask
from .requests import Delta, Finish, Request, Score, TokenLogprob
from .sampling import Chooser
from .text import StopStrings, TokenText


class Writing:
    """One choice of a request that is being written, token by token."""

    def __init__(
        self,
        request: Request,
        index: int,
        row: Row,
        chooser: Chooser,
        text: TokenText,
        ends: set[int],
    ) -> None:
        self.request = request
        self.index = index
        self.row = row
        self.chooser = chooser
        self.tokens: list[int] = []
        self._ends = ends
        self._text = text
        self._stop = StopStrings(request.sampling.stop)
        self._unsent: list[int] = []
        self._unsent_logprobs: list[TokenLogprob] = []
        self._unsent_text = ""

    @property
    def last(self) -> int:
        """The token to feed next."""
        return self.tokens[-1]

    def push(self, token: int, logprob: TokenLogprob | None) -> Finish | None:
        """Take a chosen token in; returns why the choice is finished, if it is."""
        self.tokens.append(token)
        self._unsent.append(token)
        if logprob is not None:
            self._unsent_logprobs.append(logprob)
        self.chooser.took(token)
        ended = token in self._ends and not self.request.sampling.ignore_eos
        if not ended:
            shown, stopped = self._stop.push(self._text.push(token))
            self._unsent_text += shown
            if stopped:
                return "stop"
        matcher = self.chooser.matcher
        finish: Finish | None = None
        if ended or (matcher is not None and matcher.complete):
            finish = "stop"
        elif len(self.tokens) >= self.request.sampling.max_tokens:
            finish = "length"
        if finish:
            tail, stopped = self._stop.push(self._text.finish())
            self._unsent_text += tail if stopped else tail + self._stop.finish()
            finish = "stop" if stopped else finish
        return finish

    def delta(self, finish: Finish | None) -> Delta | None:
        """What is new since the last delta; None while there is nothing to tell."""
        if finish is None and (not self.request.stream or not self._unsent_text):
            return None
        delta = Delta(
            self.index,
            self._unsent_text,
            tuple(self._unsent),
            tuple(self._unsent_logprobs),
            finish,
        )
        self._unsent, self._unsent_logprobs, self._unsent_text = [], [], ""
        return delta


class Reading:
    """A prompt that is being read into a scratch, a chunk per step."""

    def __init__(self, request: Request, shape: Shape) -> None:
        self.request = request
        self.position = 0
        self._shape = shape
        branches = request.completions or []
        self.scratch = Scratch(shape, len(request.prompt) + sum(map(len, branches)))

    @property
    def left(self) -> int:
        """How many tokens are still to be read."""
        return len(self.request.prompt) - self.position

    def segment(self, budget: int) -> Segment:
        """The next tokens, at most `budget`."""
        count = min(self.left, budget)
        mask = causal_mask(count, self.position, self._shape.dtype)
        return Segment(self.scratch, self.position, count, mask)

    def tokens(self, segment: Segment) -> tuple[list[int], list[int]]:
        """(tokens, positions) of a segment."""
        span = range(segment.start, segment.start + segment.tokens)
        return [self.request.prompt[place] for place in span], list(span)

    def admit(self, store: KeyValueStore) -> Row:
        """A decoding row that continues this prompt."""
        return store.admit(self.scratch, len(self.request.prompt))


class Scoring:
    """The completions of a scoring request, read as branches that all continue one prompt.

    The prompt's last logits give the first token of each; the branches are read without their last tokens,
    which predict nothing that is asked for.
    """

    def __init__(self, reading: Reading, last_logits: Tensor) -> None:
        self.request = reading.request
        self._scratch = reading.scratch
        self._shape = reading.scratch.shape
        self._branches = self.request.completions or []
        self._next = 0
        self._scores: list[list[float]] = []
        first = torch.log_softmax(last_logits.float(), dim=-1)
        for branch in self._branches:
            self._scores.append([float(first[branch[0]])] if branch else [])
        self._skip_short()

    @property
    def done(self) -> bool:
        """Whether every branch has been read."""
        return self._next >= len(self._branches)

    def segment(self, budget: int) -> tuple[Segment, list[int], list[int], range]:
        """(segment, tokens, positions, which branches): as many branches as the budget allows, at least one."""
        first, last, total = self._next, self._next, 0
        while last < len(self._branches):
            size = max(len(self._branches[last]) - 1, 0)
            if total and total + size > budget:
                break
            total += size
            last += 1
        start = len(self.request.prompt)
        chosen = [branch[:-1] for branch in self._branches[first:last]]
        mask = branch_mask([len(branch) for branch in chosen], start, self._shape.dtype)
        tokens = [token for branch in chosen for token in branch]
        positions = [start + place for branch in chosen for place in range(len(branch))]
        return Segment(self._scratch, start, total, mask), tokens, positions, range(first, last)

    def take(self, branches: range, logits: Tensor) -> None:
        """Logits (tokens of the segment, vocabulary) of the branches read in a step."""
        position = 0
        for index in branches:
            targets = self._branches[index][1:]
            if targets:
                own = logits[position : position + len(targets)].float()
                logprobs = torch.log_softmax(own, dim=-1)
                picked = logprobs.gather(1, torch.tensor(targets)[:, None])
                self._scores[index] += picked[:, 0].tolist()
            position += len(targets)
        self._next = branches.stop
        self._skip_short()

    def scores(self) -> tuple[Score, ...]:
        """One score per completion, in the order asked. Raises EngineError("not_finite")."""
        scores = tuple(Score(tuple(own)) for own in self._scores)
        if any(figure != figure for score in scores for figure in score.logprobs):
            raise EngineError("not_finite", "logits are not finite")
        return scores

    def _skip_short(self) -> None:
        """Branches of one token need no reading."""
        while not self.done and len(self._branches[self._next]) <= 1:
            self._next += 1
