"""What becomes of an item when enough people have answered, and when one takes an answer back."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from labeling.annotating import example_follows, row_as_edited, snapshot
from labeling.models import Annotation, Example, LabelingTask, QueueItem
from labeling.rows import canonical_json

State = QueueItem.State
Verdict = Annotation.Verdict


def standing_answers(item: QueueItem) -> list[Annotation]:
    """The answers that count now, the first first; neither what was skipped nor what was undone."""
    found = Annotation.objects.filter(
        pk__in=item.assignments.exclude(annotation=None).values("annotation")
    )
    return list(found.exclude(verdict=Verdict.SKIP).order_by("created_at", "pk"))


def choice_of(annotation: Annotation) -> str:
    """What somebody chose, as one text: two answers are the same if these are."""
    if annotation.verdict == Verdict.REJECT:
        return Verdict.REJECT.value
    if annotation.content is not None:
        return canonical_json(annotation.content)
    return canonical_json(sorted(annotation.labels or []))


def settle(item: QueueItem, task: LabelingTask) -> None:
    """Bring the item, and with it the example, in line with the answers that stand.

    Enough people and more than half of them of one mind: the example follows. Enough and no
    majority: the item waits for an adjudicator. Too few: the example is as it was before.
    """
    if item.gold is not None:
        return
    answers = standing_answers(item)
    item.answers = len(answers)
    if len(answers) < task.overlap:
        item.state, item.unanimous, item.settled_at = State.WAITING, None, None
        _put_back(item)
    else:
        agreed = majority(answers)
        item.unanimous = len({choice_of(one) for one in answers}) == 1
        item.state = State.DONE if agreed else State.DISPUTED
        item.settled_at = timezone.now()
        if agreed:
            follow(item, agreed)
        else:
            _put_back(item)
    item.save(update_fields=["answers", "state", "unanimous", "settled_at", "before"])


def majority(answers: Iterable[Annotation]) -> Annotation | None:
    """The first of the answers that more than half of all gave."""
    given = list(answers)
    counted = Counter(choice_of(one) for one in given)
    choice, votes = counted.most_common(1)[0]
    if votes * 2 <= len(given):
        return None
    return next(one for one in given if choice_of(one) == choice)


def follow(item: QueueItem, annotation: Annotation) -> None:
    """The example takes the answer over; what it was before is kept on the item, once."""
    example = item.example
    if item.before is None:
        item.before = snapshot(example) | {"edited_at": _text(example.edited_at)}
    else:
        _wear(example, item.before)
    row = row_as_edited(example, annotation.labels, annotation.content)
    example_follows(example, row, annotation.verdict)


def _put_back(item: QueueItem) -> None:
    if item.before is None:
        return
    _wear(item.example, item.before)
    item.example.save(update_fields=["content", "labels", "state", "edited_at"])
    item.before = None


def _wear(example: Example, before: dict[str, Any]) -> None:
    example.state, example.labels = before["state"], before["labels"]
    example.content = before["content"]
    example.edited_at = parse_datetime(before["edited_at"]) if before["edited_at"] else None


def _text(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None
