"""Which items a model should look at before people do, and what it said of them.

The engine is asked by gpt_core, above this package; here stands what to ask about, and the answers.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from labeling.models import Assignment, LabelingTask, QueueItem, Suggestion
from labeling.queue.leases import Items

logger = logging.getLogger(__name__)

# Items of each pile that are looked at ahead, for each person at work; and how many stand ready for
# the choice of the most uncertain ones.
LOOK_AHEAD = 40
POOL = 120
LEASE = timedelta(seconds=60)


def lacking(task: LabelingTask, model: str | None, limit: int) -> list[QueueItem]:
    """The items to ask about next, the soonest needed first. Without `model`, those that no model
    has looked at."""
    now = timezone.now()
    held = Assignment.objects.filter(item__task=task, annotation=None, leased_until__gt=now)
    ahead = LOOK_AHEAD * max(1, held.values("annotator").distinct().count())
    said = Suggestion.objects.filter(item=OuterRef("pk"))
    asked = Exists(said.filter(model=model) if model is not None else said)
    waiting: Items = QueueItem.objects.filter(task=task, state=QueueItem.State.WAITING)
    plain = waiting.filter(gold__isnull=True)
    picked = plain.filter(audit=False)
    missing = POOL - picked.filter(asked).count()
    piles = [
        waiting.filter(pk__in=held.values("item")),
        picked.order_by("diverse_rank")[:ahead],
        plain.filter(audit=True).order_by("random_rank")[:ahead],
        waiting.filter(gold__isnull=False).order_by("random_rank")[:ahead],
        picked.exclude(asked).order_by("random_rank")[: max(0, missing)],
    ]
    found: dict[Any, QueueItem] = {}
    for pile in piles:
        rows = QueueItem.objects.filter(pk__in=[item.pk for item in pile]).exclude(asked)
        for item in rows.select_related("example").order_by("diverse_rank"):
            found.setdefault(item.pk, item)
        if len(found) >= limit:
            break
    return list(found.values())[:limit]


def store_suggestions(
    *,
    model: str,
    digest: str,
    logprobs: Mapping[QueueItem, Mapping[str, float]],
) -> None:
    """Keep what a model thinks of each item: the log-probability of every label.

    Confidence is the softmax over whole answers, the end of the turn included: what the model
    itself would give each label if it had to choose among them. Lengths are not evened out, since
    the figures are those of whole answers already. It is not calibrated.
    """
    rows, items = [], []
    for item, found in logprobs.items():
        shares = softmax(found)
        label = max(shares, key=lambda name: shares[name])
        best, second, *_rest = [*sorted(shares.values(), reverse=True), 0.0]
        item.uncertainty = 1.0 - (best - second)
        items.append(item)
        rows.append(
            Suggestion(
                item=item,
                model=model,
                digest=digest,
                label=label,
                confidence=best,
                probabilities={name: round(share, 6) for name, share in shares.items()},
            )
        )
    with transaction.atomic():
        Suggestion.objects.bulk_create(rows, ignore_conflicts=True)
        QueueItem.objects.bulk_update(items, ["uncertainty"])


def softmax(logprobs: Mapping[str, float]) -> dict[str, float]:
    highest = max(logprobs.values())
    powers = {name: math.exp(value - highest) for name, value in logprobs.items()}
    total = math.fsum(powers.values())
    return {name: power / total for name, power in powers.items()}


def newest_of(items: Iterable[QueueItem]) -> dict[Any, Suggestion]:
    """The last suggestion for each item, by the item's key."""
    rows = Suggestion.objects.filter(item__in=[item.pk for item in items]).order_by("created_at")
    return {row.item_id: row for row in rows}


# --- Who computes, and when ----------------------------------------------------------------------


def claim(task: LabelingTask) -> bool:
    """Have the task's suggestions to oneself for a minute; False where another worker has."""
    now = timezone.now()
    free = Q(suggesting_until=None) | Q(suggesting_until__lt=now)
    rows = LabelingTask.objects.filter(free, pk=task.pk)
    return bool(rows.update(suggesting_until=now + LEASE))


def renew(task: LabelingTask) -> None:
    LabelingTask.objects.filter(pk=task.pk).update(suggesting_until=timezone.now() + LEASE)


def release(task: LabelingTask) -> None:
    LabelingTask.objects.filter(pk=task.pk).update(suggesting_until=None)


def ring_if_low(task: LabelingTask) -> None:
    """Say "look" once the look-ahead has fallen; beat says it again where the bell is lost."""
    if not task.suggester or task.is_review or task.state != LabelingTask.State.OPEN:
        return
    busy = task.suggesting_until is not None and task.suggesting_until > timezone.now()
    if busy or not lacking(task, None, 1):
        return
    transaction.on_commit(
        lambda: ring(
            "gpt_core.tasks.suggest_ahead",
            "answers",
            tenant_id=str(task.tenant_id),
            task_id=str(task.pk),
        )
    )


def ring(task_name: str, queue: str, **arguments: str) -> None:
    """The task is named by its name, for it may belong to a package above this one."""
    try:
        current_app.send_task(task_name, kwargs=arguments, queue=queue, retry=False, expires=3600)
    except (BrokerError, OSError) as error:
        logger.warning("the broker does not answer, the doorbell rings later: %s", error)
