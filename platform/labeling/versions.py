"""Freeze the accepted examples of a dataset: split, cleaned of near-copies, hashed, for good."""

import hashlib
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.candidates import Candidate, give_places, is_too_small, left_out, named_group
from labeling.grounding import rendered
from labeling.models import Dataset, DatasetVersion, Example, VersionRow
from labeling.querysets import PAGE
from labeling.rows import canonical_json, spoken_text
from labeling.splits import (
    LEAST_GROUPS,
    LEAST_ROWS,
    LEAST_TEST_ROWS,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Shares,
    place,
)
from tenancy.audit import record

Progress = Callable[[float], None]


def freeze_version(
    *,
    dataset: Dataset,
    seed: int = 0,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
    validation: Dataset | None = None,
    progress: Progress | None = None,
    on_written: Callable[[DatasetVersion], None] | None = None,
) -> DatasetVersion:
    """Freeze the accepted examples as the next version of the dataset.

    With `validation`, the examples of that dataset are the validation split, and the share that it
    would have had is trained on. What both say is learned from, and is not validated with.

    `shares` are those of train, validation and test. Of rows that teach exactly the same, the
    first is kept. A test row that is nearly a copy of a train row is left out, and so is a
    validation row that is nearly a copy of a train or test row; `counts["left_out"]` says how
    many. Rows of one group stay together. The same examples and seed give the same digest.
    `on_written` is called in the transaction of the version, and undoes it by raising.
    Raises ApplicationError `dataset_too_small`, `dataset_too_uniform`, `shares_invalid`, or
    `dataset_changed` where somebody edited an example meanwhile.
    """
    try:
        wanted = Shares(*shares)
    except (TypeError, ValueError):
        raise ApplicationError(
            "shares_invalid",
            _("The shares must be three numbers above 0 that add up to 1."),
            field="shares",
        ) from None
    report = progress or (lambda share: None)
    # Comparing takes long, so it is done before the transaction; that one then makes sure that
    # nobody changed an example meanwhile, and that two freezes wait for each other.
    candidates, copies = _candidates(dataset, seed, wanted, validation)
    if validation is not None:
        wanted = Shares(wanted.train + wanted.validation, 0.0, wanted.test, given=True)
    report(0.1)
    near = left_out(candidates, _texts, lambda share: report(0.1 + 0.6 * share))
    kept = {c.id: c for c in candidates if c.id not in near}
    with transaction.atomic():
        Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
        version = _write(dataset, seed, wanted, kept, copies, near, report)
        record("dataset.frozen", version, dataset=str(dataset.pk), digest=version.digest)
        if on_written is not None:
            on_written(version)
    report(1.0)
    return version


def _candidates(
    dataset: Dataset, seed: int, shares: Shares, validation: Dataset | None
) -> tuple[list[Candidate], int]:
    """The rows that may go in, each with its split and place, and how many exact copies may not."""
    taught: set[bytes] = set()
    found, copies = _different(dataset, taught)
    sizes = Counter(candidate.group for candidate in found)
    if is_too_small(found, sizes):
        raise ApplicationError(
            "dataset_too_small",
            _(
                "A version needs at least %(rows)d different accepted examples in %(groups)d "
                "groups; there are %(found)d in %(found_groups)d."
            )
            % {
                "rows": LEAST_ROWS,
                "groups": LEAST_GROUPS,
                "found": len(found),
                "found_groups": len(sizes),
            },
        )
    give_places(found, sizes, seed, shares)
    if validation is None:
        return found, copies
    for candidate in found:
        if candidate.split == VALIDATION:
            candidate.split = TRAIN
    given, more = _different(validation, taught)
    for candidate in given:
        candidate.split = VALIDATION
        candidate.place = place(seed, candidate.digest)
    return found + given, copies + more


def _different(dataset: Dataset, taught: set[bytes]) -> tuple[list[Candidate], int]:
    """The accepted rows that say what is not in `taught` yet, and how many say nothing new."""
    found: list[Candidate] = []
    copies = 0
    rows = (
        Example.objects.filter(dataset=dataset)
        .accepted()
        .order_by("external_id")
        .values_list("id", "group", "external_id", "content_digest")
    )
    for identity, group, external_id, digest in rows.iterator(chunk_size=PAGE):
        short = bytes.fromhex(digest)[:16]
        if short in taught:
            copies += 1
            continue
        taught.add(short)
        found.append(Candidate(identity, named_group(group, external_id), digest))
    return found, copies


def _texts(ids: list[Any]) -> Iterator[tuple[str, str]]:
    """The words of these examples, in this order, a page at a time."""
    remaining = iter(ids)
    while batch := list(islice(remaining, 500)):
        examples = dict(Example.objects.filter(id__in=batch).values_list("id", "content"))
        for identity in batch:
            if identity in examples:
                yield str(identity), spoken_text(examples[identity])


# --- Writing -------------------------------------------------------------------------------------


def _write(
    dataset: Dataset,
    seed: int,
    shares: Shares,
    kept: dict[uuid.UUID, Candidate],
    copies: int,
    near: dict[uuid.UUID, str],
    report: Progress,
) -> DatasetVersion:
    """Write the rows, then the version that they belong to: it is whole from its first moment.

    References are checked at the end of the transaction, so that the rows may come first.
    """
    sizes = Counter(candidate.split for candidate in kept.values())
    if not all(sizes[split] for split in SPLITS):
        raise ApplicationError(
            "dataset_too_uniform",
            _(
                "Nothing would be left to test or validate with: the held-out rows are nearly "
                "copies of the rows to learn from. Add examples that differ."
            ),
        )
    identity = uuid.uuid4()
    hashed = hashlib.sha256()
    written = 0
    for split in SPLITS:
        order = sorted(
            (candidate for candidate in kept.values() if candidate.split == split),
            key=lambda candidate: (candidate.place, candidate.digest),
        )
        for rows in _rows_of(identity, split, order):
            VersionRow.objects.bulk_create(rows)
            for row in rows:
                hashed.update(_hashed_line(split, row.payload))
            written += len(rows)
            report(0.7 + 0.3 * written / len(kept))
    latest = DatasetVersion.objects.filter(dataset=dataset).aggregate(top=Max("number"))["top"]
    return DatasetVersion.objects.create(
        id=identity,
        dataset=dataset,
        number=(latest or 0) + 1,
        digest=hashed.hexdigest(),
        counts=_counts(sizes, copies, near),
        seed=seed,
        shares=[shares.train, shares.validation, shares.test],
        frozen_at=timezone.now(),
    )


def _rows_of(
    version_id: uuid.UUID, split: str, order: list[Candidate]
) -> Iterator[list[VersionRow]]:
    position = 0
    remaining = iter(order)
    while batch := list(islice(remaining, 500)):
        rows = []
        for example in _unchanged(batch):
            rows.append(
                VersionRow(
                    version_id=version_id,
                    split=split,
                    position=position,
                    example=example,
                    payload=example.payload(),
                    subject=example.subject,
                )
            )
            position += 1
        yield rows


def _unchanged(batch: list[Candidate]) -> Iterator[Example]:
    """The examples themselves, if they still say what they said when they were compared."""
    examples = Example.objects.in_bulk([candidate.id for candidate in batch])
    for candidate in batch:
        example = examples.get(candidate.id)
        if (
            example is None
            or example.content_digest != candidate.digest
            or example.state != Example.State.ACCEPTED
        ):
            raise ConflictError(
                "dataset_changed",
                _("Somebody changed the examples while they were being frozen. Try again."),
            )
        yield example


def _counts(sizes: Counter[str], copies: int, near: dict[uuid.UUID, str]) -> dict[str, Any]:
    left_out = Counter(near.values())
    return {
        **{split: sizes[split] for split in SPLITS},
        "left_out": {
            "copies": copies,
            "near_copies_in_test": left_out[TEST],
            "near_copies_in_validation": left_out[VALIDATION],
        },
        "warnings": ["test_split_small"] if sizes[TEST] < LEAST_TEST_ROWS else [],
    }


def _hashed_line(split: str, payload: dict[str, Any]) -> bytes:
    """What the digest covers of a row. Its line in some file is where it came from, not what it is."""
    taught = {key: value for key, value in payload.items() if key != "line"}
    return f"{split}\t{canonical_json(taught)}\n".encode()


def digest_of(version: DatasetVersion) -> str:
    """The digest of the rows as they are in the database now; equal to `version.digest`."""
    hashed = hashlib.sha256()
    for split in SPLITS:
        for row in VersionRow.objects.filter(version=version).of_split(split).in_order():
            hashed.update(_hashed_line(split, row.payload))
    return hashed.hexdigest()


# --- Handing on ----------------------------------------------------------------------------------


def write_rows(version: DatasetVersion, split: str, path: Path) -> int:
    """Write one split as JSON Lines, whole or not at all, and say how many rows it has.

    Raises ApplicationError `version_incomplete` where rows have gone since the version was frozen,
    other than by erasure.
    """
    rows = VersionRow.objects.filter(version=version).of_split(split).in_order()
    written = _write_whole(path, (canonical_json(rendered(row.payload)) for row in rows))
    erased = version.erased_rows.filter(split=split).aggregate(rows=Sum("rows"))["rows"] or 0
    expected = version.counts[split] - erased
    if written != expected:
        path.unlink()
        raise ApplicationError(
            "version_incomplete",
            _("The version was frozen with %(expected)d rows and has %(found)d now.")
            % {"expected": expected, "found": written},
            status_hint=409,
        )
    return written


def _write_whole(path: Path, lines: Iterable[str]) -> int:
    """Written aside, brought to the disk, renamed: a reader sees all of it or none."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    count = 0
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            for line in lines:
                file.write(line + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return count
