"""The tables of labeling: what is learned from, who judged it, and the long work on it."""

from labeling.models.datasets import (
    Annotation,
    Dataset,
    DatasetVersion,
    Example,
    Label,
    Split,
    StoredFile,
    VersionRow,
)
from labeling.models.erasure import ErasedRows
from labeling.models.queue import Assignment, LabelingTask, QueueItem, Suggestion
from labeling.models.work import BulkChange, FreezeRun, ImportPreset, ImportRun, Work

__all__ = [
    "Annotation",
    "Assignment",
    "BulkChange",
    "Dataset",
    "DatasetVersion",
    "ErasedRows",
    "Example",
    "FreezeRun",
    "ImportPreset",
    "ImportRun",
    "Label",
    "LabelingTask",
    "QueueItem",
    "Split",
    "StoredFile",
    "Suggestion",
    "VersionRow",
    "Work",
]
