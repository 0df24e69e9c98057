"""The rail at the left: the pages of one tenant, and where the reader is among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

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
class _Place:
    name: str
    label: StrPromise
    icon: str
    key: str
    covers: frozenset[str]


_PLACES = (
    _Place("home", _("Home"), "home", "g h", frozenset({"home"})),
    _Place(
        "datasets", _("Datasets"), "dataset", "g d", frozenset({"datasets", "dataset", "version"})
    ),
    _Place("jobs", pgettext_lazy("pages", "Jobs"), "job", "g j", frozenset({"jobs", "job"})),
    _Place("models", _("Models"), "model", "g m", frozenset({"models"})),
    _Place("playground", _("Playground"), "playground", "g p", frozenset({"playground"})),
)


def entries_for(request: HttpRequest) -> list[Entry]:
    """The pages of the tenant that the request is for."""
    match = request.resolver_match
    here = match.url_name if match else None
    slug = request.tenant.slug  # type: ignore[attr-defined]
    return [
        Entry(
            place.label,
            reverse(f"portal:{place.name}", args=[slug]),
            place.icon,
            place.key,
            here in place.covers,
        )
        for place in _PLACES
    ]
