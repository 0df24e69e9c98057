"""A dataset of answers becomes a dataset of lessons, for a model that answers from articles."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Article, LessonRun
from common.errors import ApplicationError, ConflictError
from labeling import work
from labeling.models import Dataset
from labeling.services import create_dataset_of_any_address

# Looking up takes milliseconds each; what is more goes on by itself.
AT_ONCE = 20


def make_lessons(*, source: Dataset, actor: Any = None) -> LessonRun:
    """Give every accepted answer of `source` the passages that service would have shown beside its
    question. The lessons stand in a dataset of their own, the same one at every run.

    Raises ApplicationError `no_articles` where nothing is published, ConflictError
    `lessons_under_way`.
    """
    if not Article.objects.filter(state=Article.State.PUBLISHED).exists():
        raise ApplicationError(
            "no_articles", _("Publish articles first: lessons are in answering from them.")
        )
    with transaction.atomic():
        Dataset.objects.select_for_update().filter(pk=source.pk).first()
        former = LessonRun.objects.filter(source=source).order_by("-created_at").first()
        if former is not None and former.is_open:
            raise ConflictError("lessons_under_way", _("The lessons are being made already."))
        run = LessonRun.objects.create(
            source=source,
            dataset=former.dataset if former is not None else _dataset_for(source),
            actor=actor,
        )
    work.begin(run, at_once=source.examples.count() <= AT_ONCE)
    return run


def _dataset_for(source: Dataset) -> Dataset:
    return create_dataset_of_any_address(
        name=(_("%(name)s, from articles") % {"name": source.name})[:100],
        description=str(_("Questions with the passages that answer them.")),
        language=source.language,
    )
