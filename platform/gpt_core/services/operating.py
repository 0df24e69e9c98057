"""What the platform's staff may do to jobs and companies, with nothing lost and each of it logged."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from common.errors import ConflictError
from tenancy import audit
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

from .. import dispatch
from ..models import Evaluation, FineTuningJob, State, Supervised
from .evaluations import evaluate_checkpoint
from .jobs import resume_job, retry_job


def requeue(row: Supervised) -> Supervised:
    """Have the work begin again where it stands; the row that does it, which may be a new one.

    A running one is taken from its worker, whose fencing token ends with that: what it still writes
    is refused. A paused one goes on, a waiting one waits no longer for its pause, one that ended
    without result is asked for anew. Raises ConflictError where nothing is to be done.
    """
    with tenant_scope(row.tenant_id):
        current: Supervised = type(row).objects.get(pk=row.pk)
        with transaction.atomic():
            audit.record(f"{_noun(current)}.requeued", current, state=current.state)
            return _requeued(current)


def _requeued(row: Supervised) -> Supervised:
    kind = type(row)
    if row.state == State.RUNNING:
        if not dispatch.release(row):
            raise ConflictError("busy", _("The job has moved on meanwhile. Look again."))
        dispatch.record(row, "requeued", level="warning")
    elif row.state == State.QUEUED:
        kind.objects.filter(pk=row.pk, state=State.QUEUED).update(not_before=None)
        dispatch.ring()
    elif isinstance(row, FineTuningJob) and row.state == State.PAUSED:
        return resume_job(row)
    elif isinstance(row, FineTuningJob) and row.state in (State.FAILED, State.CANCELLED):
        return retry_job(row)
    elif isinstance(row, Evaluation) and row.state in (State.FAILED, State.CANCELLED):
        return evaluate_checkpoint(checkpoint=row.checkpoint, main_metric=row.main_metric)
    else:
        raise ConflictError(
            "wrong_state",
            _("There is nothing to begin again: %(state)s.") % {"state": row.get_state_display()},
        )
    row.refresh_from_db()
    return row


def suspend_tenant(tenant: Tenant) -> int:
    """Nobody of the company gets in, no key opens, and no work of it is begun.

    What runs is taken back into the queue, where it waits; the number of those is returned. It goes
    on from its last saved step once the company is active again.
    """
    with tenant_scope(tenant):
        with transaction.atomic():
            if not _move(tenant, Tenant.State.ACTIVE, Tenant.State.SUSPENDED):
                raise _not_so(tenant)
            stopped = hold_back()
            audit.record("tenant.suspended", tenant, stopped=stopped)
        tenant.refresh_from_db()
    return stopped


def reactivate_tenant(tenant: Tenant) -> None:
    """Let them in again; what waits is begun in its turn."""
    with tenant_scope(tenant):
        with transaction.atomic():
            if not _move(tenant, Tenant.State.SUSPENDED, Tenant.State.ACTIVE):
                raise _not_so(tenant)
            audit.record("tenant.reactivated", tenant)
            dispatch.ring()
        tenant.refresh_from_db()


def hold_back() -> int:
    """Take what runs of the tenant in scope from its workers; how many. Nothing of it is claimed
    again while the tenant is not active."""
    stopped = 0
    for kind in dispatch.KINDS:
        for row in kind.objects.filter(state=State.RUNNING):
            if dispatch.release(row):
                dispatch.record(row, "held_back", level="warning")
                stopped += 1
    return stopped


def _move(tenant: Tenant, before: str, after: str) -> int:
    return Tenant.objects.filter(pk=tenant.pk, state=before).update(state=after)


def _not_so(tenant: Tenant) -> ConflictError:
    return ConflictError(
        "wrong_state",
        _("“%(name)s” is not in the state for that.") % {"name": tenant.name},
    )


def _noun(row: Supervised) -> str:
    return "job" if isinstance(row, FineTuningJob) else row.KIND
