"""Everything the home of one tenant shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.permissions import can_promote, can_train
from gpt_core.models import (
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    State,
    Whose,
)
from labeling.models import Dataset
from tenancy.models import Membership

RECENT = timedelta(days=14)
MOST = 8


@dataclass(frozen=True)
class Change:
    """Something that happened: a deployment that changed, or a job that ended."""

    at: datetime
    change: DeploymentChange | None = None
    job: FineTuningJob | None = None


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
        return list(found.order_by("queued_at")[:MOST])

    @cached_property
    def ready(self) -> list[Evaluation]:
        """Checkpoints that the gate judged last and that serve nowhere: somebody is to decide."""
        newer = Evaluation.objects.filter(
            checkpoint=OuterRef("checkpoint"), queued_at__gt=OuterRef("queued_at")
        )
        later = Checkpoint.objects.filter(
            job__deployment_name=OuterRef("checkpoint__job__deployment_name"),
            job__number__gt=OuterRef("checkpoint__job__number"),
        )
        serving = Deployment.objects.filter(checkpoint=OuterRef("checkpoint"))
        before = DeploymentChange.objects.filter(after=OuterRef("checkpoint"))
        found = (
            Evaluation.objects.filter(state=State.SUCCEEDED, finished_at__gte=self._since)
            .exclude(Exists(newer))
            .exclude(Exists(later))
            .exclude(Exists(serving))
            .exclude(Exists(before))
            .select_related("checkpoint__job")
            .defer("report")
        )
        return list(found.order_by("-finished_at")[:MOST])

    @cached_property
    def failed(self) -> list[FineTuningJob]:
        """Failures that the tenant can mend and that nobody started again."""
        again = FineTuningJob.objects.filter(
            deployment_name=OuterRef("deployment_name"), number__gt=OuterRef("number")
        )
        found = FineTuningJob.objects.filter(
            state=State.FAILED, failure_whose=Whose.USER, finished_at__gte=self._since
        ).exclude(Exists(again))
        return list(found.select_related("tenant").order_by("-finished_at")[:MOST])

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
        all_of_it = [Change(one.at, change=one) for one in moved]
        all_of_it += [Change(one.finished_at, job=one) for one in ended if one.finished_at]
        return sorted(all_of_it, key=lambda one: one.at, reverse=True)[:MOST]

    @cached_property
    def has_datasets(self) -> bool:
        return Dataset.objects.exists()

    @property
    def is_new(self) -> bool:
        return not (self.deployments or self.running or self.changes or self.ready)

    @property
    def nothing_waits(self) -> bool:
        return not (self.ready or self.failed)

    @property
    def can_train(self) -> bool:
        return can_train(self.membership)

    @property
    def can_promote(self) -> bool:
        return can_promote(self.membership)

    @property
    def _since(self) -> datetime:
        return timezone.now() - RECENT
