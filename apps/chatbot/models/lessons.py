"""Runs that make lessons: questions with the passages that answer them, for a model to learn from."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset, Work


class LessonRun(Work):
    """`source` holds questions and answers, `dataset` the lessons made of them. `counts`: read,
    answers, refusals, not_carried, longer, new, changed."""

    subject_path = None
    done_by = "apps.chatbot.lessons.writing.write_lessons"
    queue = "long"

    source = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="lesson_runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="lessons_from")
    counts = models.JSONField(default=dict)

    class Meta(Work.Meta):
        abstract = False
        verbose_name = _("making of lessons")
        verbose_name_plural = _("makings of lessons")
        indexes = [
            models.Index(fields=["source", "-created_at"], name="chatbot_lessons_recent"),
            models.Index(
                fields=["created_at"],
                name="chatbot_lessons_open",
                condition=models.Q(state__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.state}"
