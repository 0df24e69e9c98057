"""One decision about many examples: made a page at a time, noted on each, undone as a whole."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.annotating import snapshot
from labeling.finding import Filters
from labeling.models import Annotation, BulkChange, Dataset, Example, Label, Work
from labeling.rows import MAX_LABEL_CHARACTERS, MAX_LABELS, content_digest, teaches
from tenancy.audit import record

if TYPE_CHECKING:
    from labeling.work import Hold

PAGE = 500
# As many as a person does not notice waiting for.
AT_ONCE = 500

Action = BulkChange.Action
_VERDICTS = {
    Action.ACCEPT: Annotation.Verdict.ACCEPT,
    Action.REJECT: Annotation.Verdict.REJECT,
    Action.ADD_LABEL: Annotation.Verdict.EDIT,
    Action.REMOVE_LABEL: Annotation.Verdict.EDIT,
    Action.UNDO: Annotation.Verdict.UNDO,
}
_STATES = {Action.ACCEPT: Example.State.ACCEPTED, Action.REJECT: Example.State.REJECTED}


def change_examples(
    *, dataset: Dataset, filters: Filters, action: str, label: str = "", actor: Any = None
) -> BulkChange:
    """Accept, reject or label every example that the filters mean now.

    Few are changed at once, many by a worker. Raises ApplicationError `label_invalid` or
    `action_unknown`, ConflictError `work_running` while another change of the dataset runs.
    """
    from labeling import work

    if action not in Action.values or action == Action.UNDO:
        raise ApplicationError("action_unknown", _("There is no such action."), field="action")
    name = label.strip()
    if action in (Action.ADD_LABEL, Action.REMOVE_LABEL):
        if not 1 <= len(name) <= MAX_LABEL_CHARACTERS:
            raise ApplicationError(
                "label_invalid",
                _("Write a label of 1 to %(limit)d characters.") % {"limit": MAX_LABEL_CHARACTERS},
                field="label",
            )
    else:
        name = ""
    total = filters.of(dataset).count()
    with transaction.atomic():
        _refuse_a_second(dataset)
        change = BulkChange.objects.create(
            dataset=dataset,
            action=action,
            label=name,
            filters=filters.chosen(),
            total=total,
            actor=actor,
        )
        record("examples.changed", change, did=action, examples=total, dataset=str(dataset.pk))
    work.begin(change, at_once=total <= AT_ONCE)
    return change


def undo_change(*, change: BulkChange, actor: Any = None) -> BulkChange:
    """Put back what the change did, but for examples that somebody has touched since.

    Raises ConflictError `undo_refused` where it still runs, is undone already or is an undoing.
    """
    from labeling import work

    with transaction.atomic():
        _refuse_a_second(change.dataset)
        if change.action == Action.UNDO or change.undone_by.exists():
            raise ConflictError("undo_refused", _("This change cannot be undone any more."))
        back = BulkChange.objects.create(
            dataset=change.dataset,
            action=Action.UNDO,
            undoes=change,
            total=change.annotations.count(),
            actor=actor,
        )
        record("examples.change_undone", change, examples=back.total)
    work.begin(back, at_once=back.total <= AT_ONCE)
    return back


def apply_change(hold: "Hold") -> None:
    """See a change through, a page of examples in each transaction."""
    change = hold.row
    assert isinstance(change, BulkChange)
    done = 0
    for page in _pages(change):
        with transaction.atomic():
            examples = Example.objects.select_for_update().in_bulk(page)
            done += len(page)
            hold.write(done=done, share=min(1.0, done / max(1, change.total)))
            _change_page(change, [examples[pk] for pk in page if pk in examples])
        hold.progress(done / max(1, change.total), done)
    hold.end(Work.State.DONE, done=done, share=1)


def _refuse_a_second(dataset: Dataset) -> None:
    """Two at once would each undo what the other noted as before."""
    Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
    if BulkChange.objects.open().filter(dataset=dataset).exists():
        raise ConflictError(
            "work_running", _("Another change of these examples is under way. Wait for its end.")
        )


def _pages(change: BulkChange) -> Iterator[list[Any]]:
    """The ids of the examples that are meant, by id, without those that had their turn."""
    if change.action == Action.UNDO:
        later = Annotation.objects.filter(
            example=OuterRef("example"), created_at__gt=OuterRef("created_at")
        )
        mine = Annotation.objects.filter(bulk_change=change.undoes_id).exclude(Exists(later))
        rows = Example.objects.filter(pk__in=mine.values("example"))
    else:
        rows = Filters.read(change.filters).of(change.dataset)
        rows = rows.filter(created_at__lte=change.created_at)
    had_turn = Annotation.objects.filter(example=OuterRef("pk"), bulk_change=change)
    rows = rows.exclude(Exists(had_turn)).order_by("pk")
    after = None
    while page := list(
        (rows.filter(pk__gt=after) if after else rows).values_list("pk", flat=True)[:PAGE]
    ):
        yield page
        after = page[-1]


def _change_page(change: BulkChange, examples: list[Example]) -> None:
    now = timezone.now()
    before = _before(change, examples)
    noted, changed = [], []
    for example in examples:
        was = snapshot(example)
        if not _change_one(change, example, before.get(example.pk)):
            continue
        example.edited_at = now
        changed.append(example)
        noted.append(
            Annotation(
                example=example,
                annotator_id=change.actor_id,
                verdict=_VERDICTS[Action(change.action)],
                labels=example.labels if example.labels != was["labels"] else None,
                before=was,
                bulk_change=change,
            )
        )
    Annotation.objects.bulk_create(noted)
    if (state := _STATES.get(Action(change.action))) is not None:
        Example.objects.filter(pk__in=[one.pk for one in changed]).update(
            state=state, edited_at=now
        )
        return
    for example in changed:
        example.content_digest = content_digest(
            example.kind, example.content, example.labels, example.passages
        )
        example.note_what_follows()
    columns = ["state", "labels", "content_digest", "edited_at", *Example.FOLLOWING]
    Example.objects.bulk_update(changed, columns, batch_size=100)
    if change.action == Action.ADD_LABEL and changed:
        Label.objects.bulk_create(
            [Label(dataset=change.dataset, name=change.label)], ignore_conflicts=True
        )


def _before(change: BulkChange, examples: list[Example]) -> dict[Any, dict[str, Any]]:
    """For an undoing: what each example was before the change."""
    if change.action != Action.UNDO:
        return {}
    noted = Annotation.objects.filter(bulk_change=change.undoes_id, example__in=examples)
    return {one.example_id: one.before or {} for one in noted}


def _change_one(change: BulkChange, example: Example, before: dict[str, Any] | None) -> bool:
    """Whether there was anything to change."""
    state, labels = example.state, list(example.labels)
    match change.action:
        case Action.ACCEPT if not teaches(example.kind, labels):
            return False
        case Action.ACCEPT | Action.REJECT:
            example.state = _STATES[Action(change.action)]
        case Action.ADD_LABEL if change.label not in labels and len(labels) < MAX_LABELS:
            example.labels = [*labels, change.label]
        case Action.REMOVE_LABEL if change.label in labels:
            rest = [label for label in labels if label != change.label]
            example.labels = rest if teaches(example.kind, rest) else labels
        case Action.UNDO if before:
            example.state = before["state"]
            example.labels = before["labels"]
    return (state, labels) != (example.state, example.labels)
