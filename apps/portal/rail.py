"""The rail at the left: the pages of one tenant by area, and where the reader is among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.permissions import can_manage
from tenancy.models import Membership

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True)
class Entry:
    label: StrPromise
    url: str
    icon: str
    key: str
    current: bool

    @property
    def keys(self) -> list[str]:
        return self.key.split()


@dataclass(frozen=True)
class Group:
    """Pages that belong together; home stands alone and needs no heading."""

    label: StrPromise | str
    entries: list[Entry]


@dataclass(frozen=True)
class _Place:
    name: str
    label: StrPromise
    icon: str
    key: str
    covers: frozenset[str]
    allowed: Callable[[Membership], bool] | None = None


_HOME = (_Place("home", _("Home"), "home", "g h", frozenset({"home"})),)
_DATA = (
    _Place(
        "datasets",
        _("Datasets"),
        "dataset",
        "g d",
        frozenset(
            {
                "datasets",
                "dataset",
                "dataset-new",
                "dataset-settings",
                "examples",
                "import",
                "import-run",
                "import-lines",
                "version",
                "version-compare",
            }
        ),
    ),
    _Place(
        "history",
        _("History"),
        "clock",
        "g y",
        frozenset(
            {
                "history",
                "history-new",
                "history-run",
                "history-lines",
                "history-rules",
                "history-conversation",
                "history-reveal",
            }
        ),
    ),
    _Place(
        "labelling",
        _("Labelling"),
        "label",
        "g l",
        frozenset(
            {"labelling", "labelling-new", "labelling-edit", "label", "agreement", "adjudicate"}
        ),
    ),
)
_TUNING = (
    _Place(
        "jobs", pgettext_lazy("pages", "Jobs"), "job", "g j", frozenset({"jobs", "job", "job-new"})
    ),
    _Place("models", _("Models"), "model", "g m", frozenset({"models", "checkpoint"})),
    _Place("playground", _("Playground"), "playground", "g p", frozenset({"playground"})),
)
_SUPPORT = (
    _Place("desk", _("Conversations"), "mail", "g c", frozenset({"desk", "desk-conversation"})),
    _Place(
        "contacts",
        _("Contacts"),
        "person",
        "g o",
        frozenset({"contacts", "contact", "contact-erase", "conversation-exports"}),
    ),
    _Place(
        "knowledge",
        _("Knowledge"),
        "article",
        "g b",
        frozenset(
            {"knowledge", "article", "article-new", "knowledge-trial", "knowledge-import", "gaps"}
        ),
    ),
    _Place("numbers", _("Numbers"), "usage", "g n", frozenset({"numbers", "answer-review"})),
    _Place(
        "regression",
        _("Test questions"),
        "check",
        "g t",
        frozenset({"regression", "regression-run"}),
    ),
    _Place(
        "replies",
        _("Canned replies"),
        "copy",
        "g q",
        frozenset({"replies", "reply", "reply-new"}),
    ),
    _Place(
        "inboxes",
        _("Inboxes"),
        "inbox",
        "g i",
        frozenset({"inboxes", "inbox", "inbox-new", "identity-key-new", "trial"}),
    ),
)
_SETTINGS = (
    _Place("usage", _("Usage"), "usage", "g u", frozenset({"usage"})),
    _Place(
        "members",
        _("Members"),
        "people",
        "g r",
        frozenset({"members", "member", "invite", "invitation-renew"}),
    ),
    _Place("keys", _("API keys"), "key", "g k", frozenset({"keys", "key", "key-new"}), can_manage),
    _Place(
        "webhooks",
        _("Webhooks"),
        "webhook",
        "g w",
        frozenset({"webhooks", "webhook", "webhook-new", "webhook-rotate"}),
        can_manage,
    ),
    _Place("audit", _("Audit log"), "trail", "g a", frozenset({"audit"}), can_manage),
    _Place("settings", _("Tenant"), "settings", "g s", frozenset({"settings"})),
)
_GROUPS: tuple[tuple[StrPromise | str, tuple[_Place, ...]], ...] = (
    ("", _HOME),
    (_("Data"), _DATA),
    (pgettext_lazy("pages", "Tuning"), _TUNING),
    (_("Support"), _SUPPORT),
    (_("Settings"), _SETTINGS),
)


def groups_for(request: HttpRequest) -> list[Group]:
    """The pages of the tenant that the request is for, as far as the reader may open them."""
    match = request.resolver_match
    here = match.url_name if match else None
    slug: str = request.tenant.slug  # type: ignore[attr-defined]
    membership: Membership = request.membership  # type: ignore[attr-defined]
    return [
        Group(
            label,
            [
                Entry(
                    place.label,
                    reverse(f"portal:{place.name}", args=[slug]),
                    place.icon,
                    place.key,
                    here in place.covers,
                )
                for place in places
                if place.allowed is None or place.allowed(membership)
            ],
        )
        for label, places in _GROUPS
    ]
