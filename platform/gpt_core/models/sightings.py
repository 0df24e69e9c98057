"""When each process of the platform was last seen at work."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Sighting(models.Model):
    """A worker that took a message, and beat, whose message it was. Nothing of a tenant."""

    subject_path: ClassVar[str | None] = None

    name = models.CharField(_("process"), max_length=200)
    queue = models.CharField(_("queue"), max_length=40, blank=True)
    seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        ordering = ["name", "queue"]
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        constraints = [
            models.UniqueConstraint(fields=["name", "queue"], name="one_sighting_per_queue")
        ]

    def __str__(self) -> str:
        return self.name
