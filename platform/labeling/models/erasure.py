"""What was taken out of frozen versions because somebody's data had to go."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.models.datasets import DatasetVersion, Split
from tenancy.models import TenantModel


class ErasedRows(TenantModel):
    """How many rows of one split of a version are gone. What was trained on the version knows by it
    that it learned from data which is erased."""

    subject_path = None

    version = models.ForeignKey(
        DatasetVersion, on_delete=models.CASCADE, related_name="erased_rows"
    )
    split = models.CharField(_("split"), max_length=10, choices=Split)
    rows = models.PositiveIntegerField(_("rows"))

    class Meta(TenantModel.Meta):
        verbose_name = _("erased rows")
        verbose_name_plural = _("erased rows")

    def __str__(self) -> str:
        return f"{self.version} {self.split} {self.rows}"
