"""Old checkpoints are collected by rule: never one that serves, served, or is the last of its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from common.errors import ConflictError
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

from ..models import TERMINAL, Checkpoint, Deployment, DeploymentChange, Supervised
from .checkpoints import delete_checkpoint


@dataclass(frozen=True)
class Judged:
    """A checkpoint and why it is kept; no reason means that it may go."""

    checkpoint: Checkpoint
    reason: str


def judge_checkpoints() -> list[Judged]:
    """Every checkpoint of the tenant in scope whose files are there, newest first.

    Kept is what serves or would after a roll-back (`serves`), what ever served (`served`), what
    unfinished work needs (`needed`), the newest of each deployment (`newest`: at least the last one,
    whatever the setting says), and what is young (`young`). Steps kept on the way of a job count
    for nothing but their youth, and what serves them.
    """
    present = list(Checkpoint.objects.present().order_by("-created_at", "-pk"))
    serves, served, needed = _serving(), _ever_served(), _needed()
    young = timezone.now() - timedelta(days=settings.KEEP_CHECKPOINT_DAYS)
    seen: dict[str, int] = defaultdict(int)
    judged = []
    for checkpoint in present:
        is_newest = False
        if checkpoint.step_of_id is None:
            seen[checkpoint.deployment_name] += 1
            is_newest = seen[checkpoint.deployment_name] <= max(1, settings.KEEP_CHECKPOINTS)
        if checkpoint.pk in serves:
            reason = "serves"
        elif checkpoint.pk in needed:
            reason = "needed"
        elif checkpoint.pk in served:
            reason = "served"
        elif is_newest:
            reason = "newest"
        elif checkpoint.created_at > young:
            reason = "young"
        else:
            reason = ""
        judged.append(Judged(checkpoint, reason))
    return judged


def collect_checkpoints() -> list[Checkpoint]:
    """Delete the files of every checkpoint that no rule keeps; their rows stay. Of the tenant in scope."""
    collected = []
    for judged in judge_checkpoints():
        if not judged.reason and _collect(judged.checkpoint):
            collected.append(judged.checkpoint)
    return collected


def collect_of_every_tenant() -> int:
    """Needs a system scope."""
    collected = 0
    for tenant in list(Tenant.objects.order_by("pk")):
        with tenant_scope(tenant):
            collected += len(collect_checkpoints())
    return collected


def _collect(checkpoint: Checkpoint) -> bool:
    """Judged again under the lock: somebody may have promoted it, or begun to evaluate it."""
    with transaction.atomic():
        Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        if any(one.checkpoint.pk == checkpoint.pk and one.reason for one in judge_checkpoints()):
            return False
        try:
            delete_checkpoint(checkpoint)
        except ConflictError:
            return False
    return True


def _serving() -> set[UUID]:
    return set(_ids(Deployment.objects.values_list("checkpoint_id", "previous_id")))


def _ever_served() -> set[UUID]:
    return set(_ids(DeploymentChange.objects.values_list("before_id", "after_id")))


def _needed() -> set[UUID]:
    """What any unfinished job refers to, of whatever kind of job there is."""
    found: set[UUID] = set()
    for kind in Supervised.__subclasses__():
        unfinished = kind.objects.open()
        for field in kind._meta.local_concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model is Checkpoint:
                found |= set(_ids(unfinished.values_list(field.attname)))
    steps = Checkpoint.objects.present().filter(step_of__isnull=False)
    unfinished_jobs = steps.exclude(step_of__state__in=TERMINAL)
    return found | set(unfinished_jobs.values_list("pk", flat=True))


def _ids(rows: Any) -> Iterator[UUID]:
    return (pk for row in rows for pk in row if pk is not None)
