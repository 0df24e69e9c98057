"""How large a training is, and how long it takes, before it has begun: told by what jobs took so far.

A guess by letters is put right by the jobs that came before: what they read against what had been guessed
for them, and how long that took on this machine. Where nothing was measured yet, no time is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Avg, F

from labeling.models import DatasetVersion, Split
from tenancy import quotas
from tenancy.models import Tenant
from tenancy.scope import current_tenant_id, system_scope

from . import auto_rules
from .models import BaseModel, Evaluation, Export, FineTuningJob, State, Supervised

RECENT = 20
SAMPLE_ROWS = 200
# Letters to a token: about four of English, less than one where a letter takes three bytes.
_LATIN, _OTHER = 0.25, 1.5
TURN_TOKENS = 5


@dataclass(frozen=True)
class Paces:
    """What was measured lately: seconds per guessed token of each base, seconds of what is short."""

    training: Mapping[UUID, float]
    short: Mapping[type[Supervised], float]

    def seconds_of(self, row: Supervised) -> float | None:
        """How long the whole job takes; None where nothing like it was measured."""
        if not isinstance(row, FineTuningJob):
            return self.short.get(type(row))
        pace = self.training.get(row.base_model_id)
        if pace is None or row.estimated_tokens is None:
            return None
        return pace * row.estimated_tokens


@dataclass(frozen=True)
class TrainingEstimate:
    """What a training will take: tokens read, seconds of work, and what is left of the month's quota."""

    tokens: int
    guessed_tokens: int
    seconds: float | None
    limit: int
    used: int
    pending: int

    @property
    def allowed(self) -> bool:
        return self.used + self.pending + self.tokens <= self.limit

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used - self.pending)


def paces() -> Paces:
    """Needs a system scope: the machine is everybody's, and its speed tells of nobody."""
    seconds: dict[UUID, float] = {}
    tokens: dict[UUID, int] = {}
    for base, guessed, _trained, worked in _recent_trainings():
        seconds[base] = seconds.get(base, 0.0) + worked
        tokens[base] = tokens.get(base, 0) + guessed
    short = {kind: _mean_seconds(kind) for kind in (Evaluation, Export)}
    return Paces(
        {base: seconds[base] / tokens[base] for base in seconds if seconds[base]},
        {kind: mean for kind, mean in short.items() if mean},
    )


def estimate_training(
    *, dataset_version: DatasetVersion, base_model: BaseModel, hyperparameters: Mapping[str, Any]
) -> TrainingEstimate:
    """For the tenant in scope, a job that does not exist yet. Reads a sample of the rows."""
    return expect_training(guess_tokens(dataset_version, base_model, hyperparameters), base_model)


def expect_training(guessed: int, base_model: BaseModel) -> TrainingEstimate:
    """What a guess by letters comes to, for the tenant in scope."""
    with system_scope("what trainings took lately"):
        correction = _correction(base_model.pk)
        pace = paces().training.get(base_model.pk)
    limits, _of_key = quotas.limits_of()
    return TrainingEstimate(
        tokens=round(guessed * correction),
        guessed_tokens=guessed,
        seconds=None if pace is None else pace * guessed,
        limit=limits.training_tokens_per_month or 0,
        used=quotas.training_tokens_used(),
        pending=pending_tokens(),
    )


def require_room_in_month(estimate: TrainingEstimate, *, besides: UUID | None = None) -> None:
    """Raises QuotaError where the month has no room for so much. Call it in the transaction that writes
    the job; where the job is there already, name it, so that it does not stand in its own way.
    """
    # One at a time of a tenant, so that two cannot both take what is left of the month.
    Tenant.objects.select_for_update().get(pk=current_tenant_id())
    quotas.require_training_tokens(estimate.tokens, pending=pending_tokens(besides=besides))


def pending_tokens(*, besides: UUID | None = None) -> int:
    """What the unfinished jobs of the tenant in scope, or those but one, will probably still read."""
    pending = 0.0
    corrections: dict[UUID, float] = {}
    jobs = FineTuningJob.objects.open().exclude(estimated_tokens=None).exclude(pk=besides)
    for base, guessed, trained in jobs.values_list(
        "base_model_id", "estimated_tokens", "trained_tokens"
    ):
        if base not in corrections:
            with system_scope("what trainings took lately"):
                corrections[base] = _correction(base)
        pending += max(0.0, guessed * corrections[base] - trained)
    return round(pending)


def guess_tokens(
    version: DatasetVersion, base: BaseModel, hyperparameters: Mapping[str, Any]
) -> int:
    """Tokens that a training reads, all epochs together, by the letters of some rows."""
    rows = version.rows.filter(split=Split.TRAIN)
    count = int(version.counts.get(Split.TRAIN, 0)) or rows.count()
    stride = max(1, count // SAMPLE_ROWS)
    some = rows.annotate(place=F("position") % stride).filter(place=0).order_by("position")
    longest = hyperparameters.get("max_length", "auto")
    most = base.context if longest == "auto" else int(longest)
    sample = [
        min(most, tokens_of_row(payload))
        for payload in some.values_list("payload", flat=True)[:SAMPLE_ROWS]
    ]
    if not sample:
        return 0
    tokens = sum(sample) / len(sample) * count
    epochs = hyperparameters.get("epochs", "auto")
    return round(tokens * (auto_rules.epochs(tokens) if epochs == "auto" else float(epochs)))


def tokens_of_text(text: str) -> float:
    """A guess by the letters; the jobs that came before put it right."""
    latin = sum(letter < "\u0250" for letter in text)
    return latin * _LATIN + (len(text) - latin) * _OTHER


def tokens_of_row(payload: Mapping[str, Any]) -> int:
    """The same of a row as it is learned from, with its passages."""
    if "messages" in payload:
        turns = [str(message.get("content", "")) for message in payload["messages"]]
    else:
        turns = [str(payload.get(name, "")) for name in ("prompt", "completion", "text")]
    turns += [json.dumps(one, ensure_ascii=False) for one in payload.get("passages", [])]
    return round(tokens_of_text("".join(turns))) + TURN_TOKENS * len(turns)


def _mean_seconds(kind: type[Supervised]) -> float:
    done = kind.objects.filter(state=State.SUCCEEDED).order_by("-finished_at")
    latest = kind.objects.filter(pk__in=done.values("pk")[:RECENT])
    return float(latest.aggregate(mean=Avg("worked_seconds"))["mean"] or 0.0)


def _correction(base: UUID) -> float:
    """What trainings of this base read, against what had been guessed; 1 before the first."""
    guessed = trained = 0
    for its_base, one_guessed, one_trained, _worked in _recent_trainings():
        if its_base == base:
            guessed += one_guessed
            trained += one_trained
    return trained / guessed if guessed and trained else 1.0


def _recent_trainings() -> list[tuple[UUID, int, int, float]]:
    done = FineTuningJob.objects.filter(state=State.SUCCEEDED, estimated_tokens__gt=0)
    return list(
        done.order_by("-finished_at").values_list(
            "base_model_id", "estimated_tokens", "trained_tokens", "worked_seconds"
        )[:RECENT]
    )
