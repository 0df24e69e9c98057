"""Codes and moments in the reader's language. A code of a later version is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from gpt_core.models import State
from labeling import fault_text

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

MINUTE, HOUR, DAY = 60, 3600, 86400


# --- Moments and amounts -------------------------------------------------------------------------


def ago(moment: datetime, now: datetime) -> str:
    """How long before (or after) now, in the largest unit that says enough."""
    seconds = (now - moment).total_seconds()
    if seconds < -2:
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
    """Two units at most: 48 s, 3 min 12 s, 2 h 5 min, 9 days."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return gettext("%(seconds)d s") % {"seconds": whole}
    if whole < HOUR:
        return gettext("%(minutes)d min %(seconds)d s") % {
            "minutes": whole // MINUTE,
            "seconds": whole % MINUTE,
        }
    if whole < 2 * DAY:
        return gettext("%(hours)d h %(minutes)d min") % {
            "hours": whole // HOUR,
            "minutes": whole % HOUR // MINUTE,
        }
    count = round(whole / DAY)
    return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}


def magnitude(value: int) -> str:
    """A count of parameters as people say it: 135 M, 1.7 B."""
    if value >= 10**9:
        return gettext("%(count)s B") % {"count": number_format(round(value / 10**9, 1), 1)}
    return gettext("%(count)s M") % {"count": number_format(round(value / 10**6), 0)}


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
    "file_checked": _("The file was read: %(rows)s rows, %(duplicates)s of them copies."),
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
    "held_back": _("The job waits: the tenant is suspended or closing."),
    "requeued": _("The operator put the job back into the queue."),
    "resumed": _("The job goes on."),
    "promoted": _("The checkpoint was promoted."),
    "rolled_back": _("The deployment was rolled back."),
    "rows_truncated": _("%(rows)s examples are longer than the limit and were cut."),
    "no_validation_rows": _("There are no validation examples, so the last step is kept."),
}


# What happened to an export, told in the story of the job that made the checkpoint.
_EXPORT_EVENTS: Mapping[str, StrPromise] = {
    "export_started": _("An export was asked for (%(kind)s)."),
    "export_attempt_began": _("A worker took the export (%(kind)s)."),
    "export_finished": _("The export is ready and proven: %(filename)s."),
    "export_attempt_failed": _(
        "The export (%(kind)s) ended without a file (%(code)s); it is tried again."
    ),
    "export_gave_up": _("The export (%(kind)s) is given up (%(code)s)."),
    "export_failed": _("The export (%(kind)s) failed (%(code)s)."),
    "export_cancelled": _("The export (%(kind)s) was cancelled."),
    "export_held_back": _("The export (%(kind)s) waits: the tenant is suspended or closing."),
    "export_requeued": _("The operator put the export (%(kind)s) back into the queue."),
    "export_cancel_requested": _("Somebody asked to cancel the export (%(kind)s)."),
}

_EXPORT_KINDS: Mapping[str, StrPromise] = {
    "adapter": _("Small: the LoRA weights alone, for PEFT and vLLM beside the same base model."),
    "merged": _("A whole model in the layout of Hugging Face, for transformers, vLLM and others."),
    "gguf": _("One file for llama.cpp, Ollama and LM Studio."),
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
    template = _EVENTS.get(code) or _EXPORT_EVENTS.get(code)
    return str(template) % _Data(row.data) if template is not None else str(code)


def export_kind(kind: str) -> str:
    """What a kind of export is good for."""
    return str(_EXPORT_KINDS.get(kind, kind))


def proof(figures: Mapping[str, Any]) -> str:
    """How an export was proven, and what rounding did to it."""
    prompts, same = figures.get("prompts", 0), figures.get("same_answers", 0)
    ties = prompts - same
    if not ties:
        return gettext("All %(prompts)d answers are the checkpoint's own, word for word.") % {
            "prompts": prompts
        }
    return ngettext(
        "%(same)d of %(prompts)d answers are the checkpoint's own, word for word; rounding turned "
        "%(ties)d where two words were as good as equally likely.",
        "%(same)d of %(prompts)d answers are the checkpoint's own, word for word; rounding turned "
        "%(ties)d where two words were as good as equally likely.",
        ties,
    ) % {"same": same, "prompts": prompts, "ties": ties}


# --- What went wrong -----------------------------------------------------------------------------

_FAILURES: Mapping[str, StrPromise] = {
    "no_training_rows": _("The dataset version holds no training examples. Freeze one that does."),
    "file_deleted": _("The file to learn from has been deleted."),
    "dataset_too_small": _("The file holds too few different examples; at least ten are needed."),
    "dataset_too_uniform": _(
        "The examples are nearly copies of one another; add some that differ."
    ),
    "insufficient_quota": _("The month's tokens for training do not suffice for this job."),
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
    "checkpoint_missing": _("The files of the checkpoint are not on this machine."),
    "export_gguf_architecture": _("This family of models cannot be exported as GGUF."),
    "export_gguf_positions": _(
        "This model stretches its positions in a way that is not exported as GGUF."
    ),
    "export_gguf_tokenizer": _("This model's tokenizer has no equal in GGUF."),
    "export_no_adapter": _("This checkpoint is a full model and has no adapter."),
    "export_out_of_range": _("A weight is too large for this precision. Choose float32."),
    "export_tokenizer_differs": _(
        "The proof failed: the file reads the same text as other tokens. It is not offered."
    ),
    "export_end_differs": _(
        "The proof failed: the file ends its answers elsewhere. It is not offered."
    ),
    "export_logits_differ": _(
        "The proof failed: the file computes something else than the checkpoint. It is not offered."
    ),
    "export_answers_differ": _(
        "The proof failed: the file gives other answers than the checkpoint. It is not offered."
    ),
    "export_unreadable": _("The proof failed: the file could not be read back. It is not offered."),
    "export_missing": _("The export left no file that can be offered."),
    "export_crashed": _("The export failed in a way that nobody foresaw."),
}


def failure(work: Any) -> str:
    """Why a job failed, as a sentence; what was said besides stands in `failure_detail`."""
    template = _FAILURES.get(work.failure_code)
    if template is not None:
        return str(template)
    if work.failure_code in fault_text.SENTENCES:
        # A row of the file that the job was to learn from.
        figures = _Data(work.failure_data.get("figures") or {})
        return fault_text.message(work.failure_code, figures)
    return gettext("It ended with the code %(code)s.") % {"code": work.failure_code or "–"}


def long_work(work: Any) -> str:
    """What is done to a dataset for a while."""
    match work._meta.label:
        case "labeling.ImportRun":
            return gettext("reading %(file)s") % {"file": work.filename}
        case "labeling.FreezeRun":
            return gettext("freezing a version")
        case "chatbot.HistoryRun":
            return gettext("reading %(file)s") % {"file": work.filename}
    return gettext("changing many examples")


_NO_ANSWER: Mapping[str, StrPromise] = {
    "unreachable": _("could not be reached"),
    "timed_out": _("no answer in time"),
    "broken_off": _("the connection broke off"),
    "address_not_allowed": _("the address leads to a private network"),
    "answer_too_large": _("the answer was too large"),
}


def no_answer(code: str) -> str:
    """Why a receiver of a webhook did not answer."""
    return str(_NO_ANSWER.get(code, code))


_WORK_FAILURES: Mapping[str, StrPromise] = {
    "dataset_too_small": _(
        "There is too little to freeze: at least 10 different accepted examples in 3 groups."
    ),
    "dataset_too_uniform": _(
        "Nothing would be left to test or validate with: the held-out rows are nearly copies of "
        "the rows to learn from. Add examples that differ."
    ),
    "dataset_changed": _("Somebody changed the examples while they were being frozen. Try again."),
    "not_found": _("The file is not kept any more."),
    "worker_lost": _("The worker that held it went away, three times. Try again."),
    "internal": _("It failed in a way that nobody foresaw. It was written to the log."),
}


def work_failure(work: Any) -> str:
    """Why an import, a freeze or a change of many examples failed."""
    template = _WORK_FAILURES.get(work.failure)
    if template is not None:
        return str(template)
    return gettext("It ended with the code %(code)s.") % {"code": work.failure or "–"}


# --- Parameters ----------------------------------------------------------------------------------

_PARAMETERS: Mapping[str, StrPromise] = {
    "type": _("method"),
    "rank": _("rank"),
    "alpha": _("alpha"),
    "dropout": _("dropout"),
    "optimizer": _("optimizer"),
    "learning_rate": _("learning rate"),
    "learning_rate_multiplier": _("learning rate, times"),
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
    "by_model_size_times_given": _("from the width of the base model, times what was asked for"),
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


# Before the trainer has looked, a reason can say its figures: that is what the choice is read for.
_FORESEEN: Mapping[str, StrPromise] = {
    "by_tokens": _("about %(tokens)s tokens: small data are read more often, large data once"),
    "by_rows": _("%(rows)s training examples: some fifty steps an epoch, and no more at once"),
    "by_model_size": _("the base model is %(hidden)s wide: narrow models take larger steps"),
    "by_learned_tokens": _("about %(learned)s tokens of answers: more to learn, more room for it"),
    "by_longest_row": _(
        "the longest example, as the trainer counts it; one seen has about %(longest)s"
    ),
    "by_steps": _("of about %(steps)s steps the first go slowly"),
    "by_validations": _("some %(times)s looks at the validation examples along the way"),
    "validations_without_gain": _("so many looks without a gain, and the training stops early"),
    "measured_at_the_start": _("measured on the machine when the training starts"),
}


def foreseen(code: str, figures: Mapping[str, str]) -> str:
    """Why auto will choose a value, with the figures of this dataset."""
    template = _FORESEEN.get(code)
    if template is None or (not figures and "%(" in str(template)):
        return reason(code)
    return str(template) % _Data(figures)


def parameter_name(name: str) -> str:
    return str(_PARAMETERS.get(name, name.replace("_", " ")))


def parameter_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)


def reason(code: Any) -> str:
    """Why a value was chosen."""
    if isinstance(code, Mapping):
        figures = _Data(code.get("figures") or code)
        code = code.get("code", "")
    else:
        figures = _Data()
    template = _REASONS.get(str(code))
    return str(template) % figures if template is not None else str(code)
