"""A question and its answer as a draft, and the task in which people find it."""

from __future__ import annotations

from typing import Any

from apps.chatbot.mining.phrases import PLACEHOLDER
from labeling.models import Dataset, Example, LabelingTask
from labeling.queue.setup import create_task
from labeling.rows import Row


def fill(example: Example, question: str, answer: str) -> None:
    """Both are redacted already; where something stood is noted."""
    example.content = {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }
    example.redactions = [
        {
            "pointer": f"/messages/{at}/content",
            "start": match.start(),
            "end": match.end(),
            "kind": match.group()[1:-1].rpartition("_")[0].casefold(),
        }
        for at, text in enumerate((question, answer))
        for match in PLACEHOLDER.finditer(text)
    ]
    row = Row(
        kind=Example.Kind.CHAT,
        content=example.content,
        group=example.group,
        subject=example.subject,
    )
    example.content_digest, example.source_digest = row.digest, row.source_digest
    example.note_what_follows()


def ensure_review(dataset: Dataset, *, reviewers: int = 1, by: Any = None) -> None:
    """So that people find what is to be reviewed: an open task, unless the dataset has one."""
    tasks = LabelingTask.objects.filter(
        dataset=dataset, mode=LabelingTask.Mode.REVIEW, state=LabelingTask.State.OPEN
    )
    if not tasks.exists():
        create_task(
            dataset=dataset,
            name=dataset.name,
            created_by=by,
            mode=LabelingTask.Mode.REVIEW,
            overlap=reviewers,
        )
