"""Evaluate a checkpoint again, beside what serves now."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ConflictError
from tenancy import audit

from .. import dispatch
from ..models import Checkpoint, Evaluation, State
from .hyperparameters import MAIN_METRICS, invalid


def evaluate_checkpoint(
    *, checkpoint: Checkpoint, main_metric: str = "auto", actor: User | None = None
) -> Evaluation:
    """Put an evaluation in the queue; one that waits or runs already is returned instead."""
    if main_metric not in MAIN_METRICS:
        raise invalid("main_metric", _("one of %(known)s") % {"known": ", ".join(MAIN_METRICS)})
    if checkpoint.dataset_version is None:
        raise ConflictError(
            "no_held_out_rows", _("The checkpoint names no dataset to be evaluated on.")
        )
    with transaction.atomic():
        # The lock keeps two requests at once from starting two.
        current = Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        if current.deleted_at is not None:
            raise ConflictError("checkpoint_deleted", _("This checkpoint has been deleted."))
        same = Evaluation.objects.filter(checkpoint=checkpoint, main_metric=main_metric)
        under_way = same.open().first()
        if under_way is not None:
            return under_way
        evaluation = Evaluation.objects.create(
            checkpoint=checkpoint, main_metric=main_metric, state=State.QUEUED
        )
        audit.record("evaluation.started", evaluation, actor=actor)
        dispatch.ring()
    return evaluation


def latest_evaluation(checkpoint: Checkpoint) -> Evaluation | None:
    """The last word on a checkpoint: the newest evaluation that came to an end."""
    done = checkpoint.evaluations.filter(state=State.SUCCEEDED)
    return done.order_by("-finished_at").first()
