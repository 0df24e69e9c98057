"""What can be asked in the playground: deployments, checkpoints and bases, under one kind of key."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from gpt_core.models import BaseModel, Checkpoint, Deployment

MOST_COLUMNS = 3
MOST_CHECKPOINTS = 100


@dataclass(frozen=True)
class Askable:
    """One thing that answers. `key` is "kind:uuid" and stands in addresses and forms."""

    key: str
    kind: str
    name: str
    note: str
    model: Checkpoint | str
    served: bool

    @property
    def side(self) -> str:
        """The colour that the same thing has everywhere: base, tuned or champion."""
        return {"base": "base", "checkpoint": "tuned"}.get(self.kind, "champion")


@dataclass(frozen=True)
class Group:
    name: str
    members: list[Askable]


def groups() -> list[Group]:
    """Everything of the tenant in scope that can be chosen, what serves first."""
    deployments = Deployment.objects.select_related("checkpoint__base_model", "base_model")
    checkpoints = Checkpoint.objects.results().select_related("base_model")
    found = [
        Group(_("Deployments"), [_deployment(one) for one in deployments.order_by("name")[:50]]),
        Group(
            _("Checkpoints"),
            [_checkpoint(one) for one in checkpoints.order_by("-created_at")[:MOST_CHECKPOINTS]],
        ),
        Group(_("Base models"), [_base(one) for one in BaseModel.objects.order_by("name")[:50]]),
    ]
    return [group for group in found if group.members]


def find(key: str) -> Askable | None:
    """The one with this key in the tenant in scope; None for whatever else was written."""
    kind, _colon, written = key.partition(":")
    try:
        pk = uuid.UUID(written)
    except ValueError:
        return None
    if kind == "base":
        base = BaseModel.objects.filter(pk=pk).first()
        return _base(base) if base else None
    if kind == "checkpoint":
        checkpoint = Checkpoint.objects.present().select_related("base_model").filter(pk=pk).first()
        return _checkpoint(checkpoint) if checkpoint else None
    if kind == "deployment":
        found = Deployment.objects.select_related("checkpoint__base_model", "base_model")
        deployment = found.filter(pk=pk).first()
        return _deployment(deployment) if deployment else None
    return None


def chosen(keys: Sequence[str], known: Iterable[Group]) -> list[Askable]:
    """What was asked for, up to three; else the base beside what serves, or the newest."""
    wanted = (find(key) for key in dict.fromkeys(keys[: 2 * MOST_COLUMNS]))
    found = [one for one in wanted if one is not None][:MOST_COLUMNS]
    if found:
        return found
    members = {group.name: group.members for group in known}
    served = [one for some in members.values() for one in some if one.served]
    tuned = next((one for one in served if isinstance(one.model, Checkpoint)), None)
    bases = [one for one in served if one.kind == "base"]
    if tuned is not None and isinstance(tuned.model, Checkpoint):
        own = f"base:{tuned.model.base_model_id}"
        bases = [one for one in bases if one.key == own]
        return [*bases[:1], tuned]
    return bases[:1]


def checkpoint_of(models: Iterable[Askable]) -> Checkpoint | None:
    """The first checkpoint among them, whose held-out questions are worth asking."""
    return next((one.model for one in models if isinstance(one.model, Checkpoint)), None)


def _base(base: BaseModel) -> Askable:
    served = base.engine_url is not None
    return Askable(f"base:{base.pk}", "base", base.name, _note(served), base.name, served)


def _checkpoint(checkpoint: Checkpoint) -> Askable:
    served = checkpoint.served_by is not None
    key = f"checkpoint:{checkpoint.pk}"
    return Askable(key, "checkpoint", checkpoint.name, _note(served), checkpoint, served)


def _deployment(deployment: Deployment) -> Askable:
    checkpoint = deployment.checkpoint
    model: Checkpoint | str = checkpoint or deployment.base_model.name
    served = (checkpoint.served_by if checkpoint else deployment.base_model.engine_url) is not None
    note = checkpoint.name if checkpoint else _("the base model alone")
    key = f"deployment:{deployment.pk}"
    return Askable(key, "deployment", deployment.name, _note(served) or note, model, served)


def _note(served: bool) -> str:
    return "" if served else _("no engine serves it")
