"""What an evaluation led to, as the pages of a job and of a checkpoint both show it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apps.portal import comparison
from gpt_core.gate import Verdict
from gpt_core.promotion_checks import objections_to
from gpt_core.verdict_text import sentence, summary

if TYPE_CHECKING:
    from gpt_core.models import Checkpoint, Evaluation


@dataclass(frozen=True)
class ReasonLine:
    """One reason of the gate's verdict: which way it counts, and its sentence."""

    effect: str
    sentence: str


def objections_of(checkpoint: Checkpoint | None, stage: str) -> list[str]:
    """What products say against a checkpoint that the gate would let pass."""
    if checkpoint is None or stage != "open":
        return []
    return [str(one.sentence) for one in objections_to(checkpoint, checkpoint.deployment_name)]


class Outcome:
    """Before against after, and the gate's word on it. The page says which `evaluation`."""

    evaluation: Evaluation | None

    @property
    def report(self) -> dict[str, Any] | None:
        return self.evaluation.report if self.evaluation else None

    @cached_property
    def verdict(self) -> Verdict | None:
        kept = self.evaluation.verdict if self.evaluation else None
        return Verdict.from_dict(kept) if kept else None

    @cached_property
    def rows(self) -> list[comparison.Row]:
        metric = self.verdict.main_metric if self.verdict else "loss"
        return comparison.rows_of(self.report, main_metric=metric) if self.report else []

    @cached_property
    def has_champion(self) -> bool:
        return any(row.champion is not None for row in self.rows)

    @cached_property
    def samples(self) -> list[comparison.Sample]:
        return comparison.samples_of(self.report) if self.report else []

    @cached_property
    def slices(self) -> list[comparison.Slice]:
        metric = self.verdict.main_metric if self.verdict else "loss"
        return comparison.slices_of(self.report, metric=metric) if self.report else []

    @property
    def slices_against(self) -> str:
        return "champion" if self.has_champion else "base"

    @property
    def report_size(self) -> int:
        return int(self.report.get("n", 0)) if self.report else 0

    @cached_property
    def main_row(self) -> comparison.Row | None:
        return next((row for row in self.rows if row.is_main), None)

    @property
    def main_change(self) -> float | None:
        """By which share the metric that decides has changed against the base."""
        row = self.main_row
        if row is None or not row.base or row.candidate is None:
            return None
        return (row.candidate - row.base) / abs(row.base)

    @property
    def verdict_summary(self) -> str:
        return summary(self.verdict) if self.verdict else ""

    @cached_property
    def reasons(self) -> list[ReasonLine]:
        """Against first: what must be mended is read before what is well."""
        if self.verdict is None:
            return []
        order = {"against": 0, "for": 1, "note": 2}
        found = sorted(self.verdict.reasons, key=lambda one: order.get(one.effect, 3))
        return [ReasonLine(one.effect, sentence(one)) for one in found]
