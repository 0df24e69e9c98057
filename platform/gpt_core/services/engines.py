"""What the engines have loaded, and what the deployments need them to have."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError

from ..models import Checkpoint

logger = logging.getLogger(__name__)


def require_engine(checkpoint: Checkpoint) -> str:
    """The name of the base whose engine can serve the checkpoint; raises where there is none."""
    base = checkpoint.served_by
    if base is None:
        wanted = checkpoint.base_model.name if checkpoint.kind == "adapter" else checkpoint.name
        raise ApplicationError(
            "base_not_served",
            _("No engine serves “%(base)s”, so this checkpoint cannot answer. Engines: %(known)s.")
            % {"base": wanted, "known": ", ".join(settings.GPT_ENGINES)},
            status_hint=409,
        )
    return base


def load(checkpoint: Checkpoint) -> None:
    """Have the engine hold the checkpoint, or raise what the engine says."""
    from .. import client

    client.ensure_loaded(checkpoint)


def reconcile_engines() -> None:
    """Have every engine hold what the deployments name, now and before. Needs a system scope."""
