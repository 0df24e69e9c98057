"""The figures behind the loss curve, few enough to draw."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Max

from gpt_core.models import FineTuningJob, JobMetric

# A screen has about this many columns to show a point in.
MOST_POINTS = 800


def loss_curve(job: FineTuningJob) -> dict[str, Any]:
    """`train` and `validation` as [step, loss], and the validation whose checkpoint was kept.

    Three queries whatever the length: a long training is thinned to every k-th step by the
    database, validations are few and come all.
    """
    figures = JobMetric.objects.filter(job=job)
    train = figures.filter(kind=JobMetric.Kind.TRAIN)
    last = train.aggregate(last=Max("step"))["last"] or 0
    stride = max(1, -(-last // MOST_POINTS))
    if stride > 1:
        train = train.annotate(place=F("step") % stride).filter(place=last % stride)
    validation = list(
        figures.filter(kind=JobMetric.Kind.VALIDATION)
        .order_by("step")
        .values_list("step", "loss", "best")
    )
    # The trainer says which step it kept; each new best replaces the one before.
    kept = [[step, loss] for step, loss, best in validation if best]
    return {
        "train": [list(point) for point in train.order_by("step").values_list("step", "loss")],
        "validation": [[step, loss] for step, loss, _best in validation],
        "kept": kept[-1] if kept else None,
        "steps": job.steps,
        "live": not job.is_terminal,
    }
