"""Everything of one tenant in one file, for the tenant to take away."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models.work import Work


class TenantArchive(Work):
    """One such file: asked for, written by a worker, kept for a while."""

    subject_path = "actor"

    size = models.BigIntegerField(_("bytes"), default=0)
    digest = models.CharField(_("digest"), max_length=64, blank=True)
    expires_at = models.DateTimeField(_("kept until"), null=True, blank=True)

    class Meta(Work.Meta):
        abstract = False
        ordering = ["-created_at"]
        verbose_name = _("archive of a tenant")
        verbose_name_plural = _("archives of tenants")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.state}"

    @property
    def path(self) -> Path:
        """Where the file lies: every part of it is a UUID that we made ourselves."""
        if not isinstance(self.pk, uuid.UUID) or not isinstance(self.tenant_id, uuid.UUID):
            raise TypeError("an archive is named by its tenant's UUID and its own")
        return Path(settings.PARLEY_HOME) / "archives" / str(self.tenant_id) / f"{self.pk}.tar"
