"""Codes and moments in the reader's language. A code of a later version is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from gpt_core.models import State

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

MINUTE, HOUR, DAY = 60, 3600, 86400


# --- Moments and amounts -------------------------------------------------------------------------


def ago(moment: datetime, now: datetime) -> str:
    """How long before (or after) now, in the largest unit that says enough."""
    seconds = (now - moment).total_seconds()
    if seconds < -45:
        return gettext("in %(duration)s") % {"duration": duration(-seconds)}
    if seconds < 45:
        return gettext("just now")
    if seconds < 45 * MINUTE:
        count = max(1, round(seconds / MINUTE))
        return ngettext("%(count)d minute ago", "%(count)d minutes ago", count) % {"count": count}
    if seconds < 22 * HOUR:
        count = max(1, round(seconds / HOUR))
        return ngettext("%(count)d hour ago", "%(count)d hours ago", count) % {"count": count}
    if seconds < 26 * DAY:
        count = max(1, round(seconds / DAY))
        return ngettext("%(count)d day ago", "%(count)d days ago", count) % {"count": count}
    return date_format(moment, "DATE_FORMAT")


def duration(seconds: float) -> str:
    """Two units at most: 48 s, 3 min 12 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return gettext("%(seconds)d s") % {"seconds": whole}
    if whole < HOUR:
        return gettext("%(minutes)d min %(seconds)d s") % {
            "minutes": whole // MINUTE,
            "seconds": whole % MINUTE,
        }
    return gettext("%(hours)d h %(minutes)d min") % {
        "hours": whole // HOUR,
        "minutes": whole % HOUR // MINUTE,
    }


def magnitude(value: int) -> str:
    """A count of parameters as people say it: 135 M, 1.7 B."""
    if value >= 10**9:
        return gettext("%(count)s B") % {"count": number_format(value / 10**9, 1)}
    return gettext("%(count)s M") % {"count": number_format(value / 10**6, 0)}


# --- States --------------------------------------------------------------------------------------

_TONES: Mapping[str, str] = {
    State.RUNNING: "busy",
    State.SUCCEEDED: "good",
    State.FAILED: "bad",
    State.PAUSED: "warn",
}
_ICONS: Mapping[str, str] = {
    State.VALIDATING_FILES: "clock",
    State.QUEUED: "clock",
    State.RUNNING: "running",
    State.PAUSED: "pause",
    State.SUCCEEDED: "check",
    State.FAILED: "alert",
    State.CANCELLED: "cross",
}


def state(work: Any) -> str:
    if work.cancel_requested and not work.is_terminal:
        return gettext("stopping")
    return str(work.get_state_display())


def state_tone(work: Any) -> str:
    return _TONES.get(work.state, "")


def state_icon(work: Any) -> str:
    return _ICONS.get(work.state, "clock")


# --- What happened -------------------------------------------------------------------------------

_EVENTS: Mapping[str, StrPromise] = {
    "created": _("The job was created."),
    "queued": _("The files were checked; the job waits in the queue."),
    "attempt_began": _("A worker took the job (attempt %(attempt)s)."),
    "training_started": _("Training started."),
    "training_resumed": _("Training goes on from step %(resumed_from_step)s."),
    "parameters_chosen": _("The parameters left open were chosen."),
    "state_saved": _("The state was saved at step %(step)s."),
    "training_finished": _("Training finished; the best was step %(best_step)s."),
    "stopped_early": _("Validation no longer improved, so training stopped early."),
    "checkpoint_published": _("The checkpoint %(name)s was published."),
    "evaluated": _("The checkpoint was compared with the base model."),
    "evaluation_started": _("The comparison with the base model began."),
    "attempt_failed": _(
        "Attempt %(attempt)s ended without a result (%(code)s); it will be tried again."
    ),
    "gave_up": _("Given up after attempt %(attempt)s (%(code)s)."),
    "failed": _("The job failed (%(code)s)."),
    "cancelled": _("The job was cancelled."),
    "cancel_requested": _("Somebody asked to cancel the job."),
    "pause_requested": _("Somebody asked to pause the job."),
    "paused": _("The job was paused."),
    "resumed": _("The job goes on."),
    "promoted": _("The checkpoint was promoted."),
    "rolled_back": _("The deployment was rolled back."),
    "rows_truncated": _("%(rows)s examples are longer than the limit and were cut."),
    "no_validation_rows": _("There are no validation examples, so the last step is kept."),
}


class _Data(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        # An event of another version lacks a figure: the sentence still stands.
        return "–"


def event(row: Any) -> str:
    """An event of a job as a sentence."""
    code = row.code
    if code == "training_started" and row.data.get("resumed_from_step"):
        code = "training_resumed"
    template = _EVENTS.get(code)
    return str(template) % _Data(row.data) if template is not None else str(code)


# --- What went wrong -----------------------------------------------------------------------------

_FAILURES: Mapping[str, StrPromise] = {
    "no_training_rows": _("The dataset version holds no training examples. Freeze one that does."),
    "dataset_version_changed": _(
        "The frozen rows are no longer those that were frozen. Freeze a new version."
    ),
    "row_invalid": _("An example cannot be read. Mend it, freeze a new version and start again."),
    "row_unknown_format": _(
        "An example has a form that is not known. Mend it, freeze a new version and start again."
    ),
    "template_refused": _(
        "The base model's template does not take a conversation like one of the examples."
    ),
    "invalid_parameter": _("A setting is not as it should be."),
    "row_without_labels": _(
        "An example has no answer to learn from. Mend it, freeze a new version and start again."
    ),
    "no_held_out_rows": _("There are no held-out examples to compare with."),
    "base_missing": _("The base model is not on this machine."),
    "worker_lost": _("The worker that held the job went away."),
    "process_ended": _("The training process ended without a word."),
    "out_of_memory": _("The machine ran out of memory. A smaller batch or a shorter length helps."),
    "diverged": _("The loss became infinite. A smaller learning rate helps."),
    "not_finite": _("The loss became infinite. A smaller learning rate helps."),
    "disk": _("The disk could not be written; it may be full."),
    "disk_full": _("The disk is full."),
    "internal": _("The training process failed in a way that nobody foresaw."),
    "evaluation_without_rows": _("There are no held-out examples to compare with."),
    "evaluation_loss_not_finite": _("The loss of one of the models is not a finite number."),
    "base_damaged": _("The files of the base model are not those that were prepared."),
    "checkpoint_hash": _("The files of the checkpoint are not those that were published."),
    "event_flood": _("The process wrote without end and was stopped."),
    "report_missing": _("The comparison left no report that can be read."),
}


def failure(work: Any) -> str:
    """Why a job failed, as a sentence; what was said besides stands in `failure_detail`."""
    template = _FAILURES.get(work.failure_code)
    if template is not None:
        return str(template)
    return gettext("It ended with the code %(code)s.") % {"code": work.failure_code or "–"}


# --- Parameters ----------------------------------------------------------------------------------

_PARAMETERS: Mapping[str, StrPromise] = {
    "type": _("method"),
    "rank": _("rank"),
    "alpha": _("alpha"),
    "dropout": _("dropout"),
    "optimizer": _("optimizer"),
    "learning_rate": _("learning rate"),
    "warmup": _("warm-up"),
    "warmup_steps": _("warm-up steps"),
    "schedule": _("schedule"),
    "batch_size": _("batch size"),
    "gradient_accumulation": _("gradient accumulation"),
    "epochs": _("epochs"),
    "weight_decay": _("weight decay"),
    "label_smoothing": _("label smoothing"),
    "max_grad_norm": _("gradient clipping"),
    "max_length": _("longest example"),
    "validation_every": _("steps between validations"),
    "patience": _("patience"),
    "precision": _("precision"),
    "seed": _("seed"),
    "steps": _("steps"),
    "targets": _("layers"),
    "method": _("method"),
    "device": _("device"),
    "threads": _("threads"),
    "pass_tokens": _("tokens in one pass"),
}

_REASONS: Mapping[str, StrPromise] = {
    "given": pgettext_lazy("a parameter's value", "set by hand"),
    "default": _("a good value for most jobs"),
    "by_learned_tokens": _("from how many tokens there are to learn"),
    "by_rank": _("follows the rank"),
    "early_stopping_guards": _("early stopping already guards against learning by heart"),
    "by_model_size": _("from the width of the base model"),
    "by_rows": _("from how many examples there are"),
    "by_tokens": _("from how many tokens there are: small data are read more often"),
    "by_steps": _("from how many steps there are"),
    "by_longest_row": _("the longest example of this dataset"),
    "passes_fit_memory": _("a batch fits into memory at once"),
    "cuda": _("this graphics card multiplies it"),
    "bf16_is_faster": _("measured: bfloat16 is faster on this machine"),
    "bf16_not_faster": _("measured: bfloat16 is not faster on this machine"),
    "bf16_not_supported": _("this machine does not multiply bfloat16"),
}


def parameter_name(name: str) -> str:
    return str(_PARAMETERS.get(name, name.replace("_", " ")))


def reason(code: Any) -> str:
    """Why a value was chosen."""
    if isinstance(code, Mapping):
        figures = _Data(code.get("figures") or code)
        code = code.get("code", "")
    else:
        figures = _Data()
    template = _REASONS.get(str(code))
    return str(template) % figures if template is not None else str(code)
