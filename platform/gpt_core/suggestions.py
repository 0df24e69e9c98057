"""A model looks at items before people label them: what it would answer, and how sure it is.

Asked ahead of the people at work, a few items at a time, so that answers to others do not wait.
A tuned checkpoint is asked as its training rows ask (the text alone, answered by its label); a base
that was never taught the task is told the guideline and the labels.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from common.errors import ApplicationError
from labeling.models import LabelingTask, QueueItem
from labeling.queue import suggestions as queue
from labeling.rows import spoken_text

from . import client
from .client import EngineBusyError, EngineRefusedError, EngineUnavailableError, Score, ServedModel
from .client.served import served
from .models import BaseModel, Checkpoint, Deployment

logger = logging.getLogger(__name__)

AT_ONCE = 4
SECONDS = 25.0
LONGEST_TEXT = 4_000
LONGEST_GUIDELINE = 600


@dataclass(frozen=True)
class Suggester:
    """What a task's suggestions come from. `tuned` says whether it was taught to answer so."""

    model: ServedModel
    digest: str
    tuned: bool


def suggester_of(task: LabelingTask) -> Suggester | None:
    """The checkpoint that serves now under the task's deployment, else the base of that name."""
    if not task.suggester or task.is_review:
        return None
    rows = Deployment.objects.select_related("checkpoint__base_model", "base_model")
    deployment = rows.filter(name=task.suggester).first()
    if deployment is not None and deployment.checkpoint is not None:
        return _of_checkpoint(deployment.checkpoint)
    base = deployment.base_model.name if deployment is not None else task.suggester
    if base not in settings.GPT_ENGINES:
        return None
    known = BaseModel.objects.filter(name=base).values_list("digest", flat=True).first()
    return Suggester(ServedModel(base, base), known or "", tuned=False)


def choices_of_suggester() -> list[str]:
    """What a task may name: the tenant's deployments, and the bases that an engine serves."""
    names = list(Deployment.objects.order_by("name").values_list("name", flat=True))
    return [*names, *(base for base in settings.GPT_ENGINES if base not in names)]


def suggest_ahead(task: LabelingTask, *, seconds: float = SECONDS) -> int:
    """Ask about what is needed next until nothing is missing; how many items were looked at.

    Stops, and says so in the log alone, where the engine is away or busy: people label without
    suggestions meanwhile. One worker at a time looks at a task.
    """
    suggester = suggester_of(task)
    if suggester is None or not queue.claim(task):
        return 0
    until, seen = time.monotonic() + seconds, 0
    refused: set[UUID] = set()
    try:
        while time.monotonic() < until:
            ahead = queue.lacking(task, suggester.model.name, AT_ONCE * 4 + len(refused))
            items = [item for item in ahead if item.pk not in refused][: AT_ONCE * 2]
            if not items:
                break
            found = asyncio.run(_look_at(items, task, suggester))
            refused |= {item.pk for item in items if item not in found}
            queue.store_suggestions(
                model=suggester.model.name, digest=suggester.digest, logprobs=found
            )
            queue.renew(task)
            seen += len(found)
    except (EngineUnavailableError, EngineBusyError) as error:
        logger.info("no suggestions for task %s at the moment: %s", task.pk, error.code)
    finally:
        queue.release(task)
    return seen


async def _look_at(
    items: Sequence[QueueItem], task: LabelingTask, suggester: Suggester
) -> dict[QueueItem, dict[str, float]]:
    """The log-probabilities of the labels of each item, but for those that the engine refuses."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(item: QueueItem) -> list[Score] | None:
        async with turns:
            try:
                return await client.ascore(
                    model=suggester.model,
                    messages=question(item, task, tuned=suggester.tuned),
                    completions=task.label_names,
                )
            except EngineRefusedError as error:
                logger.info("no suggestion for item %s: %s", item.pk, error)
                return None

    answers = await asyncio.gather(*(one(item) for item in items))
    return {
        item: {score.completion: score.logprob for score in scores}
        for item, scores in zip(items, answers, strict=True)
        if scores
    }


def question(item: QueueItem, task: LabelingTask, *, tuned: bool) -> list[Mapping[str, str]]:
    """What is asked about an item."""
    text = spoken_text(item.example.content)[:LONGEST_TEXT]
    if tuned:
        return [{"role": "user", "content": text}]
    rule = task.guideline.strip()[:LONGEST_GUIDELINE]
    asked = f"{rule}\n\nText: {text}\n\nAnswer with one of: {', '.join(task.label_names)}."
    return [{"role": "user", "content": asked.strip()}]


def _of_checkpoint(checkpoint: Checkpoint) -> Suggester | None:
    try:
        return Suggester(served(checkpoint), checkpoint.digest, tuned=True)
    except ApplicationError:
        return None
