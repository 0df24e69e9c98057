"""Who may do what: one table from roles to capabilities, and the same capabilities as key scopes."""

from typing import Any, Protocol

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tenancy.models import Membership, Role

VIEW = "view"  # read the tenant's data
ANNOTATE = "annotate"  # import, edit and label examples
GENERATE = "generate"  # ask the tenant's models
ANSWER = "answer"  # speak to visitors, at the agents' desk or by a key
TRAIN = "train"  # freeze versions, start and cancel jobs, evaluate
PROMOTE = "promote"  # put a checkpoint into service, roll back
MANAGE = "manage"  # members, invitations, API keys
OVERRIDE = "override"  # promote against the gate's verdict; never a key's

CAPABILITIES_OF_ROLE: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({VIEW}),
    Role.AGENT: frozenset({VIEW, GENERATE, ANSWER}),
    Role.ANNOTATOR: frozenset({VIEW, GENERATE, ANNOTATE}),
    Role.ADMIN: frozenset({VIEW, GENERATE, ANSWER, ANNOTATE, TRAIN, PROMOTE, MANAGE}),
    Role.OWNER: frozenset({VIEW, GENERATE, ANSWER, ANNOTATE, TRAIN, PROMOTE, MANAGE, OVERRIDE}),
}
SCOPES_OF_KEYS = (VIEW, GENERATE, ANSWER, ANNOTATE, TRAIN, PROMOTE, MANAGE)


class Holder(Protocol):
    """Whatever carries capabilities: accounts.access.Credential."""

    @property
    def capabilities(self) -> frozenset[str]: ...


def capabilities_of(holder: Holder | Membership | str | None) -> frozenset[str]:
    """Of a membership, of a role by name, of a credential; of nobody: none."""
    if holder is None:
        return frozenset()
    if isinstance(holder, Membership):
        return CAPABILITIES_OF_ROLE.get(holder.role, frozenset())
    if isinstance(holder, str):
        return CAPABILITIES_OF_ROLE.get(holder, frozenset())
    return holder.capabilities


def can_view(holder: Holder | Membership | str | None) -> bool:
    return VIEW in capabilities_of(holder)


def can_generate(holder: Holder | Membership | str | None) -> bool:
    return GENERATE in capabilities_of(holder)


def can_answer(holder: Holder | Membership | str | None) -> bool:
    return ANSWER in capabilities_of(holder)


def can_annotate(holder: Holder | Membership | str | None) -> bool:
    return ANNOTATE in capabilities_of(holder)


def can_train(holder: Holder | Membership | str | None) -> bool:
    return TRAIN in capabilities_of(holder)


def can_promote(holder: Holder | Membership | str | None) -> bool:
    return PROMOTE in capabilities_of(holder)


def can_manage(holder: Holder | Membership | str | None) -> bool:
    return MANAGE in capabilities_of(holder)


def can_override(holder: Holder | Membership | str | None) -> bool:
    return OVERRIDE in capabilities_of(holder)


class DenyByDefault(BasePermission):
    """What a view does not name, nobody may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class HasCapability(BasePermission):
    """The credential holds what the view says that this action needs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if getattr(view, "action", None) is None:
            # The method does not exist here; whoever is known may hear so (405).
            return request.auth is not None
        needed = view.needed_capability()
        credential: Any = request.auth
        return needed is not None and needed in capabilities_of(credential)
