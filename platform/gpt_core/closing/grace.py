"""The time between the wish to leave and the erasure, in which it can be taken back."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ConflictError
from tenancy import audit
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope

from .. import dispatch
from ..services.operating import hold_back

BEGUN, UNDONE, ERASED = "tenant.closing_begun", "tenant.closing_undone", "tenant.erased"


def begin_closing(tenant: Tenant) -> Tenant:
    """From now on no key opens, no work is begun, and members find the notice and their archive.

    What runs is taken back into the queue. Nothing is erased before PARLEY_CLOSING_GRACE_DAYS.
    """
    with tenant_scope(tenant), transaction.atomic():
        current = Tenant.objects.select_for_update().get()
        if current.state == Tenant.State.CLOSING:
            raise ConflictError("closing", _("The tenant is closing already."))
        stopped = hold_back()
        audit.record(BEGUN, current, was=current.state, stopped=stopped)
        Tenant.objects.update(
            state=Tenant.State.CLOSING,
            closes_at=timezone.now() + timedelta(days=settings.CLOSING_GRACE_DAYS),
        )
        tenant.refresh_from_db()
    return tenant


def undo_closing(tenant: Tenant) -> Tenant:
    """As before, and what waited is begun in its turn. A company that was suspended is so again."""
    with tenant_scope(tenant), transaction.atomic():
        current = Tenant.objects.select_for_update().get()
        is_over = current.closes_at is not None and current.closes_at <= timezone.now()
        if current.state != Tenant.State.CLOSING or is_over:
            raise ConflictError("not_closing", _("This can no longer be undone."))
        begun = AuditEntry.objects.filter(action=BEGUN).order_by("-created_at").first()
        before = begun.data.get("was") if begun else Tenant.State.ACTIVE
        Tenant.objects.update(state=before or Tenant.State.ACTIVE, closes_at=None)
        audit.record(UNDONE, current)
        dispatch.ring()
        tenant.refresh_from_db()
    return tenant
