"""The work of one run: every case of an inbox, k samples each, by one checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.chatbot.answering import Draft, Writer, answer
from apps.chatbot.answering.asking import alone
from apps.chatbot.models import (
    RegressionCase,
    RegressionResult,
    RegressionRun,
)
from labeling.models import Work

from .judging import faults_of
from .verdicts import LEAST_PASSED

if TYPE_CHECKING:
    from labeling.work import Hold

# The first sample is what service would say; the others draw other words.
TEMPERATURE = 0.7


def run_suite(hold: Hold) -> None:
    """Raises what the client raises where the engine is away; the row then says so."""
    run = hold.row
    assert isinstance(run, RegressionRun)
    RegressionResult.objects.filter(run=run).delete()
    cases = list(RegressionCase.objects.filter(inbox=run.inbox).order_by("created_at", "pk"))
    passed = 0
    for number, case in enumerate(cases, start=1):
        samples = [_sample(run, case, place) for place in range(run.samples)]
        result = RegressionResult(
            run=run,
            case=case,
            passed=not any(one["faults"] for one in samples),
            samples=samples,
        )
        hold.write(done=number)
        result.save()
        passed += result.passed
        hold.progress(number / len(cases), done=number)
    hold.end(
        Work.State.DONE,
        share=1.0,
        cases=len(cases),
        cases_passed=passed,
        passed=passed >= LEAST_PASSED * len(cases),
    )


def _sample(run: RegressionRun, case: RegressionCase, place: int) -> dict[str, Any]:
    writer = Writer(
        run.checkpoint.base_model,
        run.checkpoint,
        temperature=TEMPERATURE if place else 0,
        seed=place or None,
    )
    draft: Draft = answer(alone(run.inbox, case.question), writer=writer)
    return {
        "text": draft.text,
        "outcome": str(draft.outcome),
        "faults": faults_of(draft, case),
    }
