"""The list of tenants for the operator: what each uses and keeps, and what may be done with it.

It stands here and not beside the model, because what it shows and does reaches up to the jobs.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, IntegerField, Max, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from common.errors import ApplicationError
from gpt_core.closing import begin_closing, undo_closing
from gpt_core.models import FineTuningJob, State
from gpt_core.services.operating import reactivate_tenant, suspend_tenant
from tenancy.admin import TenantAdmin
from tenancy.models import NO_KEY, AuditEntry, Membership, StoredBytes, Tenant, Usage

admin.site.unregister(Tenant)

STATES = {
    Tenant.State.ACTIVE: "success",
    Tenant.State.SUSPENDED: "warning",
    Tenant.State.CLOSING: "danger",
}


@admin.register(Tenant)
class OperatedTenantAdmin(TenantAdmin):
    list_display = [
        "name", "slug", "shown_state", "people", "running", "tokens", "kept", "active_at",
        "created_at",
    ]  # fmt: skip
    list_per_page = 50
    actions = ["suspend", "reactivate", "close", "bring_back"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Each figure by a query of its own within the one: a join of all would multiply rows."""
        month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        jobs = FineTuningJob.objects.filter(state=State.RUNNING)
        used = Usage.objects.filter(
            key_id=NO_KEY, kind=Usage.Kind.TOKENS, span=Usage.Span.MONTH, starts_at=month
        )
        recent = AuditEntry.objects.filter(created_at__gte=timezone.now() - timedelta(days=90))
        return (
            super()
            .get_queryset(request)
            .annotate(
                people=_of_each(Membership.objects.all(), Count("pk")),
                running=_of_each(jobs, Count("pk")),
                tokens=_of_each(used, Sum("used")),
                kept=_of_each(StoredBytes.objects.all(), Sum("bytes")),
                active_at=_of_each(recent, Max("created_at"), zero=False),
            )
        )

    @display(description=_("state"), ordering="state", label=STATES)
    def shown_state(self, tenant: Any) -> tuple[str, str]:
        return tenant.state, tenant.get_state_display()

    @display(description=_("people"), ordering="people")
    def people(self, tenant: Any) -> int:
        return int(tenant.people)

    @display(description=_("jobs running"), ordering="running")
    def running(self, tenant: Any) -> int:
        return int(tenant.running)

    @display(description=_("tokens this month"), ordering="tokens")
    def tokens(self, tenant: Any) -> str:
        return f"{tenant.tokens:,}"

    @display(description=_("stored"), ordering="kept")
    def kept(self, tenant: Any) -> str:
        return filesizeformat(tenant.kept)

    @display(description=_("last activity"), ordering="active_at")
    def active_at(self, tenant: Any) -> Any:
        return tenant.active_at

    @admin.action(description=_("Suspend"), permissions=["operate"])
    def suspend(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        asked = self.asked_first(
            request,
            rows,
            action="suspend",
            title=_("Suspend these?"),
            words=_("Nobody of them gets in and no key of theirs opens. What runs is put back into "
                    "the queue and waits; it goes on from its last saved step when they are let in "
                    "again."),
        )  # fmt: skip
        if asked:
            return asked
        self._each(request, rows, suspend_tenant, _("%(count)d suspended."))
        return None

    @admin.action(description=_("Let in again"), permissions=["operate"])
    def reactivate(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._each(request, rows, reactivate_tenant, _("%(count)d let in again."))

    @admin.action(description=_("Close"), permissions=["operate"])
    def close(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        asked = self.asked_first(
            request,
            rows,
            action="close",
            title=_("Close these?"),
            words=_("Their keys stop opening and members see a notice and their archive. After "
                    "%(days)d days everything of them is erased for good; until then they can be "
                    "brought back.") % {"days": settings.CLOSING_GRACE_DAYS},
        )  # fmt: skip
        if asked:
            return asked
        self._each(request, rows, begin_closing, _("%(count)d closing."))
        return None

    @admin.action(description=_("Bring back"), permissions=["operate"])
    def bring_back(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._each(request, rows, undo_closing, _("%(count)d brought back."))

    def _each(self, request: HttpRequest, rows: QuerySet[Any], act: Any, said: Any) -> None:
        done = 0
        for tenant in rows:
            try:
                act(tenant)
                done += 1
            except ApplicationError as error:
                self.message_user(request, str(error.detail), messages.WARNING)
        if done:
            self.message_user(request, said % {"count": done}, messages.SUCCESS)


def _of_each(rows: QuerySet[Any], figure: Any, *, zero: bool = True) -> Any:
    """The figure over the rows of each tenant, in a query of its own."""
    own = rows.filter(tenant_id=OuterRef("pk")).order_by().values("tenant_id")
    found = Subquery(own.annotate(figure=figure).values("figure"))
    return Coalesce(found, 0, output_field=IntegerField()) if zero else found
