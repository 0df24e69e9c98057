"""Files that are stored, looked at, checked and read in; versions that are frozen: asked for here,
done by labeling.work."""

from collections.abc import Mapping
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling import work
from labeling.files import open_file, store_file
from labeling.findings import Findings
from labeling.importing import import_examples, understood
from labeling.models import Dataset, DatasetVersion, Example, FreezeRun, ImportRun, StoredFile, Work
from labeling.versions import freeze_version
from tenancy.audit import record

if TYPE_CHECKING:
    from labeling.work import Hold

MOST_BYTES = 512 << 20
# The lines that faults speak of can be looked at as long as the file is kept.
KEPT = timedelta(days=90)
# What is read or frozen while the person waits, because it takes no longer than a page.
AT_ONCE_BYTES = 1 << 20
AT_ONCE_EXAMPLES = 1_000

# The share of a check that reading takes; the rest is comparing.
_READING = 0.7


def receive_file(
    *, dataset: Dataset, stream: IO[bytes], filename: str, actor: Any = None
) -> ImportRun:
    """Keep a file and check what importing it into the dataset would do."""
    file = store_file(
        stream=stream,
        filename=filename,
        purpose=StoredFile.Purpose.IMPORT,
        most_bytes=MOST_BYTES,
        expires_at=timezone.now() + KEPT,
    )
    run = ImportRun.objects.create(
        dataset=dataset,
        file=file,
        filename=file.filename,
        size=file.size,
        is_check=True,
        actor=actor,
    )
    work.begin(run, at_once=run.size <= AT_ONCE_BYTES)
    return run


def map_columns(*, run: ImportRun, mapping: Mapping[str, str]) -> ImportRun:
    """Say what the columns mean, and check the file anew. Raises ConflictError `import_begun`."""
    understood(mapping)
    return _begin_again(run, is_check=True, mapping=dict(mapping))


def start_import(*, run: ImportRun, state: str = Example.State.ACCEPTED) -> ImportRun:
    """Read the checked file in. Raises ConflictError `import_begun` where that was asked before."""
    if state not in (Example.State.ACCEPTED, Example.State.DRAFT):
        raise ApplicationError("state_unknown", _("There is no such state."), field="state")
    return _begin_again(run, is_check=False, example_state=state)


def reset_checked(run: Work, **changes: Any) -> None:
    """Put a checked file's run back to its beginning, to be checked another way or read in.

    The check is over or overtaken: whoever still holds it loses the run by its token. `changes`
    are the columns that say how. Raises ConflictError `import_begun` where it is being read in.
    """
    with transaction.atomic():
        begun = (
            type(run)
            ._default_manager.filter(pk=run.pk, is_check=True)
            .update(
                state=Work.State.QUEUED,
                token=F("token") + 1,
                attempt=0,
                share=0,
                done=0,
                started_at=None,
                finished_at=None,
                lease_until=None,
                cancel_requested=False,
                failure="",
                counts={},
                faults=[],
                fault_count=0,
                **changes,
            )
        )
        if not begun:
            raise ConflictError("import_begun", _("This file is being imported already."))
    run.refresh_from_db()


def _begin_again(run: ImportRun, **changes: Any) -> ImportRun:
    reset_checked(run, **changes)
    work.begin(run, at_once=run.size <= AT_ONCE_BYTES)
    return run


def start_freeze(*, dataset: Dataset, seed: int = 0, actor: Any = None) -> FreezeRun:
    """Freeze the accepted examples. Raises ConflictError `work_running` while a freeze runs."""
    with transaction.atomic():
        Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
        if FreezeRun.objects.open().filter(dataset=dataset).exists():
            raise ConflictError("work_running", _("A version of it is being frozen already."))
        run = FreezeRun.objects.create(
            dataset=dataset, seed=seed, shares=[0.8, 0.1, 0.1], actor=actor
        )
        record("dataset.freeze_asked", run, dataset=str(dataset.pk))
    few = Example.objects.filter(dataset=dataset).accepted().count() <= AT_ONCE_EXAMPLES
    work.begin(run, at_once=few)
    return run


# --- Done by whoever holds it --------------------------------------------------------------------


def read_file(hold: "Hold") -> None:
    run = hold.row
    assert isinstance(run, ImportRun)
    reading = _READING if run.is_check else 1.0
    ended: list[bool] = []

    def keep(columns: dict[str, Any]) -> None:
        if columns.get("state") is None:
            hold.write(**columns | {"share": columns["share"] * reading})
        else:
            hold.write(**columns, lease_until=None)
            ended.append(True)

    def progress(share: float) -> None:
        # At the end nobody holds the run any more.
        if not ended:
            hold.progress(share * reading)

    if run.file is None:
        raise ApplicationError("file_gone", _("The file is gone."))
    found = Findings(run.dataset, lambda share: hold.progress(reading + (1 - reading) * share))
    with open_file(run.file) as stream, found:
        import_examples(
            dataset=run.dataset,
            stream=stream,
            filename=run.filename,
            mapping=run.mapping or None,
            dry_run=run.is_check,
            state=run.example_state,
            progress=progress,
            run=run,
            keep=keep,
            findings=found if run.is_check else None,
        )
    run.refresh_from_db()


def freeze(hold: "Hold") -> None:
    run = hold.row
    assert isinstance(run, FreezeRun)

    def written(version: DatasetVersion) -> None:
        hold.write(
            version=version,
            state=Work.State.DONE,
            finished_at=timezone.now(),
            lease_until=None,
            share=1.0,
        )

    def progress(share: float) -> None:
        if share < 1:
            hold.progress(share)

    freeze_version(
        dataset=run.dataset,
        seed=run.seed,
        shares=tuple(run.shares),
        progress=progress,
        on_written=written,
    )
    run.refresh_from_db()
