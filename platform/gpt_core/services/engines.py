"""What the engines have loaded, and what the deployments need them to have."""

from __future__ import annotations

import logging
import re
from collections import defaultdict

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError, ConflictError

from .. import client
from ..models import Checkpoint, Deployment

logger = logging.getLogger(__name__)

# An engine holds 64 adapters and lets go of what was not asked for longest. Beyond this many the tidying
# would push out what somebody is using; those are loaded when they are asked for.
MOST_KEPT_LOADED = 48
# What an engine may hold besides, such as adapters that a vLLM was started with, is not ours.
NAME_OF_CHECKPOINT = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+@v[0-9]+-[0-9a-f]{8}", re.ASCII)


def require_engine(checkpoint: Checkpoint) -> str:
    """The name of the base whose engine can serve the checkpoint; raises where there is none."""
    base = checkpoint.served_by
    if base is None:
        wanted = checkpoint.base_model.name if checkpoint.kind == "adapter" else checkpoint.name
        raise ConflictError(
            "base_not_served",
            _("No engine serves “%(base)s”, so this checkpoint cannot answer. Engines: %(known)s.")
            % {"base": wanted, "known": ", ".join(settings.GPT_ENGINES)},
        )
    return base


def load(checkpoint: Checkpoint) -> None:
    """Have the engine hold the checkpoint, or raise what the engine says."""
    client.ensure_loaded(checkpoint)


def reconcile_engines() -> int:
    """Have every engine hold what the deployments name, now and before; how many were missing.

    Needs a system scope. What an engine holds beyond that it lets go of by itself; what was deleted
    meanwhile, or belonged to a company that is gone, it is told to forget. An engine that is away is
    looked at again next time.
    """
    missing = 0
    wanted_by_base = _wanted()
    for base in settings.GPT_ENGINES:
        wanted = wanted_by_base.get(base, [])
        try:
            known = {model.name for model in client.loaded_models(base=base)}
        except ApplicationError as error:
            logger.info("the engine of %s is not reconciled: %s", base, error)
            continue
        _drop_deleted(base, known)
        for checkpoint in wanted[:MOST_KEPT_LOADED]:
            if checkpoint.name not in known:
                missing += 1
                _load_or_tell(checkpoint)
    return missing


def drop(base: str, name: str) -> bool:
    """Have an engine forget an adapter; whoever asks for it next has it loaded again."""
    return client.unload(base=base, name=name)


def _drop_deleted(base: str, known: set[str]) -> None:
    ours = {name for name in known if NAME_OF_CHECKPOINT.fullmatch(name)}
    kept = Checkpoint.objects.present().filter(name__in=ours).values_list("name", flat=True)
    for name in sorted(ours - set(kept)):
        try:
            drop(base, name)
        except ApplicationError as error:
            logger.warning("the engine of %s does not forget %s: %s", base, name, error)


def _wanted() -> dict[str, list[Checkpoint]]:
    """By base: what serves now, newest first, and then what did before."""
    slots = Deployment.objects.order_by("-updated_at").select_related(
        "checkpoint__base_model", "previous__base_model"
    )
    rows = list(slots)
    wanted: dict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in [row.checkpoint for row in rows] + [row.previous for row in rows]:
        # An engine that serves a full fine-tune was started with it and has nothing to load.
        if checkpoint is None or checkpoint.kind != Checkpoint.Kind.ADAPTER:
            continue
        base = checkpoint.served_by
        if base is not None and checkpoint not in wanted[base]:
            wanted[base].append(checkpoint)
    return wanted


def _load_or_tell(checkpoint: Checkpoint) -> None:
    try:
        load(checkpoint)
    except ApplicationError as error:
        logger.warning("the engine does not load %s: %s", checkpoint.name, error)
