"""Files of past conversations: taken, looked through, read in, given up; and one customer's taken away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatbot.history.reading import understood
from apps.chatbot.models import HistoryRun, HistorySource, PastConversation
from common.errors import ApplicationError
from gpt_core.services import erase_person
from labeling import work
from labeling.background import AT_ONCE_BYTES, reset_checked
from labeling.files import store_file
from labeling.models import Dataset, StoredFile
from labeling.subjects import NO_NAME, erase_files
from tenancy.audit import record

MOST_BYTES = 2 << 30
# The file holds what is redacted elsewhere: it is kept only as long as its faults are of use.
KEPT = timedelta(days=14)


def receive_history(
    *,
    dataset: Dataset,
    source: str,
    stream: IO[bytes],
    filename: str,
    mapping: Mapping[str, str] | None = None,
    reviewers: int = 1,
    actor: Any = None,
) -> HistoryRun:
    """Keep a file and check what is in it; nothing is read in before `start_history`.

    Raises ApplicationError `mapping_unknown` for a mapping that means nothing.
    """
    _known(source)
    understood(source, mapping)
    if not 1 <= reviewers <= 3:
        raise ApplicationError(
            "reviewers_invalid", _("From 1 to 3 people look at an answer."), field="reviewers"
        )
    file = store_file(
        stream=stream,
        filename=filename,
        purpose=StoredFile.Purpose.IMPORT,
        most_bytes=MOST_BYTES,
        expires_at=timezone.now() + KEPT,
    )
    run = HistoryRun.objects.create(
        dataset=dataset,
        source=source,
        mapping=dict(mapping or {}),
        reviewers=reviewers,
        file=file,
        filename=file.filename,
        size=file.size,
        is_check=True,
        actor=actor,
    )
    work.begin(run, at_once=run.size <= AT_ONCE_BYTES)
    return run


def check_history_anew(
    *, run: HistoryRun, source: str, mapping: Mapping[str, str] | None = None
) -> HistoryRun:
    """It is of another source, or its columns mean something else. Raises ConflictError `import_begun`."""
    _known(source)
    understood(source, mapping)
    return _begin_again(run, is_check=True, source=source, mapping=dict(mapping or {}))


def start_history(*, run: HistoryRun) -> HistoryRun:
    """Read the checked file in and mine it. Raises ConflictError `import_begun` where it is under way."""
    return _begin_again(run, is_check=False)


def _begin_again(run: HistoryRun, **changes: Any) -> HistoryRun:
    reset_checked(run, redacted={}, mined={}, **changes)
    work.begin(run, at_once=run.size <= AT_ONCE_BYTES)
    return run


def erase_past_customer(*, subject: str) -> int:
    """Take away all that one customer of the past said, what was made of it, and the files that it
    came in. Returns how many conversations."""
    with transaction.atomic():
        rows = PastConversation.objects.filter(subject=subject)
        count = rows.count()
        runs = list(rows.exclude(run=None).values_list("run_id", flat=True).distinct())
        first = rows.first()
        erasure = erase_person(subject=subject)
        erase_files(StoredFile.objects.filter(pk__in=_files_of(runs)))
        # Faults quote what they speak of, and files are named after people.
        HistoryRun.objects.filter(pk__in=runs).update(faults=[], filename=NO_NAME)
        if first is not None:
            record("history.erased", first, conversations=count, checkpoints=erasure.checkpoints)
    return count


def _files_of(runs: list[UUID]) -> QuerySet[HistoryRun, UUID | None]:
    read = HistoryRun.objects.filter(pk__in=runs).exclude(file=None)
    return read.values_list("file_id", flat=True)


def _known(source: str) -> None:
    if source not in HistorySource.values:
        raise ApplicationError(
            "source_unknown",
            _("There is no such source; known are: %(known)s.")
            % {"known": ", ".join(HistorySource.values)},
            field="source",
        )
