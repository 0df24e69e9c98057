"""Examples that a program or a person writes one at a time, and takes away again."""

from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.annotating import refuse_untaught
from labeling.models import Dataset, Example, Label
from labeling.readers.raw import RawRow
from labeling.readers.shapes import canonical
from tenancy.audit import record


def write_example(
    *,
    dataset: Dataset,
    content: dict[str, Any],
    labels: list[str] | None = None,
    external_id: str = "",
    group: str = "",
    subject: str = "",
    state: str = Example.State.DRAFT,
) -> Example:
    """Add one example, read as a line of an import would be.

    Raises ApplicationError `content_invalid` with all faults, ConflictError `example_exists` where
    the dataset has one of this id, or of this content where none is given.
    """
    beside = {"id": external_id, "group": group, "subject": subject, "labels": labels}
    if doubled := sorted(set(beside) & set(content)):
        raise ApplicationError(
            "content_invalid",
            _("“%(name)s” stands beside the content, not in it.") % {"name": doubled[0]},
            field="content",
        )
    # Past the reader: what a file calls "subject" is a title, and here it is a reference.
    del beside["subject"]
    reading = canonical(RawRow(0, content | {name: v for name, v in beside.items() if v}))
    ignored = [name for name in reading.ignored if name not in beside]
    if reading.row is None or ignored:
        raise ApplicationError(
            "content_invalid",
            _("The content is no row that can be learned from."),
            field="content",
            extra={
                "faults": [fault.as_dict() for fault in reading.faults],
                "ignored": ignored,
            },
        )
    row = replace(reading.row, subject=subject)
    refuse_untaught(row, state)
    try:
        with transaction.atomic():
            example = Example.objects.create(
                dataset=dataset,
                kind=row.kind,
                content=dict(row.content),
                labels=list(row.labels),
                passages=[dict(passage) for passage in row.passages],
                external_id=row.external_id,
                group=row.group,
                subject=row.subject,
                state=state,
                source_kind=Example.Source.PERSON,
                source_digest=row.source_digest,
            )
            Label.objects.bulk_create(
                [Label(dataset=dataset, name=name) for name in example.labels],
                ignore_conflicts=True,
            )
    except IntegrityError:
        raise ConflictError(
            "example_exists",
            _("The dataset has an example of this id, or of this content."),
            field="external_id",
        ) from None
    return example


def delete_example(*, example: Example) -> None:
    """Take it away with its history. What was frozen of it stays, for a model learned from that."""
    with transaction.atomic():
        record("example.deleted", example, dataset=str(example.dataset_id))
        example.delete()
