"""Anything of the tenant by a piece of its name, or by its id: what the palette and its page show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import ApiKey
from accounts.permissions import can_manage
from apps.chatbot.models import Article, Contact, Conversation, Inbox
from apps.portal import rail
from gpt_core.models import Checkpoint, Deployment, FineTuningJob
from labeling.models import Dataset, Example, LabelingTask
from tenancy.models import Membership

# Of each kind: whoever sees five of them writes one letter more.
MOST = 5
LONGEST = 100


@dataclass(frozen=True)
class Hit:
    label: str
    detail: str
    icon: str
    url: str


@dataclass(frozen=True)
class Found:
    """Hits of one kind under their heading."""

    label: str
    hits: list[Hit]


@dataclass(frozen=True)
class _Search:
    """What is looked for, where links lead, and who looks."""

    text: str
    id: UUID | None
    slug: str
    membership: Membership

    def url(self, name: str, *args: Any) -> str:
        return reverse(f"portal:{name}", args=[self.slug, *args])

    def named(self, *fields: str) -> Q:
        """By a piece of one of these fields, or by the whole id."""
        if self.id is not None:
            return Q(pk=self.id)
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__icontains": self.text})
        return found


def find(request: HttpRequest, asked: str) -> list[Found]:
    """Pages first, for they are asked for most; nothing asked: the pages alone."""
    text = " ".join(asked[:LONGEST].split())
    pages = Found(_("Pages"), list(_pages(request, text)))
    if not text:
        return [pages]
    search = _Search(
        text,
        _id(text),
        request.tenant.slug,  # type: ignore[attr-defined]
        request.membership,  # type: ignore[attr-defined]
    )
    found = [pages, *(Found(label(), list(look(search))) for label, look in _KINDS)]
    return [one for one in found if one.hits]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _pages(request: HttpRequest, text: str) -> Iterator[Hit]:
    for group in rail.groups_for(request):
        for entry in group.entries:
            if text.casefold() in f"{entry.label} {group.label}".casefold():
                yield Hit(str(entry.label), str(group.label), entry.icon, entry.url)


def _datasets(search: _Search) -> Iterator[Hit]:
    for row in Dataset.objects.filter(search.named("name", "slug")).order_by("name")[:MOST]:
        yield Hit(row.name, row.slug, "dataset", search.url("dataset", row.pk))


def _jobs(search: _Search) -> Iterator[Hit]:
    asked = search.named("deployment_name", "name")
    if search.text.isdecimal() and len(search.text) < 10:
        asked |= Q(number=int(search.text))
    rows = FineTuningJob.objects.filter(asked).select_related("tenant").order_by("-queued_at")
    for row in rows[:MOST]:
        yield Hit(str(row), row.get_state_display(), "job", search.url("job", row.pk))


def _checkpoints(search: _Search) -> Iterator[Hit]:
    rows = Checkpoint.objects.filter(search.named("name"))
    for row in rows.select_related("base_model").order_by("-created_at")[:MOST]:
        yield Hit(row.name, row.base_model.name, "model", search.url("checkpoint", row.pk))


def _deployments(search: _Search) -> Iterator[Hit]:
    rows = Deployment.objects.filter(search.named("name")).select_related("checkpoint")
    for row in rows.order_by("name")[:MOST]:
        serving = row.checkpoint.name if row.checkpoint else _("the base model alone")
        yield Hit(row.name, serving, "star", search.url("models"))


def _examples(search: _Search) -> Iterator[Hit]:
    """By the id here, or by the id that the source gave."""
    asked = Q(pk=search.id) if search.id else Q(external_id=search.text)
    for row in Example.objects.filter(asked).select_related("dataset")[:MOST]:
        yield Hit(
            row.external_id or str(row.pk),
            row.dataset.name,
            "trail",
            search.url("example", row.pk),
        )


def _tasks(search: _Search) -> Iterator[Hit]:
    rows = LabelingTask.objects.filter(search.named("name")).select_related("dataset")
    for row in rows.order_by("-created_at")[:MOST]:
        yield Hit(row.name, row.dataset.name, "label", search.url("label", row.pk))


def _conversations(search: _Search) -> Iterator[Hit]:
    """By the visitor or by what was said; one letter would be in all of them."""
    if search.id is None and len(search.text) < 2:
        return
    rows = Conversation.objects.all()
    rows = rows.filter(pk=search.id) if search.id else rows.about(search.text)
    for row in rows.select_related("contact", "inbox").order_by("-updated_at")[:MOST]:
        detail = f"{row.inbox.name} · {row.get_state_display()}"
        yield Hit(str(row.contact), detail, "mail", search.url("desk-conversation", row.pk))


def _articles(search: _Search) -> Iterator[Hit]:
    for row in Article.objects.filter(search.named("title")).order_by("-updated_at")[:MOST]:
        yield Hit(row.title, row.get_state_display(), "article", search.url("article", row.pk))


def _contacts(search: _Search) -> Iterator[Hit]:
    rows = Contact.objects.filter(search.named("name", "email", "external_id"))
    for row in rows.order_by("-created_at")[:MOST]:
        yield Hit(str(row), row.email, "person", search.url("contact", row.pk))


def _inboxes(search: _Search) -> Iterator[Hit]:
    for row in Inbox.objects.filter(search.named("name")).order_by("name")[:MOST]:
        yield Hit(row.name, row.language, "inbox", search.url("inbox", row.pk))


def _members(search: _Search) -> Iterator[Hit]:
    rows = Membership.objects.filter(search.named("user__name", "user__email"))
    manages = can_manage(search.membership)
    for row in rows.select_related("user").order_by("user__email")[:MOST]:
        url = search.url("member", row.pk) if manages else search.url("members")
        yield Hit(str(row.user), row.get_role_display(), "person", url)


def _keys(search: _Search) -> Iterator[Hit]:
    if can_manage(search.membership):
        for row in ApiKey.objects.filter(search.named("name", "prefix")).order_by("name")[:MOST]:
            yield Hit(row.name, f"{row.prefix}…", "key", search.url("keys"))


_KINDS: tuple[tuple[Callable[[], str], Callable[[_Search], Iterator[Hit]]], ...] = (
    (lambda: _("Datasets"), _datasets),
    (lambda: pgettext("pages", "Jobs"), _jobs),
    (lambda: _("Checkpoints"), _checkpoints),
    (lambda: _("Deployments"), _deployments),
    (lambda: _("Examples"), _examples),
    (lambda: _("Labelling tasks"), _tasks),
    (lambda: _("Conversations"), _conversations),
    (lambda: _("Knowledge"), _articles),
    (lambda: _("Contacts"), _contacts),
    (lambda: _("Inboxes"), _inboxes),
    (lambda: _("Members"), _members),
    (lambda: _("API keys"), _keys),
)
