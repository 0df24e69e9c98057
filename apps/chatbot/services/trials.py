"""Put a checkpoint on trial in an inbox, end the trial, and end it by itself where it does harm."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.announcements import announce_trial
from apps.chatbot.models import CandidateTrial, Inbox
from apps.chatbot.trials import arms_of, does_worse
from common.errors import ApplicationError, ConflictError
from gpt_core.models import Checkpoint
from gpt_core.services import require_admitted
from tenancy import audit

MOST_SHARE = 99
End = CandidateTrial.End


def start_trial(
    *, inbox: Inbox, checkpoint: Checkpoint, share: int, actor: Any = None
) -> CandidateTrial:
    """From now on so many of a hundred conversations that begin are answered by the checkpoint.

    It must be fit to be promoted: passed by the gate, with no objection to it. Raises what says that
    it is not, and ApplicationError `share_invalid`; ConflictError: no_deployment, serves_already,
    trial_under_way.
    """
    if not 1 <= share <= MOST_SHARE:
        raise ApplicationError("share_invalid", _("From 1 to 99 of a hundred."), field="share")
    if inbox.deployment is None:
        raise ConflictError("no_deployment", _("No model answers in this inbox yet."))
    if inbox.deployment.checkpoint_id == checkpoint.pk:
        raise ConflictError("serves_already", _("This checkpoint serves here already."))
    require_admitted(checkpoint=checkpoint, deployment=inbox.deployment.name)
    try:
        with transaction.atomic():
            trial = CandidateTrial.objects.create(
                inbox=inbox, checkpoint=checkpoint, share=share, started_by=actor
            )
            audit.record("trial.started", inbox, checkpoint=checkpoint.name, share=share)
    except IntegrityError:
        raise ConflictError(
            "trial_under_way", _("Another checkpoint is on trial here. Stop that first.")
        ) from None
    return trial


def stop_trial(*, trial: CandidateTrial) -> None:
    """Every conversation is answered by what serves, from the next message on."""
    if _end(trial, End.STOPPED):
        audit.record("trial.stopped", trial.inbox, checkpoint=trial.checkpoint.name)


def tenants_with_trials() -> list[uuid.UUID]:
    """Needs a system scope."""
    return CandidateTrial.objects.filter(ended_at=None).active_tenants()  # type: ignore[no-any-return]


def judge_trials() -> int:
    """End the trials of this tenant that do harm, and those whose checkpoint serves by now. Returns how
    many were rolled back."""
    rolled_back = 0
    open_trials = CandidateTrial.objects.filter(ended_at=None)
    for trial in open_trials.select_related("checkpoint", "inbox__deployment"):
        slot = trial.inbox.deployment
        if slot is None or slot.checkpoint_id == trial.checkpoint_id:
            _end(trial, End.PROMOTED if slot is not None else End.STOPPED)
            continue
        serving, candidate = arms_of(trial)
        if does_worse(serving.failed, candidate.failed) and _end(trial, End.WORSE):
            audit.record(
                "trial.rolled_back",
                trial.inbox,
                checkpoint=trial.checkpoint.name,
                failed=candidate.failed.hits,
                of=candidate.failed.of,
                serving_failed=serving.failed.hits,
                serving_of=serving.failed.of,
            )
            rolled_back += 1
    return rolled_back


@transaction.atomic
def _end(trial: CandidateTrial, why: str) -> bool:
    """Whether it had not ended before."""
    open_still = CandidateTrial.objects.filter(pk=trial.pk, ended_at=None)
    if not open_still.update(ended_at=timezone.now(), end=why):
        return False
    announce_trial(trial, why)
    return True
