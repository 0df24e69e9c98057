"""Who gets which item next: leased to one person, so that two do not answer by accident."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from labeling.models import Assignment, LabelingTask, QueueItem
from labeling.queue.mix import reasons
from tenancy.querysets import TenantQuerySet

LEASE = timedelta(minutes=30)
MOST_AT_ONCE = 20

Reason, State = QueueItem.Reason, QueueItem.State
Items = TenantQuerySet[QueueItem]


def take_items(
    *, task: LabelingTask, annotator: User, count: int, held: Iterable[UUID] = ()
) -> list[QueueItem]:
    """The person's next items in order: first what was leased to them before, then new ones.

    `held` are those that their page has already. Every lease of theirs is renewed.
    """
    count = min(count, MOST_AT_ONCE)
    now = timezone.now()
    with transaction.atomic():
        # One hand-out of a task at a time: on PostgreSQL two could else choose the same item.
        LabelingTask.objects.select_for_update().get(pk=task.pk)
        own = Assignment.objects.filter(item__task=task, annotator=annotator)
        number = own.count()
        open_ones = own.filter(annotation=None)
        open_ones.update(leased_until=now + LEASE)
        kept = [
            assignment.item
            for assignment in open_ones.filter(item__state=State.WAITING)
            .exclude(item__in=list(held))
            .select_related("item__example")
            .order_by("number")[:count]
        ]
        wanted = count - len(kept) if task.state == LabelingTask.State.OPEN else 0
        new = _choose(task, annotator, number, wanted)
        Assignment.objects.bulk_create(
            Assignment(
                item=item, annotator=annotator, leased_until=now + LEASE, number=number + place
            )
            for place, item in enumerate(new)
        )
    return kept + new


def renew_lease(assignment: Assignment) -> None:
    assignment.leased_until = timezone.now() + LEASE


def left_for(task: LabelingTask, annotator: User) -> int:
    """How many items the person could still be given, gold aside."""
    return free_items(task, annotator).filter(gold__isnull=True).count()


def free_items(task: LabelingTask, annotator: User) -> Items:
    """The items with room for an answer of this person, whom none of them was given to yet."""
    own = Assignment.objects.filter(item__task=task, annotator=annotator)
    live = (
        Assignment.objects.filter(
            item=OuterRef("pk"), annotation=None, leased_until__gt=timezone.now()
        )
        .order_by()
        .values("item")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return (
        QueueItem.objects.filter(task=task, state=State.WAITING)
        .exclude(pk__in=own.values("item"))
        .filter(
            Q(gold__isnull=False) | Q(answers__lt=task.overlap - Coalesce(Subquery(live[:1]), 0))
        )
    )


def _choose(task: LabelingTask, annotator: User, number: int, wanted: int) -> list[QueueItem]:
    if wanted <= 0:
        return []
    order = list(islice(reasons(task, annotator.pk, number), wanted))
    free = free_items(task, annotator).select_related("example")
    needed = {*order, Reason.RANDOM, Reason.DIVERSE}
    piles = {reason: _pile(free, reason, wanted) for reason in needed}
    # What others have begun to answer is finished first.
    begun = list(free.filter(gold__isnull=True, answers__gt=0).order_by("random_rank")[:wanted])
    chosen: dict[UUID, QueueItem] = {}
    for reason in order:
        if reason != Reason.GOLD and begun:
            piles[Reason.DIVERSE] = [begun.pop(0), *piles[Reason.DIVERSE]]
            reason = Reason.DIVERSE
        item, drawn_from = _first(piles, chosen, reason)
        if item is None:
            break
        chosen[item.pk] = item
        if not item.reason:
            item.reason = drawn_from
    QueueItem.objects.bulk_update(chosen.values(), ["reason"])
    return list(chosen.values())


# Where an item comes from when its own pile is empty. What only chance may hand out comes last, and
# keeps its reason: it stays a random sample of the drafts even then.
_INSTEAD = {
    Reason.GOLD: (Reason.GOLD, Reason.UNCERTAIN, Reason.DIVERSE, Reason.RANDOM),
    Reason.UNCERTAIN: (Reason.UNCERTAIN, Reason.DIVERSE, Reason.RANDOM),
    Reason.DIVERSE: (Reason.DIVERSE, Reason.RANDOM),
    Reason.RANDOM: (Reason.RANDOM, Reason.DIVERSE),
}


def _first(
    piles: dict[Any, list[QueueItem]], chosen: dict[UUID, QueueItem], reason: str
) -> tuple[QueueItem | None, str]:
    for instead in _INSTEAD[Reason(reason)]:
        for item in piles.get(instead, ()):
            if item.pk not in chosen:
                return item, instead
    return None, reason


def _pile(free: Items, reason: str, count: int) -> list[QueueItem]:
    if reason == Reason.GOLD:
        return list(free.filter(gold__isnull=False).order_by("random_rank")[:count])
    plain = free.filter(gold__isnull=True)
    if reason == Reason.RANDOM:
        return list(plain.filter(audit=True).order_by("random_rank")[:count])
    picked = plain.filter(audit=False)
    if reason == Reason.UNCERTAIN:
        unsure = picked.exclude(uncertainty=None).order_by("-uncertainty", "random_rank")
        return list(unsure[:count])
    return list(picked.order_by("diverse_rank")[:count])
