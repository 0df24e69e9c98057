"""What the runs say to a promotion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Inbox, RegressionCase, RegressionRun
from gpt_core.models import Checkpoint
from gpt_core.promotion_checks import Objection
from labeling.models import Work

# The share of an inbox's cases that must pass all their samples.
LEAST_PASSED = 0.9


def suite_of(inbox: Inbox) -> str:
    """A digest of what is asked and expected: a run of another suite says nothing; "" without cases."""
    rows = RegressionCase.objects.filter(inbox=inbox).order_by("pk")
    told = repr(list(rows.values_list("pk", "question", "must_contain", "article", "must_refuse")))
    return hashlib.sha256(told.encode()).hexdigest() if told != "[]" else ""


def objections(checkpoint: Checkpoint, deployment: str) -> Iterator[Objection]:
    """Of every inbox that the deployment answers for; an inbox without cases objects to nothing."""
    for inbox in Inbox.objects.filter(deployment__name=deployment).order_by("name", "pk"):
        suite = suite_of(inbox)
        if suite:
            runs = RegressionRun.objects.filter(checkpoint=checkpoint, inbox=inbox, suite=suite)
            yield from _said_by(runs.order_by("-created_at").first(), inbox)


def _said_by(run: RegressionRun | None, inbox: Inbox) -> Iterator[Objection]:
    if run is None or run.state != Work.State.DONE:
        yield Objection(
            "regression_not_run",
            _("The test questions of “%(inbox)s” have not been put to this checkpoint yet.")
            % {"inbox": inbox.name},
            {"inbox": str(inbox.pk)},
        )
    elif not run.passed:
        yield Objection(
            "regression_failed",
            _(
                "Of the test questions of “%(inbox)s” %(passed)d of %(cases)d pass; nine in ten must."
            )
            % {"inbox": inbox.name, "passed": run.cases_passed, "cases": run.cases},
            {"inbox": str(inbox.pk), "run": str(run.pk)},
        )
