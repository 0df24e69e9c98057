"""Everything the home of one tenant shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from accounts.permissions import can_manage
from apps.portal import audit_trail
from apps.portal.first_steps import Step, steps_for
from apps.portal.forecasts import with_forecasts
from apps.portal.waiting import Waits, waiting_for
from gpt_core.models import Deployment, DeploymentChange, Export, FineTuningJob
from labeling.models import BulkChange, DatasetVersion, FreezeRun, ImportRun
from tenancy.models import AuditEntry, Membership

if TYPE_CHECKING:
    from labeling.models.work import Work

MOST = 8
# What of the trail concerns everybody who manages; the rest is told by its own rows.
TOLD = (
    "member.joined",
    "member.left",
    "member.removed",
    "member.role_changed",
    "key.created",
    "key.revoked",
    "webhook.disabled",
    "tenant.changed",
)


@dataclass(frozen=True)
class Change:
    """Something that happened: a deployment that changed, a job that ended, a version frozen, a line
    of the trail."""

    at: datetime
    change: DeploymentChange | None = None
    job: FineTuningJob | None = None
    version: DatasetVersion | None = None
    line: audit_trail.Line | None = None


class HomePage:
    def __init__(self, membership: Membership) -> None:
        self.membership = membership

    @cached_property
    def deployments(self) -> list[Deployment]:
        found = Deployment.objects.select_related("checkpoint__job", "base_model")
        return list(found.order_by("name")[:50])

    @cached_property
    def running(self) -> list[FineTuningJob]:
        found = FineTuningJob.objects.open().select_related("tenant", "dataset_version__dataset")
        return with_forecasts(found.order_by("queued_at")[:MOST])

    @cached_property
    def works(self) -> list[Work]:
        """Long work on data: files that are read in, versions frozen, many examples changed."""
        found: list[Work] = []
        for kind in (ImportRun, FreezeRun, BulkChange):
            rows = kind.objects.filter(state__in=["queued", "running"]).select_related("dataset")
            found += rows.order_by("created_at")[:MOST]
        return found

    @cached_property
    def exports(self) -> list[Export]:
        found = Export.objects.open().select_related("checkpoint")
        return list(found.order_by("queued_at")[:MOST])

    @cached_property
    def waits(self) -> list[Waits]:
        return waiting_for(self.membership)

    @cached_property
    def steps(self) -> list[Step]:
        return steps_for(self.membership)

    @cached_property
    def changes(self) -> list[Change]:
        moved = DeploymentChange.objects.select_related(
            "deployment", "after__job", "before", "actor"
        ).order_by("-at")[:MOST]
        ended = (
            FineTuningJob.objects.filter(finished_at__isnull=False)
            .select_related("tenant")
            .order_by("-finished_at")[:MOST]
        )
        frozen = DatasetVersion.objects.select_related("dataset").order_by("-frozen_at")[:MOST]
        all_of_it = [Change(one.at, change=one) for one in moved]
        all_of_it += [Change(one.finished_at, job=one) for one in ended if one.finished_at]
        all_of_it += [Change(one.frozen_at, version=one) for one in frozen if one.frozen_at]
        if can_manage(self.membership):
            told = AuditEntry.objects.filter(action__in=TOLD).order_by("-created_at")[:MOST]
            all_of_it += [Change(line.at, line=line) for line in audit_trail.entries_of(list(told))]
        return sorted(all_of_it, key=lambda one: one.at, reverse=True)[:MOST]

    @property
    def is_new(self) -> bool:
        """Nothing serves, nothing runs, nothing has ended: the first steps are the whole page."""
        return not (self.deployments or self.running or self.works or self.waits) and not any(
            one.line is None for one in self.changes
        )

    @property
    def is_busy(self) -> bool:
        return bool(self.running or self.works or self.exports)
