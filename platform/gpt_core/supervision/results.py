"""The figures of a training as a file, for whoever started it from files."""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict

from common.errors import ApplicationError
from labeling.models import StoredFile
from labeling.services import store_file

from ..models import FineTuningJob, JobMetric

logger = logging.getLogger(__name__)

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
MOST_BYTES = 16 << 20


def keep_results(job: FineTuningJob) -> StoredFile | None:
    """A table with a line for each step, as OpenAI writes it; None where none was asked for, or where
    it cannot be kept: the job has succeeded all the same."""
    if job.training_file_id is None:
        return None
    try:
        return store_file(
            stream=io.BytesIO(_table(job).encode()),
            filename="step_metrics.csv",
            purpose=StoredFile.Purpose.RESULTS,
            most_bytes=MOST_BYTES,
            content_type="text/csv",
        )
    except ApplicationError as error:
        logger.warning("the figures of job %s are not kept: %s", job.pk, error)
        return None


def _table(job: FineTuningJob) -> str:
    steps: dict[int, dict[str, JobMetric]] = defaultdict(dict)
    for metric in job.metrics.order_by("step"):
        steps[metric.step][metric.kind] = metric
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    for step, found in steps.items():
        line: list[object] = [step]
        for kind in (JobMetric.Kind.TRAIN, JobMetric.Kind.VALIDATION):
            figures = found.get(kind)
            line += [figures.loss, figures.token_accuracy] if figures else ["", ""]
        writer.writerow(line)
    return lines.getvalue()
