"""AdamW and SGD over one flat vector, clipping, and the learning rate of every step."""

from __future__ import annotations

import math

import torch

from .weights import FlatWeights

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_MOMENTUM = 0.9


class Optimizer:
    """What both optimizers share. `state` holds the tensors that resuming needs, by name."""

    def __init__(self, weights: FlatWeights, weight_decay: float) -> None:
        self.weights = weights
        self.weight_decay = weight_decay
        self.updates = 0
        self.state: dict[str, torch.Tensor] = {}

    def step(self, learning_rate: float) -> None:
        """Move the masters by one step along `weights.grad`, then refresh the working copy."""
        self.updates += 1
        if self.weight_decay:
            # Decoupled: the decay does not pass through the moments. Norms and biases are left alone.
            for start, end in self.weights.decaying():
                self.weights.master[start:end].mul_(1.0 - learning_rate * self.weight_decay)
        self._move(learning_rate)
        self.weights.refresh()

    def _move(self, learning_rate: float) -> None:
        raise NotImplementedError


class AdamW(Optimizer):
    """Adam with decoupled weight decay; moments in fp32."""

    def __init__(self, weights: FlatWeights, weight_decay: float) -> None:
        super().__init__(weights, weight_decay)
        self.state["mean"] = torch.zeros_like(weights.master)
        self.state["square"] = torch.zeros_like(weights.master)

    def _move(self, learning_rate: float) -> None:
        first, second = _BETAS
        grad, mean, square = self.weights.grad, self.state["mean"], self.state["square"]
        mean.lerp_(grad, 1.0 - first)
        square.mul_(second).addcmul_(grad, grad, value=1.0 - second)
        unbias_mean = 1.0 - first**self.updates
        unbias_square = 1.0 - second**self.updates
        divisor = square.sqrt().div_(math.sqrt(unbias_square)).add_(_EPSILON)
        self.weights.master.addcdiv_(mean, divisor, value=-learning_rate / unbias_mean)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum 0.9."""

    def __init__(self, weights: FlatWeights, weight_decay: float) -> None:
        super().__init__(weights, weight_decay)
        self.state["momentum"] = torch.zeros_like(weights.master)

    def _move(self, learning_rate: float) -> None:
        momentum = self.state["momentum"].mul_(_MOMENTUM).add_(self.weights.grad)
        self.weights.master.add_(momentum, alpha=-learning_rate)


def make_optimizer(name: str, weights: FlatWeights, weight_decay: float) -> Optimizer:
    """The optimizer of that name ("adamw" or "sgd")."""
    return {"adamw": AdamW, "sgd": SGD}[name](weights, weight_decay)


def clip(weights: FlatWeights, most: float) -> float:
    """Scale the gradient down to length `most` (0: leave it) and return its length before."""
    length = float(torch.linalg.vector_norm(weights.grad))
    if most and length > most:
        weights.grad.mul_(most / (length + 1e-6))
    return length


def warmup_steps(warmup: float, steps: int) -> int:
    """Below 1 `warmup` is a share of all steps, otherwise a number of steps."""
    return min(steps, round(warmup * steps) if warmup < 1 else int(warmup))


def learning_rate_at(step: int, *, peak: float, steps: int, warmup: int, schedule: str) -> float:
    """The learning rate of step 0, 1, ...: a linear rise, then the schedule down to a tenth or to nothing."""
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    share = (step - warmup) / max(1, steps - warmup)
    if schedule == "linear":
        return peak * (1.0 - share)
    return peak * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * share)))
