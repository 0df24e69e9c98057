"""Cross-entropy at the learned positions alone, a block of positions at a time, with its gradient at once.

The vocabulary is the widest dimension of the model: scoring positions that teach nothing, or keeping all scores for
a later backward pass, is what makes other trainers slow and hungry.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_BLOCK = 256


@dataclass
class Sums:
    """Loss (nats, summed), learned tokens, and how many of them were the most likely token."""

    loss: float = 0.0
    tokens: int = 0
    correct: int = 0

    def add(self, other: Sums) -> None:
        self.loss += other.loss
        self.tokens += other.tokens
        self.correct += other.correct

    @property
    def mean_loss(self) -> float:
        return self.loss / max(1, self.tokens)

    @property
    def accuracy(self) -> float:
        return self.correct / max(1, self.tokens)


def score(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> Sums:
    """Loss and accuracy of `hidden` (n, width) against `targets` (n,) under `head` (words, width)."""
    sums = Sums()
    for start in range(0, len(targets), _BLOCK):
        block = targets[start : start + _BLOCK]
        logits = torch.mm(hidden[start : start + _BLOCK], head.t()).float()
        picked = logits.gather(1, block[:, None])[:, 0]
        sums.loss += float((logits.logsumexp(-1) - picked).sum(dtype=torch.float64))
        sums.correct += int((logits.argmax(-1) == block).sum())
        sums.tokens += len(block)
    return sums


def score_with_gradient(
    hidden: torch.Tensor,
    head: torch.Tensor,
    targets: torch.Tensor,
    *,
    scale: float,
    smoothing: float,
    head_grad: torch.Tensor | None = None,
) -> tuple[Sums, torch.Tensor]:
    """Loss and the gradient of `scale` * (summed, smoothed loss) with respect to `hidden` (n, width).

    `head_grad` (words, width), where given, takes the gradient of the head added to what it holds. The loss
    that is reported is the plain one, without smoothing, so that it compares with validation.
    """
    sums = Sums(tokens=len(targets))
    gradient = torch.empty_like(hidden)
    losses = torch.zeros((), dtype=torch.float64, device=hidden.device)
    correct = torch.zeros((), dtype=torch.long, device=hidden.device)
    for start in range(0, len(targets), _BLOCK):
        block = targets[start : start + _BLOCK, None]
        inputs = hidden[start : start + _BLOCK]
        logits = torch.mm(inputs, head.t())
        highest = logits.max(-1, keepdim=True)
        share = logits.softmax(-1)
        # The most likely word's share gives the normaliser back without a second pass over all words.
        log_total = highest.values.float() - share.gather(1, highest.indices).float().log()
        losses += (log_total - logits.gather(1, block).float()).sum(dtype=torch.float64)
        correct += (highest.indices == block).sum()
        if smoothing:
            share.sub_(smoothing / share.shape[1])
        rows = torch.arange(len(block), device=hidden.device)
        share[rows, block[:, 0]] -= 1.0 - smoothing
        torch.mm(share, head, out=gradient[start : start + _BLOCK])
        if head_grad is not None:
            head_grad.addmm_(share.t().to(head_grad.dtype), inputs.to(head_grad.dtype), alpha=scale)
    sums.loss, sums.correct = float(losses), int(correct)
    return sums, gradient.mul_(scale)
