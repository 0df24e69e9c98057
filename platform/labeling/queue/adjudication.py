"""Where people disagree somebody decides, once and for all."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, IntegerField, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ConflictError, NotFoundError
from labeling.annotating import annotate_example
from labeling.models import Annotation, LabelingTask, QueueItem
from labeling.queue.answers import check_answer
from labeling.queue.leases import Items
from labeling.queue.settlement import follow
from tenancy.audit import record

State = QueueItem.State


def disagreements(task: LabelingTask) -> Items:
    """What may be decided: first the items without a majority, then those outvoted."""
    open_ones = Q(state=State.DISPUTED) | Q(state=State.DONE, unanimous=False)
    first = Case(
        When(state=State.DISPUTED, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    return QueueItem.objects.filter(open_ones, task=task).order_by(first, "settled_at", "pk")


def adjudicate_item(
    *,
    task: LabelingTask,
    item_id: UUID,
    adjudicator: Any,
    verdict: str,
    labels: list[str] | None = None,
    content: dict[str, Any] | None = None,
) -> Annotation:
    """Decide an item against every answer but this one; no later answer changes it.

    Raises NotFoundError, ApplicationError `answer_invalid`, ConflictError `not_disputed`.
    """
    check_answer(task, verdict, labels or [])
    with transaction.atomic():
        rows = QueueItem.objects.select_for_update(of=("self",)).select_related("example")
        item = rows.filter(task=task, pk=item_id).first()
        if item is None:
            raise NotFoundError
        disputed = item.state == State.DISPUTED or (
            item.state == State.DONE and item.unanimous is False
        )
        if not disputed:
            raise ConflictError("not_disputed", _("There is nothing to decide about this item."))
        annotation = annotate_example(
            example=item.example,
            annotator=adjudicator if isinstance(adjudicator, User) else None,
            verdict=verdict,
            labels=sorted(set(labels)) if labels and not task.is_review else None,
            content=content,
            follow=False,
            task=task,
            final=True,
        )
        follow(item, annotation)
        item.state, item.settled_at = State.ADJUDICATED, timezone.now()
        item.save(update_fields=["state", "settled_at", "before"])
        record("labeling.adjudicated", item, task=str(task.pk), annotation=str(annotation.pk))
    return annotation
