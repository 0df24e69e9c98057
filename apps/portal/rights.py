"""What each right means, in words; the table itself is accounts.permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from accounts.permissions import (
    ANNOTATE,
    ANSWER,
    CAPABILITIES_OF_ROLE,
    GENERATE,
    MANAGE,
    OVERRIDE,
    PROMOTE,
    TRAIN,
    VIEW,
)
from tenancy.models import Role

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

_NAMES: Mapping[str, StrPromise] = {
    VIEW: _("Look at everything"),
    GENERATE: _("Ask the models"),
    ANSWER: _("Answer visitors"),
    ANNOTATE: _("Import and label"),
    TRAIN: _("Tune and compare"),
    PROMOTE: _("Promote and roll back"),
    MANAGE: _("Manage people and keys"),
    OVERRIDE: _("Overrule the gate"),
}
_EXPLANATIONS: Mapping[str, StrPromise] = {
    VIEW: _("Datasets, jobs, models and their results, without changing any."),
    GENERATE: _("Answers from the base model and from what the tenant has tuned."),
    ANSWER: _("Conversations taken over from the bot, answered, noted on and resolved."),
    ANNOTATE: _(
        "Files into datasets, examples edited, accepted, rejected and labelled; articles of knowledge."
    ),
    TRAIN: _("Versions frozen, fine-tuning jobs started and stopped, checkpoints compared."),
    PROMOTE: _("Which checkpoint answers, as far as the gate lets it."),
    MANAGE: _("Members, invitations, keys, webhooks, inboxes, the audit log and the settings."),
    OVERRIDE: _("Promote a checkpoint against the gate's verdict, with a reason."),
}
_ROLES: Mapping[str, StrPromise] = {
    Role.OWNER: _("Everything, and may overrule the gate. One owner always stays."),
    Role.ADMIN: _("Everything but overruling the gate and making owners."),
    Role.ANNOTATOR: _("Imports and labels examples, and asks the models."),
    Role.AGENT: _("Answers visitors, asks the models, and looks at everything."),
    Role.VIEWER: _("Looks at everything and changes nothing."),
}


def name(capability: str) -> str:
    return str(_NAMES.get(capability, capability))


def explanation(capability: str) -> str:
    return str(_EXPLANATIONS.get(capability, ""))


def of_role(role: str) -> str:
    return str(_ROLES.get(role, ""))


@dataclass(frozen=True)
class Right:
    name: str
    explanation: str
    held: list[bool]


def table() -> tuple[list[str], list[Right]]:
    """The roles as columns, and each right with who holds it."""
    roles = list(Role)
    rights = [
        Right(name(right), explanation(right), [right in CAPABILITIES_OF_ROLE[r] for r in roles])
        for right in _NAMES
    ]
    return [str(role.label) for role in roles], rights
