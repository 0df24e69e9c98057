"""People make their datasets, and judge and correct examples."""

from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.faults import Fault
from labeling.models import Annotation, Dataset, Example, Label, VersionRow
from labeling.readers.raw import RawRow
from labeling.readers.shapes import canonical
from labeling.rows import Row, teaches
from tenancy.audit import record

STATE_AFTER = {
    Annotation.Verdict.ACCEPT: Example.State.ACCEPTED,
    Annotation.Verdict.REJECT: Example.State.REJECTED,
}


def create_dataset(
    *, name: str, slug: str = "", description: str = "", language: str = ""
) -> Dataset:
    """Make an empty dataset. Raises ConflictError `dataset_exists` where the address is taken."""
    # A name in Chinese has no letters to make an address of.
    address = slug or slugify(name)[:63] or "dataset"
    try:
        with transaction.atomic():
            dataset = Dataset.objects.create(
                name=name, slug=address, description=description, language=language
            )
            record("dataset.created", dataset)
    except IntegrityError:
        raise ConflictError(
            "dataset_exists", _("There is already a dataset at this address."), field="slug"
        ) from None
    return dataset


def create_dataset_of_any_address(*, name: str, **fields: str) -> Dataset:
    """Make an empty dataset; where another has the address that its name gives, at one of its own."""
    try:
        return create_dataset(name=name, **fields)
    except ConflictError:
        return create_dataset(name=name, slug=f"dataset-{uuid4().hex[:8]}", **fields)


def rename_dataset(
    *, dataset: Dataset, name: str, description: str = "", language: str = ""
) -> Dataset:
    """Call it something else. Its address stays, for checkpoints and scripts refer to it."""
    dataset.name, dataset.description, dataset.language = name, description, language
    with transaction.atomic():
        dataset.save(update_fields=["name", "description", "language"])
        record("dataset.renamed", dataset)
    return dataset


def delete_dataset(*, dataset: Dataset) -> None:
    """Remove it with all that it holds. Raises ConflictError `dataset_in_use` where a job learned
    from one of its versions: what a model knows must stay explainable."""
    try:
        with transaction.atomic():
            record("dataset.deleted", dataset, examples=dataset.examples.count())
            # Rows that nothing refers to go in one statement each.
            VersionRow.objects.filter(version__dataset=dataset).delete()
            Annotation.objects.filter(example__dataset=dataset).delete()
            dataset.delete()
    except ProtectedError:
        raise ConflictError(
            "dataset_in_use",
            _(
                "A job learned from this dataset, so it has to stay: it explains what a model knows."
            ),
        ) from None


def snapshot(example: Example) -> dict[str, Any]:
    """What an annotation may change of an example, as it is now."""
    return {"state": example.state, "labels": example.labels, "content": example.content}


def annotate_example(
    *,
    example: Example,
    annotator: Any,
    verdict: str,
    labels: list[str] | None = None,
    content: dict[str, Any] | None = None,
    seconds: float | None = None,
    follow: bool = True,
    **circumstances: Any,
) -> Annotation:
    """Note what a person made of an example, and let the example follow at once.

    With `follow=False` the example waits until others have answered (labeling.queue.settlement).
    `circumstances` are other columns of the annotation. Raises ApplicationError `content_invalid`
    with all faults of an edited content.
    """
    row = row_as_edited(example, labels, content) if follow or verdict == "accept" else None
    if row is not None:
        refuse_untaught(row, STATE_AFTER.get(Annotation.Verdict(verdict), example.state))
    with transaction.atomic():
        annotation = Annotation.objects.create(
            example=example,
            annotator=annotator,
            verdict=verdict,
            labels=labels,
            content=content,
            seconds=seconds,
            before=snapshot(example),
            **circumstances,
        )
        if follow and row is not None:
            example_follows(example, row, verdict)
    return annotation


def row_as_edited(
    example: Example, labels: list[str] | None, content: dict[str, Any] | None
) -> Row:
    """The example's canonical row with another content or other labels. Raises `content_invalid`."""
    edited = dict(content) if content is not None else dict(example.content)
    worn = list(labels) if labels is not None else list(example.labels)
    reading = canonical(RawRow(0, edited | ({"labels": worn} if worn else {})))
    if reading.row is None or reading.row.kind != example.kind:
        raise ApplicationError(
            "content_invalid",
            _("The edited content is no row of this kind."),
            field="content",
            extra={"faults": [fault.as_dict() for fault in reading.faults]},
        )
    return reading.row


def refuse_untaught(row: Row, state: str) -> None:
    """Raises `content_invalid` for a text that would be accepted without a label."""
    if state == Example.State.ACCEPTED and not teaches(row.kind, row.labels):
        raise ApplicationError(
            "content_invalid",
            _("A text is accepted with a label, never without."),
            field="labels",
            extra={"faults": [Fault("labels_missing", pointer="/labels").as_dict()]},
        )


def example_follows(example: Example, row: Row, verdict: str) -> None:
    """Take over what was decided. From then on no import overwrites the example."""
    example.content = dict(row.content)
    example.labels = list(row.labels)
    example.state = STATE_AFTER.get(Annotation.Verdict(verdict), example.state)
    example.edited_at = timezone.now()
    example.save(update_fields=["content", "labels", "state", "edited_at"])
    Label.objects.bulk_create(
        [Label(dataset_id=example.dataset_id, name=name) for name in example.labels],
        ignore_conflicts=True,
    )
