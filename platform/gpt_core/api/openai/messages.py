"""What happened to a job, and why it failed, as sentences: OpenAI's own where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling import fault_text
from labeling.faults import Fault

from ...models import FineTuningJob, JobEvent, JobMetric

_EVENTS: Mapping[str, Any] = {
    "created": gettext_lazy("Created fine-tuning job"),
    "file_checked": gettext_lazy("Validated %(param)s: %(rows)s rows"),
    "queued": gettext_lazy("Files validated, moving job to queued state"),
    "attempt_began": gettext_lazy("A worker took the job"),
    "training_started": gettext_lazy("Fine-tuning job started"),
    "parameters_chosen": gettext_lazy("Hyperparameters left on auto were chosen"),
    "state_saved": gettext_lazy("State saved at step %(step)s"),
    "training_finished": gettext_lazy("Training finished; the best step was %(best_step)s"),
    "stopped_early": gettext_lazy("Stopped early: the validation loss no longer improved"),
    "step_published": gettext_lazy("Checkpoint created at step %(step)s"),
    "checkpoint_published": gettext_lazy("New fine-tuned model created"),
    "evaluated": gettext_lazy("The model was compared with its base"),
    "attempt_failed": gettext_lazy("An attempt ended without a result and will be repeated"),
    "gave_up": gettext_lazy("The job failed after several attempts"),
    "failed": gettext_lazy("The job failed"),
    "cancelled": gettext_lazy("The job was cancelled"),
    "paused": gettext_lazy("The job was paused"),
    "resumed": gettext_lazy("The job was resumed"),
    "rows_truncated": gettext_lazy("%(rows)s rows are longer than the limit and were cut"),
}
_FAILURES: Mapping[str, Any] = {
    "file_deleted": gettext_lazy("The file was deleted before it was read."),
    "dataset_too_small": gettext_lazy("The file holds fewer than ten different examples."),
    "dataset_too_uniform": gettext_lazy(
        "The examples are nearly copies of one another, so that none can be held out."
    ),
    "insufficient_quota": gettext_lazy("The month's tokens for training do not suffice."),
    "diverged": gettext_lazy("The loss became infinite; a smaller learning rate helps."),
    "out_of_memory": gettext_lazy("The machine ran out of memory; a smaller batch helps."),
    "no_training_rows": gettext_lazy("There is nothing to learn from."),
}


class _Data(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "–"


def of_event(event: JobEvent) -> str:
    sentence = str(_EVENTS.get(event.code, event.code.replace("_", " ").capitalize()))
    data = _Data(event.data)
    if event.code == "failed" and data.get("fault_count"):
        return _("The job failed: %(count)s faults in %(param)s") % {
            "count": data["fault_count"],
            "param": data["param"],
        }
    return sentence % data if event.code in _EVENTS else sentence


def of_metric(metric: JobMetric, steps: int) -> str:
    if metric.kind == JobMetric.Kind.TRAIN:
        told = _("Step %(step)d/%(steps)d: training loss=%(loss).2f")
    else:
        told = _("Step %(step)d/%(steps)d: validation loss=%(loss).2f")
    return told % {"step": metric.step, "steps": steps, "loss": metric.loss}


def data_of(event: JobEvent) -> dict[str, Any]:
    """The event's figures, and its faults with their sentences."""
    data = dict(event.data)
    if isinstance(data.get("faults"), list):
        data["faults"] = [Fault.from_record(fault).as_dict() for fault in data["faults"]]
    return {"code": event.code, **data}


def of_failure(job: FineTuningJob) -> str:
    """Why a job failed; where a row of a file is at fault, its line and the place in it first."""
    code, figures = job.failure_code, job.failure_data.get("figures") or {}
    if code in fault_text.SENTENCES:
        told = " ".join([fault_text.message(code, figures), fault_text.fix(code, figures)])
    else:
        told = str(_FAILURES.get(code) or _("It ended with the code %(code)s.") % {"code": code})
    if job.failure_line is None:
        return told
    where = _("Line %(line)d") % {"line": job.failure_line}
    return f"{where}{', ' if job.failure_pointer else ''}{job.failure_pointer}: {told}"
