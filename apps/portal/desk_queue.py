"""The list of the agents' desk: which conversations, how many of each kind, who waits how long."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Conversation, Handoff, Inbox, Mention, Message
from apps.chatbot.querysets import holds

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

PER_PAGE = 50
BEFORE_THE_WORD = 30
# Of a search that finds more, the newest count: whoever wants the others narrows it.
MOST_FOUND = 1_000
NOBODY = "none"

_NAMES: dict[str, StrPromise] = {
    "waiting": _("Needs a person"),
    "mine": _("Mine"),
    "open": _("All open"),
    "snoozed": _("Snoozed"),
    "resolved": _("Resolved"),
    "mentions": _("Mentions you"),
}


class FilterForm(forms.Form):
    """What stands in the address of the desk; what is wrong in it is not looked for."""

    show = forms.ChoiceField(choices=list(_NAMES.items()), required=False)
    q = forms.CharField(max_length=100, required=False)
    inbox = forms.UUIDField(required=False)
    assignee = forms.CharField(max_length=36, required=False)

    def clean_assignee(self) -> str:
        given: str = self.cleaned_data["assignee"]
        try:
            return given if given in ("", NOBODY) else str(UUID(given))
        except ValueError:
            return ""


def kept(given: Mapping[str, Any]) -> str:
    """The part of an address that says what the list shows."""
    return urlencode({name: value for name, value in _asked(given).items() if value})


def _asked(given: Mapping[str, Any]) -> dict[str, str]:
    form = FilterForm(given)
    form.is_valid()
    return {name: str(form.cleaned_data.get(name) or "") for name in FilterForm.base_fields}


def mark() -> str:
    """Changes with every change to any conversation of the tenant."""
    newest = Conversation.objects.order_by("-updated_at").values_list("pk", "last_seq").first()
    return f"{newest[0]}-{newest[1]}" if newest else "none"


class Queue:
    """The tenant's conversations as `given`, the parameters of an address, wants them; without
    `show`, of the first kind that has any."""

    def __init__(self, user: User, given: Mapping[str, Any]) -> None:
        # Before the rows: what changes in between is asked for once more, not missed.
        self.mark = mark()
        self.user = user
        asked = _asked(given)
        self.text, self.inbox, self.assignee = asked["q"], asked["inbox"], asked["assignee"]
        kinds = {
            "waiting": Q(state="open", waiting_since__isnull=False),
            "mine": Q(state__in=("open", "pending"), assignee=user),
            "open": Q(state__in=("open", "pending")),
            "snoozed": Q(state="snoozed"),
            "resolved": Q(state="resolved"),
            "mentions": Q(pk__in=self._mentions().values("message__conversation")),
        }
        counts = self._narrowed().aggregate(
            **{kind: Count("pk", filter=wanted) for kind, wanted in kinds.items()}
        )
        # Of these it matters how many are unseen.
        unseen = self._mentions().filter(seen_at__isnull=True)
        counts["mentions"] = unseen.values("message__conversation").distinct().count()
        self.total = counts["open"] + counts["snoozed"] + counts["resolved"]
        first = ("open", "snoozed", "resolved") if self.is_narrowed else ("waiting", "mine")
        default = next((kind for kind in first if counts[kind]), "open")
        self.show = asked["show"] or default
        self.query = self._address(self.show)
        self.kinds = [(kind, _NAMES[kind], counts[kind], self._address(kind)) for kind in kinds]
        found = self._rows().filter(kinds[self.show])
        self.page: Page[Conversation] = Paginator(found, PER_PAGE).get_page(given.get("page"))

    @property
    def is_narrowed(self) -> bool:
        return bool(self.text or self.inbox or self.assignee)

    @property
    def entries(self) -> list[tuple[Conversation, str]]:
        """Each with what the visitor wanted, or where what is looked for stands."""
        return [(one, self._excerpt(getattr(one, "last_text", ""))) for one in self.page]

    @cached_property
    def inboxes(self) -> list[Inbox]:
        return list(Inbox.objects.only("name"))

    @cached_property
    def agents(self) -> list[User]:
        return services.agents()

    @cached_property
    def _found(self) -> list[UUID]:
        """Looked for once: what follows asks for these alone."""
        rows = Conversation.objects.about(self.text).order_by("-updated_at")
        return list(rows.values_list("pk", flat=True)[:MOST_FOUND])

    def _mentions(self) -> Any:
        return Mention.objects.filter(user=self.user).order_by()

    def _address(self, kind: str) -> str:
        asked = {"show": kind, "q": self.text, "inbox": self.inbox, "assignee": self.assignee}
        return urlencode({name: value for name, value in asked.items() if value})

    def _narrowed(self) -> Any:
        rows = Conversation.objects.all()
        if self.text:
            rows = rows.filter(pk__in=self._found)
        if self.inbox:
            rows = rows.filter(inbox_id=self.inbox)
        if self.assignee:
            whose = None if self.assignee == NOBODY else self.assignee
            rows = rows.filter(assignee_id=whose)
        return rows

    def _rows(self) -> Any:
        # What the visitor wants says more than what was last answered.
        said = Message.objects.filter(conversation=OuterRef("pk")).order_by("-seq").values("text")
        asked = said.filter(role=Message.Role.USER)
        text: Any = Subquery(asked[:1])
        if self.text:
            text = Coalesce(Subquery(said.filter(holds("text", self.text.split()[0]))[:1]), text)
        given = Handoff.objects.filter(conversation=OuterRef("pk")).order_by("-created_at")
        rows = self._narrowed().select_related("contact", "inbox", "assignee")
        unseen = self._mentions().filter(seen_at__isnull=True, message__conversation=OuterRef("pk"))
        rows = rows.annotate(
            last_text=text, reason=Subquery(given.values("reason")[:1]), mentions_me=Exists(unseen)
        )
        # What is due first comes first; everywhere else what moved last.
        return (
            rows.waiting_for_people()
            if self.show == "waiting"
            else rows.order_by("-updated_at", "pk")
        )

    def _excerpt(self, text: str | None) -> str:
        text = text or ""
        word = self.text.split()[0].casefold() if self.text else ""
        at = text.casefold().find(word)
        return f"…{text[at - BEFORE_THE_WORD :]}" if at > BEFORE_THE_WORD * 2 else text
