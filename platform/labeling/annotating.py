"""People make their datasets, and judge and correct examples."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.models import Annotation, Dataset, Example, Label
from labeling.readers.raw import RawRow
from labeling.readers.shapes import canonical
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


def annotate_example(
    *,
    example: Example,
    annotator: Any,
    verdict: str,
    labels: list[str] | None = None,
    content: dict[str, Any] | None = None,
    seconds: float | None = None,
) -> Annotation:
    """Note what a person made of an example, and let the example follow.

    From then on no import overwrites the example. Raises ApplicationError `content_invalid` with
    all faults of an edited content.
    """
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
    with transaction.atomic():
        annotation = Annotation.objects.create(
            example=example,
            annotator=annotator,
            verdict=verdict,
            labels=labels,
            content=content,
            seconds=seconds,
        )
        example.content = dict(reading.row.content)
        example.labels = list(reading.row.labels)
        example.state = STATE_AFTER.get(Annotation.Verdict(verdict), example.state)
        example.edited_at = timezone.now()
        example.save(update_fields=["content", "labels", "state", "edited_at"])
        Label.objects.bulk_create(
            [Label(dataset_id=example.dataset_id, name=name) for name in example.labels],
            ignore_conflicts=True,
        )
    return annotation
