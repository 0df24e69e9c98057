"""The queue of a task, filled from its dataset's drafts. Runs in a worker, again and again."""

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from labeling.models import Example, LabelingTask, QueueItem
from labeling.querysets import ExampleQuerySet
from labeling.queue.mix import is_audit, rank
from labeling.rows import spoken_text

# Behind everything that was compared, in the order of chance.
NOT_COMPARED = 1 << 20


def missing_drafts(task: LabelingTask) -> ExampleQuerySet:
    """The dataset's drafts that the task has no item for yet."""
    known = QueueItem.objects.filter(task=task, example=OuterRef("pk"))
    return Example.objects.filter(dataset_id=task.dataset_id, state=Example.State.DRAFT).exclude(
        Exists(known)
    )


def needs_building(task: LabelingTask) -> bool:
    return task.built_at is None or missing_drafts(task).exists()


def build_queue(*, task: LabelingTask) -> int:
    """Add an item for every draft that has none, and the gold items; the number of new ones.

    May be run by several at once and be killed anywhere: what is there is not made twice.
    """
    added = 0
    for page in missing_drafts(task).in_pages():
        items = [
            QueueItem(
                task=task,
                example=example,
                audit=is_audit(task, example.pk),
                random_rank=rank(task.seed, example.pk),
                diverse_rank=NOT_COMPARED + rank(task.seed, example.pk) % NOT_COMPARED,
            )
            for example in page
        ]
        QueueItem.objects.bulk_create(items, ignore_conflicts=True)
        added += len(items)
    added += _add_gold(task)
    if added or task.built_at is None:
        _rank_by_difference(task)
        LabelingTask.objects.filter(pk=task.pk).update(built_at=timezone.now())
    return added


def _add_gold(task: LabelingTask) -> int:
    """Items whose answers are known: accepted examples, drawn at random among those that fit."""
    have = QueueItem.objects.filter(task=task).filter(gold__isnull=False).count()
    wanted = task.gold_count - have if not task.is_review else 0
    if wanted <= 0:
        return 0
    accepted = Example.objects.filter(
        dataset_id=task.dataset_id, state=Example.State.ACCEPTED
    ).exclude(queue_items__task=task)
    known = sorted(
        (
            (rank(task.seed, f"gold:{pk}"), pk, labels)
            for pk, labels in accepted.values_list("pk", "labels")
            if labels and fits(task, labels)
        ),
    )
    items = [
        QueueItem(
            task=task,
            example_id=pk,
            gold=labels,
            reason=QueueItem.Reason.GOLD,
            random_rank=place,
            diverse_rank=place,
        )
        for place, pk, labels in known[:wanted]
    ]
    QueueItem.objects.bulk_create(items, ignore_conflicts=True)
    return len(items)


def fits(task: LabelingTask, labels: list[str]) -> bool:
    """Whether these could be an answer to the task."""
    known = set(task.label_names)
    alone = task.mode == LabelingTask.Mode.SINGLE
    return bool(labels) and known.issuperset(labels) and not (alone and len(labels) != 1)


def _rank_by_difference(task: LabelingTask) -> None:
    from labeling.queue.diversity import MOST_COMPARED, farthest_first

    waiting = list(
        QueueItem.objects.filter(
            task=task, state=QueueItem.State.WAITING, gold__isnull=True, audit=False, answers=0
        )
        .select_related("example")
        .order_by("random_rank")[:MOST_COMPARED]
    )
    order = farthest_first([spoken_text(item.example.content) for item in waiting])
    for place, at in enumerate(order):
        waiting[at].diverse_rank = place
    with transaction.atomic():
        QueueItem.objects.bulk_update(
            [waiting[at] for at in order], ["diverse_rank"], batch_size=500
        )
