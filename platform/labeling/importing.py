"""Bring the rows of a file into a dataset: whole batches, every fault, nothing twice."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, BinaryIO, cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError
from labeling.faults import Fault, FaultLog, excerpt
from labeling.findings import Findings
from labeling.models import Dataset, Example, ImportRun, Label
from labeling.readers import FileReading, open_reading
from labeling.readers.columns import NAMES, understood_mapping
from labeling.readers.files import MAX_FILE_BYTES
from labeling.readers.shapes import canonical
from labeling.rows import Row, teaches
from labeling.seen import SeenRows
from tenancy.audit import record

BATCH = 500
PREVIEW_ROWS = 20
IGNORED_NAMES_KEPT = 50

# Faults that have a line but are about more, or less, than one row.
NO_ROW = {
    "columns_unknown", "column_missing", "json_array_open", "json_after_array",
    "json_over_many_lines", "rows_too_many",
}  # fmt: skip

Progress = Callable[[float], None]
Keep = Callable[[dict[str, Any]], None]
NumberedRow = tuple[int, Row]


@dataclass(slots=True)
class ImportReport:
    """What became of a file.

    `rows` were read; each was `created`, `updated`, `unchanged`, `kept` (people had edited it, so
    the file does not overwrite it), a `duplicate` of another one, or `refused` with faults.
    `faults` are the first hundred of `fault_count`; `by_code` counts them all. `preview` are the
    first rows as they were understood; `ignored` counts keys and columns that were not asked for.
    """

    filename: str
    dry_run: bool
    form: str = ""
    encoding: str = ""
    size: int = 0
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    duplicates: int = 0
    refused: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    by_code: dict[str, int] = field(default_factory=dict)
    preview: list[dict[str, Any]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    run: ImportRun | None = None

    @property
    def counts(self) -> dict[str, int]:
        names = ("rows", "created", "updated", "unchanged", "kept", "duplicates", "refused")
        return {name: getattr(self, name) for name in names}


def import_examples(
    *,
    dataset: Dataset,
    stream: IO[bytes],
    filename: str,
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    state: str = Example.State.ACCEPTED,
    progress: Progress | None = None,
    run: ImportRun | None = None,
    keep: Keep | None = None,
    findings: Findings | None = None,
) -> ImportReport:
    """Read a file into a dataset and say what became of each row.

    Rows are known by the id that the file gives, or by what they say; reading a file twice adds
    nothing. `mapping` names columns, {"question": "Frage"}. Whoever uploads a file vouches for
    it, so its rows are accepted unless `state` says otherwise. Each batch is one transaction, with
    the counts of the run; `dry_run` writes nothing at all. `progress` is told the share read.
    Faults in the file are in the report; ApplicationError is for a mapping that means nothing.
    In the background the `run` is there already, `keep` writes its columns while the worker holds
    it, and a run that is taken up again counts what its first attempt wrote. `findings` look at
    each row besides.
    """
    started = time.monotonic()
    with _seekable(stream) as source:
        reading = open_reading(source, filename, understood(mapping))
        report = ImportReport(
            excerpt(filename, 255), dry_run, reading.form, reading.encoding, reading.size
        )
        report.run = run
        _Import(dataset, reading, report, state, progress, keep, findings).run()
    report.seconds = time.monotonic() - started
    return report


class _Import:
    """One file on its way into one dataset."""

    def __init__(
        self,
        dataset: Dataset,
        reading: FileReading,
        report: ImportReport,
        state: str,
        progress: Progress | None,
        keep: Keep | None,
        findings: Findings | None,
    ) -> None:
        self.dataset = dataset
        self.reading = reading
        self.report = report
        self.state = state
        self.progress = progress or (lambda share: None)
        # Whoever gave the run answers for its end as well.
        self.is_held = keep is not None
        self.keep = keep or self._save
        self.findings = findings
        self.log = FaultLog()
        self.ignored: Counter[str] = Counter()
        self.labels: set[str] = set()

    def run(self) -> None:
        report = self.report
        if not report.dry_run and report.run is None:
            report.run = ImportRun.objects.create(
                dataset=self.dataset,
                filename=report.filename,
                size=report.size,
                state=ImportRun.State.RUNNING,
                started_at=timezone.now(),
            )
        try:
            with SeenRows() as seen:
                rows = self._rows()
                while batch := list(islice(rows, BATCH)):
                    self._take(batch, seen)
                    self.progress(self.reading.share)
            if not report.rows and not self.log.total:
                self.log.add(Fault("file_empty"))
            self._finish()
        except BaseException as error:
            if report.run is not None and not self.is_held:
                self._keep_run(state=ImportRun.State.FAILED, failure=type(error).__name__)
            raise

    def _rows(self) -> Iterator[NumberedRow]:
        """The rows that can be read; faults go into the log on the way."""
        for found in self.reading:
            if isinstance(found, Fault):
                self._refuse([found])
                continue
            reading = canonical(found, self.reading.mapping)
            self._ignore(reading.ignored)
            if reading.row is None:
                self._refuse(reading.faults)
                continue
            self.report.rows += 1
            if len(self.report.preview) < PREVIEW_ROWS:
                self.report.preview.append(reading.row.as_dict() | {"line": found.line})
            yield found.line, reading.row

    def _refuse(self, faults: list[Fault]) -> None:
        self.log.add_all(faults)
        if faults[0].line is not None and faults[0].code not in NO_ROW:
            self.report.rows += 1
            self.report.refused += 1

    def _ignore(self, names: tuple[str, ...]) -> None:
        for name in names:
            short = excerpt(name)
            if short in self.ignored or len(self.ignored) < IGNORED_NAMES_KEPT:
                self.ignored[short] += 1

    def _take(self, batch: list[NumberedRow], seen: SeenRows) -> None:
        first = seen.first_of_each(batch)
        self.report.duplicates += len(first.duplicates)
        if self.findings is not None:
            self.findings.note(first)
        for line, earlier in first.contradicted:
            self._refuse_repeated(line, earlier)
        with transaction.atomic():
            if not self.report.dry_run:
                # Two imports into one dataset wait for each other, so that neither trips over
                # a row that the other has just made.
                Dataset.objects.select_for_update().filter(pk=self.dataset.pk).first()
            self._place(first.rows)
            if self.report.run is not None:
                self._keep_run()

    def _refuse_repeated(self, line: int, earlier: int) -> None:
        self.log.add(Fault("id_repeated", line, "", {"first": earlier}))
        self.report.refused += 1

    def _place(self, rows: list[NumberedRow]) -> None:
        """Decide for each row what it is to the dataset, and write what there is to write."""
        examples = Example.objects.filter(dataset=self.dataset)
        present = {
            example.external_id: example
            for example in examples.filter(external_id__in=[row.external_id for _, row in rows])
        }
        digests = [row.digest for _, row in rows]
        taught = set(
            examples.filter(content_digest__in=digests).values_list("content_digest", flat=True)
        )
        new: list[Example] = []
        changed: list[Example] = []
        for line, row in rows:
            example = present.get(row.external_id)
            if example is None and row.digest in taught:
                self.report.duplicates += 1
            elif example is None:
                new.append(self._filled(Example(dataset=self.dataset, state=self.state), line, row))
            elif example.source_digest == row.source_digest:
                self._count_again(example)
            elif example.edited_at is not None:
                self.report.kept += 1
            else:
                changed.append(self._filled(example, line, row))
        self.report.created += len(new)
        self.report.updated += len(changed)
        if not self.report.dry_run:
            self._write(new, changed)

    def _count_again(self, example: Example) -> None:
        """A row that is there already: from before, or from an attempt of this run that was lost."""
        run = self.report.run
        if run is None or run.is_check or example.import_run_id != run.pk:
            self.report.unchanged += 1
        elif example.created_at >= run.created_at:
            self.report.created += 1
        else:
            self.report.updated += 1

    def _filled(self, example: Example, line: int, row: Row) -> Example:
        run = self.report.run
        example.kind = row.kind
        example.content = dict(row.content)
        example.labels = list(row.labels)
        if not teaches(row.kind, row.labels):
            example.state = Example.State.DRAFT
        example.external_id = row.external_id
        example.group = row.group
        example.passages = [dict(passage) for passage in row.passages]
        example.subject = row.subject
        example.source_kind = Example.Source.FILE
        example.source_ref = self.report.filename
        example.import_run = run
        example.line = line
        example.content_digest = row.digest
        example.source_digest = row.source_digest
        example.note_what_follows()
        return example

    def _write(self, new: list[Example], changed: list[Example]) -> None:
        Example.objects.bulk_create(new)
        if changed:
            Example.objects.bulk_update(changed, WRITTEN, batch_size=100)
        named = {label for example in (*new, *changed) for label in example.labels} - self.labels
        if named:
            Label.objects.bulk_create(
                [Label(dataset=self.dataset, name=name) for name in sorted(named)],
                ignore_conflicts=True,
            )
            self.labels |= named

    def _finish(self) -> None:
        report = self.report
        for name in self.reading.ignored_columns:
            self.ignored[excerpt(name)] += 1
        report.ignored = dict(self.ignored.most_common())
        report.faults = sorted(self.log.kept, key=lambda fault: fault.line or 0)
        report.fault_count = self.log.total
        report.by_code = dict(self.log.by_code.most_common())
        if report.run is not None:
            found = {} if self.findings is None else {"findings": self.findings.as_dict()}
            with transaction.atomic():
                self._keep_run(state=ImportRun.State.DONE, share=1.0, **found)
                if not report.dry_run:
                    record(
                        "dataset.imported", self.dataset, run=str(report.run.pk), **report.counts
                    )
        self.progress(1.0)

    def _keep_run(self, **changes: Any) -> None:
        ended = changes.get("state") is not None
        columns: dict[str, Any] = {
            "form": self.report.form,
            "encoding": self.report.encoding,
            "counts": self.report.counts,
            "fault_count": self.log.total,
            "faults": [fault.as_record() for fault in self.log.kept],
            "ignored": dict(self.ignored),
            "finished_at": timezone.now() if ended else None,
            "done": self.report.rows,
            "share": self.reading.share,
        }
        self.keep(columns | changes)

    def _save(self, columns: dict[str, Any]) -> None:
        """Keep the columns of a run that nobody else can hold."""
        run = self.report.run
        assert run is not None
        for name, value in columns.items():
            setattr(run, name, value)
        run.save()


WRITTEN = [
    "kind", "content", "labels", "state", "group", "passages", "subject", "source_kind", "source_ref",
    "import_run", "line", "content_digest", "source_digest", *Example.FOLLOWING,
]  # fmt: skip


def understood(mapping: Mapping[str, str] | None) -> dict[str, str] | None:
    try:
        return understood_mapping(mapping)
    except KeyError as error:
        raise ApplicationError(
            "mapping_unknown",
            _("The mapping speaks of “%(key)s”; it can name: %(known)s.")
            % {"key": excerpt(str(error.args[0])), "known": ", ".join(NAMES)},
            field="mapping",
        ) from None


@contextmanager
def _seekable(stream: IO[bytes]) -> Iterator[BinaryIO]:
    """The stream itself where one can go back in it, else a copy on the disk."""
    if stream.seekable():
        yield cast(BinaryIO, stream)
        return
    with tempfile.TemporaryFile() as copy:
        # One byte more than allowed is enough for the reader to refuse the file.
        while copy.tell() <= MAX_FILE_BYTES and (chunk := stream.read(1 << 20)):
            copy.write(chunk)
        copy.seek(0)
        yield cast(BinaryIO, copy)
