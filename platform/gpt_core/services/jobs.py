"""Start, cancel, pause, resume and retry a fine-tuning job."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.errors import ConflictError
from labeling.models import DatasetVersion, StoredFile
from tenancy import audit, quotas

from .. import dispatch
from ..estimates import estimate_training, require_room_in_month
from ..file_estimates import foresee_files
from ..models import BaseModel, FineTuningJob, State, Supervised
from .hyperparameters import MAIN_METRICS, invalid, resolve_hyperparameters, resolve_method

_DEPLOYMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_MOST_SEED = 2**31 - 1


def start_fine_tuning(
    *,
    dataset_version: DatasetVersion,
    base_model: BaseModel,
    deployment: str,
    suffix: str = "",
    method: Mapping[str, Any] | str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    seed: int = 0,
    precision: str = "auto",
    main_metric: str = "auto",
    actor: User | None = None,
    retry_of: FineTuningJob | None = None,
) -> FineTuningJob:
    """Put a job in the queue. What nobody chose is "auto", and shown once it is chosen.

    Raises ApplicationError with the field at fault, and QuotaError where the month has no room for so
    many tokens; nothing is written then.
    """
    if not _DEPLOYMENT.fullmatch(deployment):
        raise invalid("deployment", _("small letters, digits and hyphens, 63 at most"))
    if len(suffix) > 64:
        raise invalid("suffix", _("at most 64 characters"))
    if type(seed) is not int or not 0 <= seed <= _MOST_SEED:
        raise invalid("seed", _("a whole number from 0 to 2147483647"))
    if precision not in ("auto", "float32", "bfloat16"):
        raise invalid("precision", _("auto, float32 or bfloat16"))
    if main_metric not in MAIN_METRICS:
        raise invalid("main_metric", _("one of %(known)s") % {"known": ", ".join(MAIN_METRICS)})
    values = {
        "dataset_version": dataset_version,
        "base_model": base_model,
        "deployment_name": deployment,
        "name": suffix,
        "method": resolve_method(method),
        "hyperparameters": _within_context(resolve_hyperparameters(hyperparameters), base_model),
        "seed": seed,
        "precision": precision,
        "main_metric": main_metric,
        "actor": actor,
        "retry_of": retry_of,
        "state": State.VALIDATING_FILES,
    }
    # A training that is let in finishes; one that would begin without room is told so now.
    quotas.require_room(status_hint=409)
    estimate = estimate_training(
        dataset_version=dataset_version,
        base_model=base_model,
        hyperparameters=values["hyperparameters"],  # type: ignore[arg-type]
    )
    values["estimated_tokens"] = estimate.guessed_tokens
    with transaction.atomic():
        require_room_in_month(estimate)
        job = _create_with_next_number(values)
        dispatch.record(job, "created")
        audit.record("job.started", job, dataset_version=str(dataset_version.pk))
        dispatch.ring_for_admission()
        # Where trainers are the only workers, they admit as well.
        dispatch.ring()
    return job


def start_from_files(
    *,
    training_file: StoredFile,
    base_model: BaseModel,
    validation_file: StoredFile | None = None,
    suffix: str = "",
    method: Mapping[str, Any] | str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    seed: int | None = None,
    metadata: Mapping[str, str] | None = None,
    actor: User | None = None,
    retry_of: FineTuningJob | None = None,
) -> FineTuningJob:
    """A job that learns from stored files. They are checked and frozen by a worker before it is queued;
    what is at fault in them fails it. The suffix names the deployment that it is made for.

    Raises QuotaError where the month has no room for as many tokens as the files seem to hold. The
    rows themselves are held against it once they have been read.
    """
    if len(suffix) > 64:
        raise invalid("suffix", _("at most 64 characters"))
    if seed is not None and (type(seed) is not int or not 0 <= seed <= _MOST_SEED):
        raise invalid("seed", _("a whole number from 0 to 2147483647"))
    values = {
        "training_file": training_file,
        "validation_file": validation_file,
        "base_model": base_model,
        "deployment_name": slugify(suffix).replace("_", "-")[:63].strip("-") or "fine-tuned",
        "name": suffix,
        "method": resolve_method(method),
        "hyperparameters": _within_context(resolve_hyperparameters(hyperparameters), base_model),
        "seed": secrets.randbelow(_MOST_SEED) if seed is None else seed,
        "metadata": dict(metadata or {}),
        "actor": actor,
        "retry_of": retry_of,
        "state": State.VALIDATING_FILES,
    }
    quotas.require_room(status_hint=409)
    estimate = foresee_files(
        training_file=training_file,
        validation_file=validation_file,
        base_model=base_model,
        hyperparameters=values["hyperparameters"],  # type: ignore[arg-type]
    )
    values["estimated_tokens"] = estimate.guessed_tokens
    with transaction.atomic():
        require_room_in_month(estimate)
        job = _create_with_next_number(values)
        dispatch.record(job, "created")
        audit.record("job.started", job, training_file=str(training_file.pk))
        dispatch.ring_for_files()
    return job


def cancel_job(job: Supervised) -> Supervised:
    """At once where it does not run yet; a running job stops within a step."""
    return _ask(job, State.CANCELLED, flag="cancel_requested", code="cancelled")


def pause_job(job: FineTuningJob) -> Supervised:
    """Stop where it can be resumed. The place in the queue, or the machine, goes to others."""
    return _ask(job, State.PAUSED, flag="pause_requested", code="paused")


def resume_job(job: FineTuningJob) -> FineTuningJob:
    """Back to the queue, to go on from the last saved step."""
    with transaction.atomic():
        paused = FineTuningJob.objects.filter(pk=job.pk, state=State.PAUSED)
        if not paused.move(State.QUEUED, pause_requested=False, not_before=None):
            raise _wrong_state(job)
        dispatch.record(job, "resumed")
        audit.record("job.resumed", job)
        dispatch.ring()
    job.refresh_from_db()
    return job


def retry_job(job: FineTuningJob, *, actor: User | None = None) -> FineTuningJob:
    """A new job that asks for the same; the old one stays what it is."""
    if job.state not in (State.FAILED, State.CANCELLED):
        raise _wrong_state(job)
    if job.dataset_version is None:
        assert job.training_file is not None
        return start_from_files(
            training_file=job.training_file,
            validation_file=job.validation_file,
            base_model=job.base_model,
            suffix=job.name,
            method=job.method,
            hyperparameters=job.hyperparameters,
            seed=job.seed,
            metadata=job.metadata,
            actor=actor,
            retry_of=job,
        )
    return start_fine_tuning(
        dataset_version=job.dataset_version,
        base_model=job.base_model,
        deployment=job.deployment_name,
        suffix=job.name,
        method=job.method,
        hyperparameters=job.hyperparameters,
        seed=job.seed,
        precision=job.precision,
        main_metric=job.main_metric,
        actor=actor,
        retry_of=job,
    )


def _ask(job: Supervised, to: str, *, flag: str, code: str) -> Supervised:
    kind = type(job)
    with transaction.atomic():
        row = kind.objects.filter(pk=job.pk)
        current = row.select_for_update().get()
        if current.state != State.RUNNING and row.move(to):
            dispatch.record(job, code)
        elif not row.filter(state=State.RUNNING).update(**{flag: True}):
            raise _wrong_state(current)
        audit.record(f"{_noun(job)}.{flag}", job)
    job.refresh_from_db()
    return job


def _noun(job: Supervised) -> str:
    return "job" if isinstance(job, FineTuningJob) else job.KIND


def _create_with_next_number(values: dict[str, Any]) -> FineTuningJob:
    """Numbers grow and are never used again; two that start at once do not get the same."""
    for _attempt in range(20):
        same = FineTuningJob.objects.filter(deployment_name=values["deployment_name"])
        number = (same.aggregate(last=Max("number"))["last"] or 0) + 1
        try:
            with transaction.atomic():
                return FineTuningJob.objects.create(number=number, **values)
        except IntegrityError:
            continue
    raise ConflictError("busy", _("Too many jobs start at once. Try again."))


def _within_context(hyperparameters: dict[str, Any], base: BaseModel) -> dict[str, Any]:
    length = hyperparameters["max_length"]
    if length != "auto" and length > base.context:
        raise invalid(
            "hyperparameters.max_length",
            _("at most %(context)d, the context of the base model") % {"context": base.context},
        )
    return hyperparameters


def _wrong_state(job: Supervised) -> ConflictError:
    return ConflictError(
        "wrong_state",
        _("This cannot be done with a job that is %(state)s.") % {"state": job.get_state_display()},
    )
