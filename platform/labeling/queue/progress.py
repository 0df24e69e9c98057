"""How far a task is, in figures."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Avg, Count, Q

from labeling.models import Annotation, LabelingTask, QueueItem
from labeling.queue.leases import Items

State = QueueItem.State


def figures_of(tasks: Iterable[LabelingTask]) -> dict[Any, dict[str, Any]]:
    """By task: items, done, disputed, answers, seconds (the mean of an answer)."""
    keys = [task.pk for task in tasks]
    found: dict[Any, dict[str, Any]] = {
        key: {"items": 0, "done": 0, "disputed": 0, "answers": 0, "seconds": None} for key in keys
    }
    rows: Items = QueueItem.objects.filter(task__in=keys, gold__isnull=True)
    settled = Q(state__in=(State.DONE, State.ADJUDICATED))
    counted = (
        rows.order_by()
        .values("task")
        .annotate(
            items=Count("pk"),
            done=Count("pk", filter=settled),
            disputed=Count("pk", filter=Q(state=State.DISPUTED)),
        )
    )
    for one in counted:
        found[one["task"]].update(items=one["items"], done=one["done"], disputed=one["disputed"])
    said = Annotation.objects.filter(
        task__in=keys, final=False, undone_by=None, verdict__in=("accept", "reject")
    )
    for row in said.order_by().values("task").annotate(answers=Count("pk"), seconds=Avg("seconds")):
        found[row["task"]].update(answers=row["answers"], seconds=row["seconds"])
    return found
