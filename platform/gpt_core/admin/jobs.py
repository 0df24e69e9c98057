"""Jobs, evaluations and exports: who holds them, since when, and the two things that are safe to press."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from common.errors import ApplicationError
from tenancy.scope import tenant_scope

from ..models import Evaluation, Export, FineTuningJob, State, Supervised
from ..services.jobs import cancel_job
from ..services.operating import requeue
from . import queues
from .seen import SeenAdmin

COLOURS = {
    State.RUNNING: "info",
    State.SUCCEEDED: "success",
    State.FAILED: "danger",
    State.PAUSED: "warning",
    State.QUEUED: "default",
    State.VALIDATING_FILES: "default",
    State.CANCELLED: "default",
}


class SupervisedAdmin(SeenAdmin):
    """What jobs of every kind show and allow."""

    actions = ["begin_again", "cancel"]
    date_hierarchy = "queued_at"

    @display(description=_("state"), ordering="state", label=COLOURS)
    def shown_state(self, row: Supervised) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("lease"))
    def lease(self, row: Supervised) -> str:
        """How long its worker holds it yet, or since when it holds it no longer."""
        if row.state != State.RUNNING or row.lease_until is None:
            return "–"
        left = (row.lease_until - timezone.now()).total_seconds()
        if left < 0:
            return str(_("ran out %(seconds)d s ago") % {"seconds": -left})
        return str(_("%(seconds)d s left") % {"seconds": left})

    @display(description=_("heartbeat"), ordering="heartbeat_at")
    def heartbeat(self, row: Supervised) -> str:
        return _ago(row.heartbeat_at)

    @display(description=_("worker"), ordering="worker")
    def held_by(self, row: Supervised) -> str:
        return row.worker or "–"

    @admin.action(description=_("Begin again (requeue)"), permissions=["operate"])
    def begin_again(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._each(request, rows, requeue, _("%(count)d put back into the queue."))

    @admin.action(description=_("Cancel"), permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        asked = self.asked_first(
            request,
            rows,
            action="cancel",
            title=_("Cancel these?"),
            words=_("What runs stops within a step. Nothing brings a cancelled job back; it can be "
                    "begun again as a new one."),
        )  # fmt: skip
        if asked:
            return asked
        self._each(request, rows, cancel_job, _("%(count)d cancelled."))
        return None

    def _each(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        act: Callable[[Any], object],
        said: Any,
    ) -> None:
        done = 0
        for row in rows:
            try:
                with tenant_scope(row.tenant_id):
                    act(row)
                done += 1
            except ApplicationError as error:
                self.message_user(request, f"{row}: {error.detail}", messages.WARNING)
        if done:
            self.message_user(request, said % {"count": done}, messages.SUCCESS)


@admin.register(FineTuningJob)
class FineTuningJobAdmin(SupervisedAdmin):
    list_display = [
        "__str__", "tenant", "shown_state", "step", "steps", "attempt", "held_by", "lease",
        "heartbeat", "failure_code", "queued_at",
    ]  # fmt: skip
    list_filter = ["state", "failure_whose", "failure_code"]
    list_select_related = ["tenant"]
    search_fields = ["id", "tenant__slug", "deployment_name", "worker"]

    def get_urls(self) -> list[Any]:
        own = self.admin_site.admin_view(queues.page)
        return [path("queues/", own, name="parley_queues"), *super().get_urls()]


@admin.register(Evaluation)
class EvaluationAdmin(SupervisedAdmin):
    list_display = [
        "checkpoint", "tenant", "shown_state", "main_metric", "passed", "attempt", "held_by",
        "lease", "heartbeat", "queued_at",
    ]  # fmt: skip
    list_filter = ["state", "main_metric"]
    list_select_related = ["tenant", "checkpoint"]
    search_fields = ["checkpoint__name", "tenant__slug", "worker"]


@admin.register(Export)
class ExportAdmin(SupervisedAdmin):
    list_display = [
        "checkpoint", "tenant", "kind", "precision", "shown_state", "size", "held_by", "lease",
        "expires_at", "queued_at",
    ]  # fmt: skip
    list_filter = ["state", "kind"]
    list_select_related = ["tenant", "checkpoint"]
    search_fields = ["checkpoint__name", "tenant__slug", "worker"]


def _ago(moment: Any) -> str:
    if moment is None:
        return "–"
    seconds = (timezone.now() - moment).total_seconds()
    if seconds < 120:
        return str(_("%(seconds)d s ago") % {"seconds": max(0, seconds)})
    return str(_("%(time)s ago") % {"time": timesince(moment, depth=1)})
