"""What waits for one member: only what their role lets them do something about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.permissions import can_annotate, can_manage, can_promote, can_train
from apps.portal import words
from gpt_core.models import (
    Checkpoint,
    Deployment,
    DeploymentChange,
    Evaluation,
    FineTuningJob,
    State,
    Whose,
)
from labeling.models import Assignment, ImportRun, LabelingTask, QueueItem
from tenancy.models import Invitation, Membership
from tenancy.webhooks.models import WebhookEndpoint

RECENT = timedelta(days=14)
MOST = 8


@dataclass(frozen=True)
class Waits:
    """One thing to do: where it is done, how it stands, and what to do there."""

    label: str
    url: str
    note: str
    tag: str
    tone: str
    icon: str


def waiting_for(membership: Membership) -> list[Waits]:
    """The most pressing first: decisions, then failures, then work that goes on."""
    found: list[Waits] = []
    if can_promote(membership):
        found += _verdicts(membership)
    if can_train(membership):
        found += _failed_jobs(membership)
    if can_annotate(membership):
        found += [*_failed_imports(membership), *_labelling(membership)]
    if can_manage(membership):
        found += [*_webhooks(membership), *_invitations(membership)]
    return found


def _verdicts(membership: Membership) -> Iterator[Waits]:
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
        Evaluation.objects.filter(state=State.SUCCEEDED, finished_at__gte=_since())
        .exclude(Exists(newer))
        .exclude(Exists(later))
        .exclude(Exists(serving))
        .exclude(Exists(before))
        .select_related("checkpoint__job")
        .defer("report")
        .order_by("-finished_at")[:MOST]
    )
    for one in found:
        url = _url(membership, "checkpoint", one.checkpoint_id)
        if one.passed:
            note = _("Better than what serves. Look at the answers, then promote.")
            yield Waits(one.checkpoint.name, url, note, _("gate open"), "good", "check")
        else:
            note = _("Not good enough to serve. The page says why.")
            yield Waits(one.checkpoint.name, url, note, _("gate closed"), "warn", "alert")


def _failed_jobs(membership: Membership) -> Iterator[Waits]:
    """Failures that the tenant can mend and that nobody started again."""
    again = FineTuningJob.objects.filter(
        deployment_name=OuterRef("deployment_name"), number__gt=OuterRef("number")
    )
    found = (
        FineTuningJob.objects.filter(
            state=State.FAILED, failure_whose=Whose.USER, finished_at__gte=_since()
        )
        .exclude(Exists(again))
        .select_related("tenant")
        .order_by("-finished_at")[:MOST]
    )
    for job in found:
        url, note = _url(membership, "job", job.pk), words.failure(job)
        yield Waits(str(job), url, note, words.state(job), "bad", "alert")


def _failed_imports(membership: Membership) -> Iterator[Waits]:
    """Files that could not be read and that nobody read again into the same dataset."""
    again = ImportRun.objects.filter(
        dataset=OuterRef("dataset"),
        filename=OuterRef("filename"),
        created_at__gt=OuterRef("created_at"),
    )
    found = (
        ImportRun.objects.filter(state=ImportRun.State.FAILED, created_at__gte=_since())
        .exclude(Exists(again))
        .select_related("dataset")
        .defer("faults", "ignored", "findings")
        .order_by("-created_at")[:MOST]
    )
    for run in found:
        url = _url(membership, "dataset", run.dataset_id)
        note = _("The file was not read into %(dataset)s. Its page says why.") % {
            "dataset": run.dataset.name
        }
        yield Waits(run.filename, url, note, str(run.get_state_display()), "bad", "alert")


def _labelling(membership: Membership) -> Iterator[Waits]:
    """Tasks with items that this person has not seen, and disputes for who decides them."""
    mine = Assignment.objects.filter(item=OuterRef("pk"), annotator_id=membership.user_id)
    items = QueueItem.objects.filter(task__state=LabelingTask.State.OPEN)
    unseen = items.filter(state=QueueItem.State.WAITING, gold__isnull=True).exclude(
        Exists(mine.exclude(annotation=None))
    )
    disputed = items.filter(state=QueueItem.State.DISPUTED)
    decides = can_train(membership)
    open_tasks = LabelingTask.objects.filter(state=LabelingTask.State.OPEN)
    left = dict(unseen.order_by().values_list("task").annotate(Count("pk")))
    split = dict(disputed.order_by().values_list("task").annotate(Count("pk"))) if decides else {}
    tasks = open_tasks.filter(Q(pk__in=left) | Q(pk__in=split)).order_by("-created_at")[:MOST]
    for task in tasks:
        if task.pk in left:
            url = _url(membership, "label", task.pk)
            note = _("Items wait for your label. One key labels and goes on.")
            yield Waits(task.name, url, note, _items(left[task.pk]), "busy", "label")
        if task.pk in split:
            url = _url(membership, "adjudicate", task.pk)
            note = _("People labelled these differently. Somebody is to decide.")
            yield Waits(task.name, url, note, _disputes(split[task.pk]), "warn", "alert")


def _webhooks(membership: Membership) -> Iterator[Waits]:
    silent = Q(failing_since__isnull=False) | Q(state=WebhookEndpoint.State.DISABLED)
    by_hand = Q(disabled_reason=WebhookEndpoint.Reason.BY_HAND)
    for endpoint in WebhookEndpoint.objects.filter(silent).exclude(by_hand)[:MOST]:
        url = _url(membership, "webhook", endpoint.pk)
        if endpoint.is_active:
            note = _("Nothing has arrived there lately. Each message says what was answered.")
            yield Waits(endpoint.url, url, note, _("failing"), "warn", "alert")
        else:
            note = _("It was switched off. Mend the receiver, then switch it on again.")
            yield Waits(endpoint.url, url, note, _("switched off"), "bad", "pause")


def _invitations(membership: Membership) -> Iterator[Waits]:
    """Those that ran out: sent again or withdrawn, they wait no more."""
    over = Invitation.objects.filter(
        accepted_at=None,
        revoked_at=None,
        expires_at__lte=timezone.now(),
        expires_at__gte=_since(),
    )
    for invitation in over.order_by("-expires_at")[:MOST]:
        note = _("The invitation was not taken in time. Send it again or withdraw it.")
        url = _url(membership, "members")
        yield Waits(invitation.email, url, note, _("ran out"), "warn", "clock")


def _items(count: int) -> str:
    return ngettext("%(n)s item", "%(n)s items", count) % {"n": number_format(count)}


def _disputes(count: int) -> str:
    return ngettext("%(n)s dispute", "%(n)s disputes", count) % {"n": number_format(count)}


def _url(membership: Membership, name: str, *args: object) -> str:
    return reverse(f"portal:{name}", args=[membership.tenant.slug, *args])


def _since() -> datetime:
    return timezone.now() - RECENT
