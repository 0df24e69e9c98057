"""Admission of a job that names stored files: they become a dataset of its own and a frozen version.

Reading a large file takes minutes, so it is done batch by batch outside any transaction, by one worker
at a time: it holds the job by a lease and a fencing token, as trainers do, and renews the lease as it
reads. Where it dies, the next begins again, which adds nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from common.errors import ApplicationError, NotFoundError
from labeling.faults import FAULTS_KEPT
from labeling.importing import ImportReport
from labeling.models import Dataset, DatasetVersion, Example, StoredFile
from labeling.services import create_dataset, freeze_version, import_examples, open_file
from tenancy.quotas import QuotaError
from tenancy.scope import tenant_scope

from . import dispatch, workers
from .dispatch import MOST_ATTEMPTS, Failure
from .estimates import expect_training, guess_tokens, require_room_in_month
from .models import FineTuningJob, State, Whose, seconds_from_now

logger = logging.getLogger(__name__)

# So long a job waits for whoever is there for files, before an idle trainer takes it.
NEGLECTED = timedelta(seconds=30)


class HoldLostError(Exception):
    """The job was cancelled, or another worker has it: nothing is to be written any more."""


class FilesRefusedError(Exception):
    """There is something in the files that somebody has to put right; `told` goes into the event."""

    def __init__(self, param: str, failure: Failure, **told: Any) -> None:
        super().__init__(failure.code)
        self.failure = replace(failure, data={"param": param, **failure.data})
        self.told = {"param": param, **told}


def admit_next() -> bool:
    """Take the next job whose files are to be checked and see it through; False where none waits.

    Needs a system scope. Next is, of the tenants with least under way, the job that waits longest.
    """
    for job in _in_order():
        if _claim(job):
            with tenant_scope(job.tenant_id):
                _Admission(job).run()
            return True
    return False


def admit_neglected() -> bool:
    """The same for a trainer with nothing else to do, where nobody else seems to be there."""
    waiting = _waiting()
    if not waiting or len(waiting) < _unchecked().count():
        return False
    since = FineTuningJob.objects.filter(
        pk__in=[job.pk for job in waiting], queued_at__lt=Now() - NEGLECTED
    )
    return since.exists() and admit_next()


def waits() -> bool:
    return bool(_waiting())


def _unchecked() -> Any:
    return FineTuningJob.objects.filter(state=State.VALIDATING_FILES, dataset_version=None)


def _waiting() -> list[FineTuningJob]:
    """Those that nobody holds; who died on this machine holds nothing."""
    free = list(
        _unchecked()
        .filter(Q(lease_until=None) | Q(lease_until__lt=Now()))
        .order_by("queued_at")[:500]
    )
    held = _unchecked().filter(lease_until__gte=Now(), worker__startswith=f"{workers.place()}:")
    return free + [job for job in held if workers.is_dead(job.worker)]


def _in_order() -> list[FineTuningJob]:
    waiting = _waiting()
    keys = {job.pk for job in waiting}
    under_way = Counter(
        _unchecked().exclude(pk__in=keys).order_by().values_list("tenant_id", flat=True)
    )
    return sorted(waiting, key=lambda job: (under_way[job.tenant_id], job.queued_at, str(job.pk)))


def _claim(job: FineTuningJob) -> bool:
    claimed = _unchecked().filter(pk=job.pk, fencing_token=job.fencing_token)
    if not claimed.update(
        worker=workers.worker_name(),
        lease_until=seconds_from_now(settings.JOB_LEASE_SECONDS),
        fencing_token=F("fencing_token") + 1,
        attempts_without_progress=F("attempts_without_progress") + 1,
    ):
        return False
    job.refresh_from_db()
    return True


class _Admission:
    """One attempt at one job."""

    def __init__(self, job: FineTuningJob) -> None:
        self.job = job
        self._renewed = time.monotonic()

    def run(self) -> None:
        job = self.job
        try:
            if job.attempts_without_progress > MOST_ATTEMPTS:
                self._fail(FilesRefusedError("training_file", Failure("worker_lost")))
                return
            self._queue(self._version())
        except HoldLostError:
            logger.info("job %s was cancelled or taken over while its files were read", job.pk)
            self._forget_rows()
        except FilesRefusedError as refused:
            self._fail(refused)
        except Exception:
            # A fault of ours: tried again after a pause, and given up in the end.
            logger.exception("the files of job %s", job.pk)
            pause = settings.JOB_RETRY_SECONDS
            self._held().update(lease_until=seconds_from_now(pause), worker="")

    def _version(self) -> DatasetVersion:
        job = self.job
        assert job.training_file is not None
        dataset = self._read(job.training_file, "training_file")
        validation = None
        if job.validation_file is not None:
            validation = self._read(job.validation_file, "validation_file")
        made = dataset.versions.order_by("-number").first()
        if made is not None:
            # An earlier attempt came so far.
            return made
        try:
            return freeze_version(
                dataset=dataset, seed=job.seed, validation=validation, progress=self._renew
            )
        except ApplicationError as error:
            raise FilesRefusedError("training_file", Failure(error.code, Whose.USER)) from error

    def _read(self, file: StoredFile, param: str) -> Dataset:
        """The dataset that holds the rows of the file; raises where any of them is at fault."""
        slug = _slug(self.job, param)
        dataset = Dataset.objects.filter(slug=slug).first()
        if dataset is None:
            dataset = create_dataset(name=file.filename[:200], slug=slug)
        try:
            stream = open_file(file)
        except NotFoundError as error:
            raise FilesRefusedError(param, Failure("file_deleted", Whose.USER)) from error
        with stream:
            report = import_examples(
                dataset=dataset, stream=stream, filename=file.filename, progress=self._renew
            )
        if report.fault_count:
            raise _refusal(report, param)
        dispatch.record(
            self.job,
            "file_checked",
            param=param,
            rows=report.rows,
            duplicates=report.duplicates,
            ignored=report.ignored,
        )
        return dataset

    def _renew(self, _share: float) -> None:
        if time.monotonic() - self._renewed < min(
            settings.JOB_HEARTBEAT_SECONDS, settings.JOB_LEASE_SECONDS / 4
        ):
            return
        self._renewed = time.monotonic()
        if not self._held().update(lease_until=seconds_from_now(settings.JOB_LEASE_SECONDS)):
            raise HoldLostError

    def _queue(self, version: DatasetVersion) -> None:
        """Held against the month again: what was told by the head of a file is now known of its rows."""
        job = self.job
        guessed = guess_tokens(version, job.base_model, job.hyperparameters)
        estimate = expect_training(guessed, job.base_model)
        learned = {"dataset_version": version, "estimated_tokens": guessed}
        with transaction.atomic():
            try:
                require_room_in_month(estimate, besides=job.pk)
            except QuotaError as error:
                figures = {"estimated": estimate.tokens, "limit": estimate.limit}
                failure = Failure(error.code, Whose.USER)
                # Its version stays, so that it can be retried when there is room.
                self._fail(FilesRefusedError("training_file", failure, **figures), **learned)
                return
            if not self._held().move(State.QUEUED, attempts_without_progress=0, **learned):
                raise HoldLostError
            dispatch.record(job, "queued", counts=version.counts)
            dispatch.ring()

    def _fail(self, refused: FilesRefusedError, **columns: Any) -> None:
        failure = refused.failure
        with transaction.atomic():
            if self._held().move(State.FAILED, **failure.as_columns(), **columns):
                dispatch.record(
                    self.job, "failed", level="error", code=failure.code, **refused.told
                )
        self._forget_rows()

    def _forget_rows(self) -> None:
        """Once the job is over nothing will be learned from them; the files are still there."""
        self.job.refresh_from_db()
        if not self.job.is_terminal:
            return
        for param in ("training_file", "validation_file"):
            dataset = Dataset.objects.filter(slug=_slug(self.job, param)).first()
            if dataset is None or dataset.versions.exists():
                continue
            for page in Example.objects.filter(dataset=dataset).in_pages():
                Example.objects.filter(pk__in=[example.pk for example in page]).delete()
            dataset.delete()

    def _held(self) -> Any:
        return _unchecked().filter(pk=self.job.pk, fencing_token=self.job.fencing_token)


def _slug(job: FineTuningJob, param: str) -> str:
    """Where the rows of a job's file lie: the same for every attempt."""
    return f"ftjob-{job.pk.hex}" + ("-validation" if param == "validation_file" else "")


def _refusal(report: ImportReport, param: str) -> FilesRefusedError:
    """All that is at fault, up to a hundred, and the first of it for the job's own columns."""
    first = report.faults[0]
    return FilesRefusedError(
        param,
        Failure(
            first.code,
            Whose.USER,
            line=first.line,
            pointer=first.pointer,
            data={"figures": dict(first.figures)},
        ),
        faults=[fault.as_record() for fault in report.faults[:FAULTS_KEPT]],
        fault_count=report.fault_count,
        by_code=report.by_code,
    )
