"""Which label a model would choose: the likeliest of those that training has seen.

A row carries a label task where its answer is its labels. The candidates are the answers of such
training rows, so that two labels together are a candidate if they ever stood together. Each is
scored by the log-probability of its tokens and of the end of the turn: without the end, "refund"
could never lose against "refund, invoice".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..formats import RowEncoder, reference_of
from .bootstrap import MacroF1
from .likelihood import TOKENS_PER_PASS
from .mixture import Mixture

#: With more than this the labels are no closed set any more, but text.
MOST_CANDIDATES = 256

Label = tuple[str, ...]


def label_of(row: Mapping[str, Any]) -> Label | None:
    """The labels of a row that is taught to answer with them, else None."""
    labels = tuple(row.get("labels") or ())
    if labels and reference_of(row).strip() == ", ".join(labels):
        return labels
    return None


def candidates_of(train_rows: Iterable[Mapping[str, Any]]) -> list[Label]:
    """The closed set: every answer of labels that training has seen, in a fixed order."""
    return sorted({label for row in train_rows if (label := label_of(row)) is not None})


class LabelScorer:
    """Scores a closed set of labels, the prompt computed once for all of them.

    The candidates lie behind the prompt in one sequence, each seeing the prompt and itself alone
    (a block mask), each counted from the prompt's end (position ids): one forward pass a row
    instead of one a label, with the same figures.
    """

    def __init__(self, encoder: RowEncoder, candidates: Sequence[Label]) -> None:
        self._encoder = encoder
        self.candidates = list(candidates)
        self._tokens: dict[str, list[list[int]]] = {}

    @torch.inference_mode()
    def predict(
        self,
        mixture: Mixture,
        owner: str | None,
        rows: Sequence[Mapping[str, Any]],
        *,
        on_tokens: Callable[[int], None] = lambda _: None,
    ) -> list[Label]:
        """The likeliest candidate for every row."""
        chosen = []
        for row in rows:
            scores = self.scores(mixture, owner, row)
            chosen.append(self.candidates[max(range(len(scores)), key=scores.__getitem__)])
            on_tokens(self.cost(row))
        return chosen

    def scores(self, mixture: Mixture, owner: str | None, row: Mapping[str, Any]) -> list[float]:
        """The log-probability of every candidate, its end included."""
        candidates = self._candidate_tokens(row)
        context = int(getattr(mixture.model.config, "max_position_embeddings", 1 << 20))
        longest = max(len(tokens) for tokens in candidates)
        # Too long a prompt loses its beginning, as in generation.
        prompt = self._encoder.prompt(row)[-max(1, context - longest) :]
        found: list[float] = []
        for group in _groups(candidates, TOKENS_PER_PASS - len(prompt)):
            found += _score_group(mixture, owner, prompt, group)
        return found

    def cost(self, row: Mapping[str, Any]) -> int:
        """Tokens of the forward pass of a row, near enough for an estimate of time."""
        return len(self._encoder.prompt(row)) + sum(
            len(tokens) for tokens in self._candidate_tokens(row)
        )

    def _candidate_tokens(self, row: Mapping[str, Any]) -> list[list[int]]:
        """The learned tokens of every candidate as the answer of a row of this kind; the tokens
        of an answer do not depend on the prompt (`formats` reads pieces one by one)."""
        kind = "messages" if "messages" in row else "prompt" if "prompt" in row else "text"
        if kind not in self._tokens:
            self._tokens[kind] = [
                self._learned(_answered(kind, label)) for label in self.candidates
            ]
        return self._tokens[kind]

    def _learned(self, row: Mapping[str, Any]) -> list[int]:
        encoded = self._encoder.encode(row, max_length=1 << 30)
        return [id_ for id_, learned in zip(encoded.ids, encoded.mask, strict=True) if learned]


def macro_f1(truths: Sequence[Label | None], predictions: Sequence[Label | None]) -> MacroF1:
    """The statistic over all rows; a row without labels counts nothing."""
    names = sorted({name for label in (*truths, *predictions) if label for name in label})
    column = {name: number for number, name in enumerate(names)}
    truth = np.zeros((len(truths), len(names)))
    prediction = np.zeros_like(truth)
    for row, (true, predicted) in enumerate(zip(truths, predictions, strict=True)):
        if true is not None and predicted is not None:
            truth[row, [column[name] for name in true]] = 1.0
            prediction[row, [column[name] for name in predicted]] = 1.0
    counts = np.array([float(true is not None) for true in truths])
    return MacroF1(truth * prediction, np.abs(truth - prediction), counts)


def _answered(kind: str, label: Label) -> dict[str, Any]:
    answer = ", ".join(label)
    if kind == "messages":
        question = {"role": "user", "content": "?"}
        return {"messages": [question, {"role": "assistant", "content": answer}]}
    if kind == "prompt":
        return {"prompt": "?", "completion": answer}
    return {"text": "?", "labels": list(label)}


def _groups(candidates: Sequence[list[int]], room: int) -> Iterator[list[list[int]]]:
    """Candidates in groups of at most `room` tokens (or one candidate)."""
    group: list[list[int]] = []
    size = 0
    for tokens in candidates:
        if group and size + len(tokens) > room:
            yield group
            group, size = [], 0
        group.append(tokens)
        size += len(tokens)
    if group:
        yield group


def _score_group(
    mixture: Mixture, owner: str | None, prompt: Sequence[int], group: Sequence[Sequence[int]]
) -> list[float]:
    start = len(prompt)
    ids = [*prompt, *(token for tokens in group for token in tokens)]
    # Block 0 is the prompt, block k the k-th candidate.
    blocks = [0] * start + [number for number, tokens in enumerate(group, start=1) for _ in tokens]
    positions = [*range(start), *(start + at for tokens in group for at in range(len(tokens)))]
    block = torch.tensor(blocks, device=mixture.device)
    causal = torch.ones(len(ids), len(ids), dtype=torch.bool, device=mixture.device).tril_()
    visible = causal & ((block[:, None] == block[None, :]) | (block == 0)[None, :])
    mixture.choose([owner])
    logits = mixture.model(
        input_ids=torch.tensor([ids], device=mixture.device),
        attention_mask=visible[None, None],
        position_ids=torch.tensor([positions], device=mixture.device),
        use_cache=False,
        logits_to_keep=torch.arange(start - 1, len(ids), device=mixture.device),
    ).logits[0]
    logprobs = torch.log_softmax(logits.float(), dim=-1)  # row 0 is behind the prompt
    found = []
    at = 1
    for tokens in group:
        # A candidate's first token is foretold by the prompt's last, the others by their
        # neighbours.
        foretelling = [0, *range(at, at + len(tokens) - 1)]
        found.append(float(logprobs[foretelling, list(tokens)].double().sum()))
        at += len(tokens)
    return found
