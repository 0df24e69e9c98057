"""Tasks are made, changed, paused and closed."""

import re
from secrets import randbits
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError
from labeling.models import Dataset, LabelingTask
from labeling.models.queue import LEAST_RANDOM, MOST_OVERLAP
from labeling.queue.suggestions import ring
from labeling.rows import MAX_LABEL_CHARACTERS, MAX_LABELS
from tenancy.audit import record

# Keys that the page itself listens to.
RESERVED_KEYS = frozenset("esgu")
KEYS = "123456789" + "".join(key for key in "abcdefghijklmnopqrstuvwxyz" if key not in "esgu")
# Fixed once people have answered: other answers would no longer be comparable.
FIXED = ("dataset", "mode", "overlap", "random_share")


def create_task(
    *, dataset: Dataset, name: str, created_by: Any = None, **settings: Any
) -> LabelingTask:
    """Make a task and have its queue built. Raises ApplicationError with the field at fault."""
    task = LabelingTask(
        dataset=dataset, name=name.strip(), created_by=created_by, seed=randbits(31), **settings
    )
    _check(task)
    with transaction.atomic():
        task.save()
        record("labeling_task.created", task, dataset=str(dataset.pk))
        transaction.on_commit(lambda: ring_for_building(task))
    return task


def change_task(*, task: LabelingTask, **settings: Any) -> LabelingTask:
    """Change a task. Raises ConflictError `task_has_answers` where people's answers forbid it."""
    for name in FIXED:
        if name in settings and settings[name] != getattr(task, name) and has_answers(task):
            raise ConflictError(
                "task_has_answers",
                _("This cannot change any more: people have answered already."),
                field=name,
            )
    for name, value in settings.items():
        setattr(task, name, value)
    _check(task)
    with transaction.atomic():
        task.save()
        record("labeling_task.changed", task, fields=sorted(settings))
        transaction.on_commit(lambda: ring_for_building(task))
    return task


def has_answers(task: LabelingTask) -> bool:
    return task.annotations.exists()


def ring_for_building(task: LabelingTask) -> None:
    ring(
        "labeling.tasks.build_queue", "default", tenant_id=str(task.tenant_id), task_id=str(task.pk)
    )


def keyed(names: list[str]) -> list[dict[str, str]]:
    """Labels with their keys. "k: name" asks for the key k; the others get 1 to 9, then letters.

    Raises ApplicationError `labels_invalid`.
    """
    wanted: dict[str, str] = {}
    plain = [re.fullmatch(r"(?:([1-9a-zA-Z]):\s+)?(.+)", name.strip()) for name in names]
    found = [(match[1], match[2].strip()) for match in plain if match]
    for key, name in found:
        if key is not None:
            key = key.lower()
            if key in RESERVED_KEYS or key in wanted.values():
                raise _wrong("labels", _("The key %(key)s is taken.") % {"key": key})
            wanted[name] = key
    free = iter(key for key in KEYS if key not in wanted.values())
    labels = [{"name": name, "key": wanted.get(name) or next(free, "")} for _key, name in found]
    if len({label["name"] for label in labels}) != len(labels):
        raise _wrong("labels", _("A label is there twice."))
    return labels


def _check(task: LabelingTask) -> None:
    task.name = task.name.strip()
    if not task.name:
        raise _wrong("name", _("Give the task a name."))
    if task.is_review:
        task.labels = []
    else:
        _check_labels(task)
    if not 1 <= task.overlap <= MOST_OVERLAP:
        raise _wrong("overlap", _("From 1 to %(most)d people.") % {"most": MOST_OVERLAP})
    shares = (task.uncertain_share, task.diverse_share, task.random_share)
    if min(shares) < 0 or sum(shares) != 100:
        raise _wrong("uncertain_share", _("The three shares make 100 together."))
    if task.random_share < LEAST_RANDOM:
        raise _wrong(
            "random_share",
            _("At least %(least)d per cent: without it nobody can say how good the labels are.")
            % {"least": LEAST_RANDOM},
        )
    if not 0 <= task.gold_share <= 50:
        raise _wrong("gold_share", _("From 0 to 50 per cent."))


def _check_labels(task: LabelingTask) -> None:
    names = task.label_names
    keys = [label["key"] for label in task.labels]
    if not 2 <= len(names) <= min(len(KEYS), MAX_LABELS):
        raise _wrong("labels", _("From 2 to %(most)d labels.") % {"most": len(KEYS)})
    if any(not 1 <= len(name.strip()) <= MAX_LABEL_CHARACTERS for name in names):
        raise _wrong(
            "labels", _("A label has 1 to %(most)d characters.") % {"most": MAX_LABEL_CHARACTERS}
        )
    if len(set(names)) != len(names):
        raise _wrong("labels", _("A label is there twice."))
    if len(set(keys)) != len(keys) or not set(keys) <= set(KEYS):
        raise _wrong("labels", _("Every label needs a key of its own."))


def _wrong(field: str, sentence: Any) -> ApplicationError:
    return ApplicationError("task_invalid", sentence, field=field)
