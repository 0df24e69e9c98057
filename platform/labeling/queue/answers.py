"""Answers come in, each once, and are taken back by adding, never by changing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ApplicationError, ConflictError, NotFoundError
from labeling.annotating import annotate_example
from labeling.models import Annotation, Assignment, LabelingTask, QueueItem
from labeling.queue.leases import LEASE
from labeling.queue.settlement import settle

Verdict = Annotation.Verdict

# Whoever looks at one item for longer was not looking at it.
MOST_SECONDS = 600.0
VERDICTS = {
    LabelingTask.Mode.SINGLE: {Verdict.ACCEPT, Verdict.SKIP},
    LabelingTask.Mode.MULTI: {Verdict.ACCEPT, Verdict.SKIP},
    LabelingTask.Mode.REVIEW: {Verdict.ACCEPT, Verdict.REJECT, Verdict.SKIP},
}


@dataclass(frozen=True)
class Answer:
    """What a person said of an item. `client_id` is its identity: the same one is stored once."""

    client_id: UUID
    item: UUID
    verdict: str
    labels: list[str] = field(default_factory=list)
    content: Mapping[str, Any] | None = None
    seconds: float | None = None
    suggestion: Mapping[str, Any] | None = None


def answer_item(*, task: LabelingTask, annotator: User, answer: Answer) -> tuple[Annotation, bool]:
    """Store an answer: (the annotation, whether it is new).

    A lease that ran out loses nobody's work: the answer counts beside the others. Raises
    NotFoundError, ApplicationError `answer_invalid`, ConflictError `already_answered` (this person
    answered the item otherwise), `already_adjudicated`, `client_id_taken`.
    """
    if (known := _known(answer.client_id, annotator)) is not None:
        return known, False
    check_answer(task, answer.verdict, answer.labels)
    try:
        with transaction.atomic():
            item = _locked(task, answer.item)
            if item.state == QueueItem.State.ADJUDICATED:
                raise ConflictError(
                    "already_adjudicated", _("This item was decided in the meantime.")
                )
            assignment, _made = Assignment.objects.get_or_create(
                item=item, annotator=annotator, defaults={"leased_until": timezone.now()}
            )
            if assignment.annotation_id is not None:
                raise ConflictError(
                    "already_answered", _("You have answered this item already, in another tab.")
                )
            accepted = answer.verdict == Verdict.ACCEPT
            annotation = annotate_example(
                example=item.example,
                annotator=annotator,
                verdict=answer.verdict,
                labels=sorted(set(answer.labels)) if accepted and not task.is_review else None,
                content=dict(answer.content) if accepted and answer.content else None,
                seconds=_clamped(answer.seconds),
                follow=False,
                task=task,
                client_id=answer.client_id,
                suggestion=dict(answer.suggestion) if answer.suggestion else None,
            )
            assignment.annotation = annotation
            assignment.save(update_fields=["annotation"])
            settle(item, task)
    except IntegrityError:
        # The same answer came twice at the same moment, and the other one was quicker.
        if (known := _known(answer.client_id, annotator)) is None:
            raise
        return known, False
    return annotation, True


def undo_answer(
    *, task: LabelingTask, annotator: User, client_id: UUID, undoes: UUID
) -> tuple[Annotation, bool]:
    """Take back the person's answer that carries the id `undoes`: (the added row, whether new).

    The item is leased to them anew. Raises ConflictError `nothing_to_undo`, `already_adjudicated`.
    """
    if (known := _known(client_id, annotator)) is not None:
        return known, False
    with transaction.atomic():
        said = Annotation.objects.filter(task=task, annotator=annotator, client_id=undoes).first()
        assignment = (
            Assignment.objects.filter(item__task=task, annotator=annotator, annotation=said)
            .select_related("item")
            .first()
            if said is not None
            else None
        )
        if said is None or assignment is None:
            raise ConflictError("nothing_to_undo", _("There is no answer to take back."))
        item = _locked(task, assignment.item_id)
        if item.state == QueueItem.State.ADJUDICATED:
            raise ConflictError("already_adjudicated", _("This item was decided in the meantime."))
        undone = annotate_example(
            example=item.example,
            annotator=annotator,
            verdict=Verdict.UNDO,
            follow=False,
            task=task,
            client_id=client_id,
            undoes=said,
        )
        assignment.annotation = None
        assignment.leased_until = timezone.now() + LEASE
        assignment.save(update_fields=["annotation", "leased_until"])
        settle(item, task)
    return undone, True


def _known(client_id: UUID, annotator: User) -> Annotation | None:
    """What is stored under this id already. Raises ConflictError where it is another's."""
    found = Annotation.objects.filter(client_id=client_id).first()
    if found is not None and found.annotator_id != annotator.pk:
        raise ConflictError("client_id_taken", _("Another answer carries this id."))
    return found


def _locked(task: LabelingTask, item_id: UUID) -> QueueItem:
    rows = QueueItem.objects.select_for_update(of=("self",)).select_related("example")
    item = rows.filter(task=task, pk=item_id).first()
    if item is None:
        raise NotFoundError
    return item


def check_answer(task: LabelingTask, verdict: str, labels: list[str]) -> None:
    """Raises ApplicationError `answer_invalid` for what the task does not allow."""
    if verdict not in VERDICTS[LabelingTask.Mode(task.mode)]:
        raise _invalid("verdict")
    if verdict != Verdict.ACCEPT or task.is_review:
        return
    given = set(labels)
    alone = task.mode == LabelingTask.Mode.SINGLE
    if not given or not given <= set(task.label_names) or (alone and len(given) > 1):
        raise _invalid("labels")


def _invalid(where: str) -> ApplicationError:
    return ApplicationError("answer_invalid", _("This is no answer to the task."), field=where)


def _clamped(seconds: float | None) -> float | None:
    if seconds is None or not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), MOST_SECONDS)
