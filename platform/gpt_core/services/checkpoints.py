"""Delete a checkpoint that nothing serves."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import ConflictError
from tenancy import audit

from ..models import Checkpoint, Deployment


def delete_checkpoint(checkpoint: Checkpoint) -> None:
    """Give its disk back; the row stays. Raises ConflictError `checkpoint_serves` where a deployment
    answers with it, or would after a roll-back.
    """
    with transaction.atomic():
        Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        slots = Deployment.objects.filter(Q(checkpoint=checkpoint) | Q(previous=checkpoint))
        if slot := slots.first():
            raise ConflictError(
                "checkpoint_serves",
                _("This model serves “%(deployment)s”, or did last and would after a roll-back.")
                % {"deployment": slot.name},
            )
        present = Checkpoint.objects.present().filter(pk=checkpoint.pk)
        if present.update(deleted_at=timezone.now()):
            audit.record("checkpoint.deleted", checkpoint, name=checkpoint.name)
            folder = Path(checkpoint.folder)
            # Should the process end in between, the files stay without harm: no door opens them.
            transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))
    checkpoint.refresh_from_db(fields=["deleted_at"])
