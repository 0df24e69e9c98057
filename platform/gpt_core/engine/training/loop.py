"""The training loop: readable from top to bottom, the same for every learner."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..bases import Base, load_model, load_tokenizer, open_base
from ..errors import EngineError
from ..files import dump_json
from .auto import Settings, choose_settings, longest_allowed
from .batches import StepPlan, cut_into_passes, seed_of, share_of_worker
from .board import Board
from .events import EventLog
from .learner import Learner
from .lora import LoraShape
from .loss import Sums
from .optimizers import clip, learning_rate_at, make_optimizer, warmup_steps
from .rows import Example, Rows, load_rows
from .spec import Spec
from .state import Progress, StateFolder, expose_best
from .workers import Workers

# At most this many `train` events, so that a long job's curve stays light.
_CURVE_POINTS = 2000


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    finished: bool
    progress: Progress


class Trainer:
    """One attempt at a job. Everything that decides the result is in the spec, the rows and the state."""

    def __init__(
        self,
        job: Path,
        spec: Spec,
        events: EventLog | None,
        workers: Workers,
        should_stop: Callable[[], bool],
    ) -> None:
        self.job, self.spec, self.workers = job, spec, workers
        self._events = events
        self._should_stop = should_stop
        self._device_kind = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = (
            torch.device(self._device_kind, workers.local_rank)
            if (self._device_kind == "cuda")
            else torch.device("cpu")
        )
        self._last_save = time.monotonic()
        self._board: Board | None = None

    def run(self) -> Outcome:
        """Train until done, stopped early, or told to stop."""
        self._prepare()
        try:
            while not self._is_done():
                if self.workers.any(self._should_stop(), self.device):
                    self._save()
                    self._expose()
                    self._emit("stopped", step=self.progress.step)
                    return Outcome(False, self.progress)
                self._take_step()
            self._finish()
            return Outcome(True, self.progress)
        finally:
            if self._board is not None:
                self._board.close()

    def _prepare(self) -> None:
        """Rows, state, settings, model, optimizer."""
        spec = self.spec
        self.workers.join(self._device_kind)
        base = open_base(spec.base)
        tokenizer = load_tokenizer(base)
        most = longest_allowed(spec, base, self._device_kind)
        self.train = load_rows(self.job / "train.jsonl", tokenizer, max_length=most)
        self.validation = load_rows(self.job / "validation.jsonl", tokenizer, max_length=most)
        if not len(self.train):
            raise EngineError("no_training_rows", "train.jsonl holds no row")
        self.state = StateFolder(self.job / "state", self._identity(base))
        found = self.state.load(lambda code, detail: self._log("warning", code, detail=detail))
        if found is None:
            settings, reasons = choose_settings(
                spec, base, self.train, self.validation, device=self._device_kind
            )
            self.progress = Progress(settings=settings.as_dict(), reasons=reasons)
        else:
            self.progress = found[0]
            settings = Settings(**self.progress.settings)
        self.settings = settings
        if settings.device == "cpu":
            # The order of additions follows the number of threads, and with it the last bit.
            torch.set_num_threads(settings.threads)
        self.plan = StepPlan(len(self.train), settings.rows_per_step, settings.epochs, spec.seed)
        self.learner = make_learner(base, settings, self.device, spec.seed)
        weights = self.learner.weights
        self.optimizer = make_optimizer(settings.optimizer, weights, settings.weight_decay)
        if found is not None:
            self._restore(found[1])
        self._announce()

    def _identity(self, base: Base) -> str:
        document = self.spec.identity() | {
            "base": base.digest,
            "train": self.train.digest,
            "validation": self.validation.digest,
        }
        return hashlib.sha256(dump_json(document)).hexdigest()

    def _restore(self, tensors: dict[str, torch.Tensor]) -> None:
        weights = self.learner.weights
        weights.master.copy_(tensors["master"])
        weights.refresh()
        self.learner.refresh()
        for name, tensor in self.optimizer.state.items():
            tensor.copy_(tensors[f"optimizer.{name}"])
        self.optimizer.updates = self.progress.updates

    def _announce(self) -> None:
        self._emit("started", resumed_from_step=self.progress.step)
        chosen = self.settings.as_dict() | {"steps": self.plan.steps}
        self._emit("parameters", chosen=chosen, reasons=self.progress.reasons)
        truncated = self.train.truncated + self.validation.truncated
        if truncated:
            self._log("warning", "rows_truncated", rows=truncated)
        if not len(self.validation):
            self._log("warning", "no_validation_rows")
        if self.workers.leads:
            self._board = Board(self.job / "tensorboard", self.progress.step)

    def _is_done(self) -> bool:
        return self.progress.stopped_early or self.progress.step >= self.plan.steps

    def _take_step(self) -> None:
        """One optimizer step, and what is due after it."""
        started = time.monotonic()
        settings, progress = self.settings, self.progress
        step = progress.step
        rows = [self.train.examples[number] for number in self.plan.rows_of(step)]
        learned = sum(example.learned for example in rows)
        sums = self._accumulate(rows, learned, step)
        length = clip(self.learner.weights, settings.max_grad_norm)
        if not (length < float("inf") and sums.loss < float("inf")):
            raise EngineError(
                "diverged", f"loss {sums.mean_loss}, gradient {length} at step {step + 1}"
            )
        rate = learning_rate_at(
            step,
            peak=settings.learning_rate,
            steps=self.plan.steps,
            warmup=warmup_steps(settings.warmup, self.plan.steps),
            schedule=settings.schedule,
        )
        self.optimizer.step(rate)
        self.learner.refresh()
        progress.step += 1
        progress.updates = self.optimizer.updates
        progress.trained_tokens += learned
        progress.tokens += sum(len(example) for example in rows)
        progress.seconds += time.monotonic() - started
        self._report_step(sums, rate, length)
        self._validate_or_save()

    def _accumulate(self, rows: Sequence[Example], learned: int, step: int) -> Sums:
        """The gradient of the mean loss over a step's learned tokens, summed over passes and processes."""
        settings, workers = self.settings, self.workers
        weights = self.learner.weights
        weights.grad.zero_()
        sums = Sums()
        own = share_of_worker(rows, workers.rank, workers.count)
        passes = cut_into_passes(
            own, most_rows=settings.batch_size, most_tokens=settings.pass_tokens
        )
        for number, examples in enumerate(passes):
            seed = seed_of("dropout", self.spec.seed, step, number, workers.rank)
            sums.add(
                self.learner.accumulate(
                    examples, scale=1.0 / learned, smoothing=settings.label_smoothing, seed=seed
                )
            )
        workers.add_up(weights.grad)
        return self._sum_over_workers(sums)

    def _validate_or_save(self) -> None:
        progress, settings = self.progress, self.settings
        due = progress.step % settings.validation_every == 0 or progress.step >= self.plan.steps
        if due and len(self.validation):
            self._validate()
            self._save()
        elif time.monotonic() - self._last_save >= self.spec.checkpoint_every_seconds:
            self._save()

    def _validate(self) -> None:
        """Loss on the validation rows; keep the weights if they are the best; count towards early stopping."""
        progress = self.progress
        sums = self._evaluate(self.validation)
        self._keep_step()
        best = progress.best_loss is None or sums.mean_loss < progress.best_loss
        if best:
            progress.best_loss, progress.best_step = sums.mean_loss, progress.step
            progress.validations_without_gain = 0
            self._keep_best()
        else:
            progress.validations_without_gain += 1
        patience = self.settings.patience
        progress.stopped_early = bool(patience) and progress.validations_without_gain >= patience
        self._emit(
            "validation",
            step=progress.step,
            loss=sums.mean_loss,
            token_accuracy=sums.accuracy,
            best=best,
        )
        self._show(validation__loss=sums.mean_loss, validation__token_accuracy=sums.accuracy)

    def _evaluate(self, rows: Rows) -> Sums:
        settings, workers = self.settings, self.workers
        own = share_of_worker(rows.examples, workers.rank, workers.count)
        sums = Sums()
        for examples in cut_into_passes(
            own, most_rows=len(own) or 1, most_tokens=settings.pass_tokens
        ):
            sums.add(self.learner.evaluate(examples))
        return self._sum_over_workers(sums)

    def _sum_over_workers(self, sums: Sums) -> Sums:
        if self.workers.count == 1:
            return sums
        figures = torch.tensor(
            [sums.loss, sums.tokens, sums.correct], dtype=torch.float64, device=self.device
        )
        loss, tokens, correct = self.workers.add_up(figures).tolist()
        return Sums(loss, int(tokens), int(correct))

    def _keep_best(self) -> None:
        if self.workers.leads:
            self.state.save_best(self.progress.step, self.learner.write)
        self.workers.wait()

    def _keep_step(self) -> None:
        """An adapter of every validation, the last few of them: small, and an answer can be asked of it."""
        if self.workers.leads and self.settings.method != "full":
            self.state.keep(self.progress.step, self.learner.write)
        self.workers.wait()

    def _save(self) -> None:
        """Resume state, whole or not at all."""
        if self.workers.leads:
            tensors = {"master": self.learner.weights.master}
            tensors |= {f"optimizer.{name}": t for name, t in self.optimizer.state.items()}
            folder = self.state.save(self.progress, tensors)
            best = self.progress.best_step == self.progress.step
            self._emit(
                "saved",
                step=self.progress.step,
                folder=str(folder.relative_to(self.job)),
                best=best,
            )
        self.workers.wait()
        self._last_save = time.monotonic()

    def _finish(self) -> None:
        progress = self.progress
        if progress.best_step is None:
            # Without validation rows the last weights are the result.
            progress.best_step = progress.step
            self._keep_best()
            self._save()
        self._expose()
        self._emit(
            "finished",
            best_step=progress.best_step,
            best_loss=progress.best_loss,
            steps=progress.step,
            trained_tokens=progress.trained_tokens,
            tokens=progress.tokens,
            stopped_early=progress.stopped_early,
            seconds=round(progress.seconds, 3),
            result="best/",
            kept=[step for step in self.state.kept() if step <= progress.step],
        )

    def _expose(self) -> None:
        """Put the best weights so far where the supervisor looks for them."""
        if self.workers.leads and self.progress.best_step is not None:
            expose_best(self.state.best(self.progress.best_step), self.job / "best")
        self.workers.wait()

    def _report_step(self, sums: Sums, rate: float, length: float) -> None:
        progress, steps = self.progress, self.plan.steps
        every = max(1, steps // _CURVE_POINTS)
        if progress.step % every and progress.step != steps:
            return
        per_second = progress.tokens / max(progress.seconds, 1e-9)
        left = (steps - progress.step) * progress.seconds / max(progress.step, 1)
        self._emit(
            "train",
            step=progress.step,
            loss=sums.mean_loss,
            learning_rate=rate,
            grad_norm=length,
            token_accuracy=sums.accuracy,
        )
        self._emit(
            "progress",
            step=progress.step,
            steps=steps,
            tokens=progress.tokens,
            tokens_per_second=round(per_second, 1),
            eta_seconds=round(left, 1),
        )
        self._show(
            train__loss=sums.mean_loss,
            train__token_accuracy=sums.accuracy,
            train__learning_rate=rate,
            train__grad_norm=length,
            train__tokens_per_second=per_second,
        )

    def _show(self, **scalars: float) -> None:
        if self._board is not None:
            self._board.show(self.progress.step, **scalars)

    def _log(self, level: str, code: str, **figures: object) -> None:
        self._emit("log", level=level, code=code, **figures)

    def _emit(self, kind: str, **figures: object) -> None:
        if self._events is not None:
            self._events.emit(kind, **figures)


def make_learner(base: Base, settings: Settings, device: torch.device, seed: int) -> Learner:
    """The packed decoder where it computes this model exactly, the padded one otherwise."""
    from .packed import PackedLearner, can_pack
    from .padded import PaddedLearner

    dtype = getattr(torch, settings.precision)
    model = load_model(base, dtype)
    if settings.method == "full":
        return PaddedLearner(model, base, None, dtype=dtype, device=device, seed=seed)
    lora = LoraShape(
        settings.rank, float(settings.alpha), settings.method == "rslora", settings.dropout
    )
    kind = PackedLearner if can_pack(model, settings.max_length) else PaddedLearner
    return kind(model, base, lora, dtype=dtype, device=device, seed=seed)
