"""Promote and roll back: which checkpoint answers in a product's slot."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.permissions import can_override
from common.errors import ApplicationError, ConflictError
from tenancy import audit
from tenancy.models import Membership

from ..announcements import announce_deployment
from ..gate import Verdict
from ..models import Checkpoint, Deployment, DeploymentChange, Evaluation
from ..promotion_checks import objections_to
from ..verdict_text import sentence
from . import engines
from .evaluations import latest_evaluation
from .hyperparameters import invalid


def promote(
    *,
    checkpoint: Checkpoint,
    deployment: str = "",
    actor: User | None = None,
    override_reason: str | None = None,
) -> Deployment:
    """Let the checkpoint answer in the slot of this name (its own, where none is given).

    The gate must have passed it beside what serves now and no product may object, or an owner says
    why not to wait for that.
    The engine has it loaded before the flip; the flip is one transaction; what served before stays
    loaded, so that a roll-back is one as well.
    """
    name = deployment or checkpoint.deployment_name
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name, re.ASCII):
        raise invalid("deployment", _("small letters, digits and hyphens, 63 at most"))
    reason = (override_reason or "").strip()
    current = Deployment.objects.filter(name=name).select_related("checkpoint").first()
    if current and current.checkpoint_id == checkpoint.pk:
        return current
    evaluation = latest_evaluation(checkpoint)
    if reason:
        _require_owner(actor)
    else:
        _require_passed(evaluation, current)
        _require_no_objection(checkpoint, name)
    engines.require_engine(checkpoint)
    engines.load(checkpoint)
    with transaction.atomic():
        if not Checkpoint.objects.present().filter(pk=checkpoint.pk).select_for_update().exists():
            raise ConflictError("checkpoint_deleted", _("This checkpoint has been deleted."))
        slot = _locked_slot(name, checkpoint)
        before = slot.checkpoint
        # Somebody else promoted while the engine was loading: their choice was judged by nobody here.
        if not reason and before is not None and before.pk != (current and current.checkpoint_id):
            raise _stale()
        slot.previous, slot.checkpoint, slot.base_model = (
            before,
            checkpoint,
            checkpoint.base_model,
        )
        slot.save()
        DeploymentChange.objects.create(
            deployment=slot,
            kind=DeploymentChange.Kind.PROMOTE,
            before=before,
            after=checkpoint,
            evaluation=evaluation,
            actor=actor,
            override_reason=reason,
        )
        audit.record(
            "deployment.promoted",
            slot,
            actor=actor,
            checkpoint=checkpoint.name,
            overridden=bool(reason),
        )
        announce_deployment("deployment.promoted", slot)
    return slot


def require_admitted(*, checkpoint: Checkpoint, deployment: str) -> None:
    """Raises what `promote` would raise where this checkpoint may not answer in that slot."""
    current = Deployment.objects.filter(name=deployment).select_related("checkpoint").first()
    _require_passed(latest_evaluation(checkpoint), current)
    _require_no_objection(checkpoint, deployment)
    engines.require_engine(checkpoint)


def roll_back(*, deployment: Deployment, actor: User | None = None) -> Deployment:
    """Let what served before answer again. Rolling back twice is where one began."""
    previous = deployment.previous
    if previous is not None:
        engines.require_engine(previous)
        engines.load(previous)
    with transaction.atomic():
        slot = Deployment.objects.select_for_update().get(pk=deployment.pk)
        if slot.checkpoint is None:
            raise ConflictError("nothing_deployed", _("Nothing is deployed here."))
        if slot.previous_id != (previous and previous.pk):
            raise ConflictError("busy", _("The deployment has changed meanwhile. Look again."))
        before = slot.checkpoint
        slot.checkpoint, slot.previous = previous, before
        if previous is not None:
            slot.base_model = previous.base_model
        slot.save()
        DeploymentChange.objects.create(
            deployment=slot,
            kind=DeploymentChange.Kind.ROLL_BACK,
            before=before,
            after=previous,
            actor=actor,
        )
        audit.record(
            "deployment.rolled_back",
            slot,
            actor=actor,
            checkpoint=previous.name if previous else slot.base_model.name,
        )
        announce_deployment("deployment.rolled_back", slot)
    return slot


def _require_passed(evaluation: Evaluation | None, current: Deployment | None) -> None:
    if evaluation is None or evaluation.verdict is None:
        raise ConflictError(
            "not_evaluated", _("The checkpoint has not been evaluated yet, so the gate is closed.")
        )
    verdict = Verdict.from_dict(evaluation.verdict)
    if not verdict.passed:
        raise ConflictError(
            "gate_closed",
            _("The gate does not let this checkpoint pass: %(why)s")
            % {"why": " ".join(sentence(one) for one in verdict.against)},
            extra={"verdict": evaluation.verdict},
        )
    serving = current.checkpoint if current else None
    if serving is None:
        return
    candidate = evaluation.checkpoint
    comparable = (serving.base_model_id, serving.kind) == (candidate.base_model_id, candidate.kind)
    if comparable and evaluation.champion_id != serving.pk:
        raise _stale()


def _require_no_objection(checkpoint: Checkpoint, deployment: str) -> None:
    """A product that the checkpoint is to serve has a word in it."""
    found = objections_to(checkpoint, deployment)
    if found:
        raise ConflictError(
            found[0].code,
            " ".join(str(one.sentence) for one in found),
            extra={"objections": [{"code": one.code} | one.figures for one in found]},
        )


def _stale() -> ConflictError:
    return ConflictError(
        "evaluation_stale",
        _(
            "Another checkpoint serves since this one was evaluated. Evaluate it again, beside that."
        ),
    )


def _require_owner(actor: User | None) -> None:
    membership = Membership.objects.filter(user=actor).first() if actor else None
    if not can_override(membership):
        raise owner_needed()


def owner_needed() -> ApplicationError:
    return ApplicationError(
        "owner_needed", _("Only an owner may overrule the gate."), status_hint=403
    )


def _locked_slot(name: str, checkpoint: Checkpoint) -> Deployment:
    slot, _created = Deployment.objects.get_or_create(
        name=name, defaults={"base_model": checkpoint.base_model}
    )
    return Deployment.objects.select_for_update(of=("self",)).get(pk=slot.pk)
