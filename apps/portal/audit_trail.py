"""The trail in words: who did what to what. The words themselves stand in audit_sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import ApiKey, User
from apps.portal import audit_sentences
from tenancy.models import AuditEntry

# What a row's own name needs beside the row, so that a page asks once a table.
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "tenancy.membership": ("user",),
    "gpt_core.finetuningjob": ("tenant",),
    "gpt_core.evaluation": ("checkpoint__job",),
    "gpt_core.export": ("checkpoint",),
    "labeling.datasetversion": ("dataset",),
    "webhooks.webhookdelivery": ("endpoint",),
}
_PAGES: Mapping[str, str] = {
    "gpt_core.finetuningjob": "portal:job",
    "gpt_core.checkpoint": "portal:checkpoint",
    "labeling.dataset": "portal:dataset",
    "labeling.example": "portal:example",
    "labeling.labelingtask": "portal:label",
    "tenancy.membership": "portal:member",
    "accounts.apikey": "portal:key",
    "webhooks.webhookendpoint": "portal:webhook",
    "chatbot.conversation": "portal:desk-conversation",
}


@dataclass(frozen=True)
class Line:
    """One entry as a page shows it. `page` is None where nothing is left to open."""

    at: datetime
    actor: str
    actor_icon: str
    sentence: str
    action: str
    page: tuple[str, UUID] | None

    def url(self, slug: str) -> str:
        return reverse(self.page[0], args=[slug, self.page[1]]) if self.page else ""


def entries_of(entries: list[AuditEntry]) -> list[Line]:
    """In as many queries as there are tables in it, whatever the number of entries."""
    people, keys = _actors(entries)
    rows = _targets(entries)
    return [_line(entry, people, keys, rows) for entry in entries]


def actor_name(kind: str, id: str, people: Mapping[str, str], keys: Mapping[str, str]) -> str:
    if kind == "person":
        return people.get(id) or _("somebody who is gone")
    if kind == "key":
        return keys.get(id) or _("a key that is gone")
    return "Parley"


def names_of(actors: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """{id: name} of the people and of the keys among these."""
    ids: dict[str, set[str]] = defaultdict(set)
    for kind, id in actors:
        ids[kind].add(id)
    people = User.objects.filter(pk__in=_uuids(ids["person"]))
    keys = ApiKey.objects.filter(pk__in=_uuids(ids["key"]))
    return {str(one.pk): str(one) for one in people}, {str(one.pk): one.name for one in keys}


def _actors(entries: list[AuditEntry]) -> tuple[dict[str, str], dict[str, str]]:
    actors = {(entry.actor_kind, entry.actor_id) for entry in entries}
    # A member who was removed has no row any more; the entry names the person.
    actors |= {("person", str(entry.data["user"])) for entry in entries if "user" in entry.data}
    return names_of(actors)


def _targets(entries: list[AuditEntry]) -> dict[tuple[str, str], Model]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.target_type and entry.target_id:
            wanted[entry.target_type].add(entry.target_id)
    found = {}
    for label, ids in wanted.items():
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            continue
        rows = model._default_manager.select_related(*_BESIDE.get(label, ()))
        for row in rows.filter(pk__in=_keys_of(model, ids)):
            found[label, str(row.pk)] = row
    return found


def _line(
    entry: AuditEntry,
    people: Mapping[str, str],
    keys: Mapping[str, str],
    rows: Mapping[tuple[str, str], Model],
) -> Line:
    row = rows.get((entry.target_type, entry.target_id))
    name = people.get(str(entry.data.get("user", ""))) or _name(row)
    page = _PAGES.get(entry.target_type) if row is not None else None
    return Line(
        at=entry.created_at,
        actor=actor_name(entry.actor_kind, entry.actor_id, people, keys),
        actor_icon={"person": "person", "key": "key"}.get(entry.actor_kind, "mark"),
        sentence=audit_sentences.sentence(entry.action, name, entry.data),
        action=entry.action,
        page=(page, row.pk) if page and row is not None else None,
    )


def _name(row: Any) -> str:
    """What the row is called now. Gone rows have no name: the trail keeps ids, not words."""
    if row is None:
        return _("(gone)")
    match row._meta.label_lower:
        case "tenancy.membership":
            return str(row.user)
        case "tenancy.invitation":
            return str(row.email)
        case "accounts.apikey":
            return str(row.name)
        case "gpt_core.evaluation" | "gpt_core.export":
            return str(row.checkpoint)
        case "webhooks.webhookdelivery":
            return str(row.endpoint)
        case "labeling.datasetversion":
            return f"{row.dataset.name} {row}"
    return str(row)


def _keys_of(model: type[Model], ids: set[str]) -> list[Any]:
    kept = []
    for id in ids:
        try:
            kept.append(model._meta.pk.to_python(id))  # type: ignore[union-attr]
        except ValidationError:
            continue
    return kept


def _uuids(ids: set[str]) -> list[UUID]:
    found = []
    for id in ids:
        try:
            found.append(UUID(id))
        except ValueError:
            continue
    return found
