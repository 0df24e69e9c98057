"""The names that examples of a dataset may carry: added, described, renamed on all that wear them, removed."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.annotating import snapshot
from labeling.finding import Wears
from labeling.models import Annotation, Dataset, Example, Label
from labeling.querysets import ExampleQuerySet
from labeling.rows import content_digest
from tenancy.audit import record

# A rename is one transaction; what more examples wear is renamed by a change of many examples.
MOST_RENAMED = 5_000


def create_label(*, dataset: Dataset, name: str, description: str = "") -> Label:
    """A name that may be given from now on. Raises ConflictError `label_exists`."""
    try:
        with transaction.atomic():
            label = Label.objects.create(
                dataset=dataset, name=_checked(name), description=description
            )
            record("label.created", label, dataset=str(dataset.pk))
    except IntegrityError:
        raise _taken() from None
    return label


def change_label(
    *, label: Label, name: str | None = None, description: str | None = None, actor: Any = None
) -> Label:
    """Describe it otherwise, or call it otherwise, together with every example that wears it.

    Raises ConflictError `label_exists`, or `label_worn` where too many wear it.
    """
    before = label.name
    label.name = _checked(name) if name is not None else before
    if description is not None:
        label.description = description
    try:
        with transaction.atomic():
            label.save(update_fields=["name", "description"])
            renamed = _rename_on_examples(label, before, actor) if label.name != before else 0
            record("label.changed", label, examples=renamed)
    except IntegrityError:
        raise _taken() from None
    return label


def delete_label(*, label: Label) -> None:
    """Take the name away. Raises ConflictError `label_worn` while an example wears it: what was
    taught is not forgotten by the way."""
    with transaction.atomic():
        worn = wearers(label.dataset_id, label.name).count()
        if worn:
            raise _worn(worn)
        record("label.deleted", label, dataset=str(label.dataset_id))
        label.delete()


def wearers(dataset_id: UUID, name: str) -> ExampleQuerySet:
    """The examples of a dataset that wear this label."""
    worn: ExampleQuerySet = Example.objects.filter(dataset_id=dataset_id)
    return worn.filter(Wears(F("labels"), Value(name)))


def _rename_on_examples(label: Label, before: str, actor: Any) -> int:
    worn = wearers(label.dataset_id, before).select_for_update().order_by("pk")
    examples = list(worn[: MOST_RENAMED + 1])
    if len(examples) > MOST_RENAMED:
        raise _worn(worn.count())
    now = timezone.now()
    noted = []
    for example in examples:
        was = snapshot(example)
        # One that wears both names wears the new one once, where it stood first.
        renamed = (label.name if name == before else name for name in example.labels)
        example.labels = list(dict.fromkeys(renamed))
        example.edited_at = now
        example.content_digest = content_digest(
            example.kind, example.content, example.labels, example.passages
        )
        example.note_what_follows()
        noted.append(
            Annotation(
                example=example,
                annotator=actor,
                verdict=Annotation.Verdict.EDIT,
                labels=example.labels,
                before=was,
            )
        )
    Annotation.objects.bulk_create(noted, batch_size=500)
    columns = ["labels", "content_digest", "edited_at", *Example.FOLLOWING]
    Example.objects.bulk_update(examples, columns, batch_size=100)
    return len(examples)


def _checked(name: str) -> str:
    if not name.strip():
        raise ApplicationError("label_invalid", _("A label needs a name."), field="name")
    return name.strip()


def _taken() -> ConflictError:
    return ConflictError("label_exists", _("The dataset has this label already."), field="name")


def _worn(worn: int) -> ConflictError:
    return ConflictError(
        "label_worn",
        _("%(worn)d examples wear this label. Take it off them first.") % {"worn": worn},
        extra={"worn": worn},
    )
