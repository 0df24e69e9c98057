"""The examples of one dataset as a list: what was asked for, what was found, what may be done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions import can_annotate
from labeling.finding import Filters
from labeling.models import BulkChange, Dataset, Example, ImportRun, Label
from labeling.rows import spoken_text
from tenancy.models import Membership

PER_PAGE = 50
# Beyond this a search is not counted: whoever sees so many wants to search more closely.
MOST_COUNTED = 1_000
# Filters that an index answers, so that even a hundred thousand rows are counted at once.
QUICK = frozenset({"state", "run"})
UNDO_OFFERED = timedelta(hours=24)
EXCERPT = 160


class ExamplesPage:
    def __init__(self, dataset: Dataset, given: Mapping[str, str], membership: Membership) -> None:
        self.dataset = dataset
        self.given = given
        self.membership = membership
        self.filters = Filters.read(given)
        self.open_id = given.get("open", "")

    @cached_property
    def page(self) -> Page[Any]:
        """One page of examples. Where counting would read every row, only so many are counted."""
        rows = self.filters.of(self.dataset).order_by("-created_at", "-id")
        number = self.given.get("page")
        if set(self.filters.chosen()) <= QUICK:
            return Paginator(rows.defer("search_text"), PER_PAGE).get_page(number)
        ids = list(rows.values_list("pk", flat=True)[: MOST_COUNTED + 1])
        self.is_capped = len(ids) > MOST_COUNTED
        page = Paginator(ids[:MOST_COUNTED], PER_PAGE).get_page(number)
        found = Example.objects.defer("search_text").in_bulk(list(page.object_list))
        page.object_list = [found[pk] for pk in page.object_list if pk in found]
        return page

    is_capped = False

    @cached_property
    def rows(self) -> list[Any]:
        return [example_row(example) for example in self.page]

    @cached_property
    def states(self) -> list[tuple[str, str, int]]:
        counted = dict(
            Example.objects.filter(dataset=self.dataset)
            .order_by()
            .values_list("state")
            .annotate(Count("pk"))
        )
        return [(one.value, str(one.label), counted.get(one.value, 0)) for one in Example.State]

    @property
    def total(self) -> int:
        return sum(count for _value, _label, count in self.states)

    @cached_property
    def choices(self) -> list[dict[str, Any]]:
        """The filters beside search and state, each a choice of values that may be there."""
        labels = Label.objects.filter(dataset=self.dataset).order_by("name")
        names = list(labels.values_list("name", flat=True)[:200])
        runs = ImportRun.objects.filter(dataset=self.dataset, is_check=False)
        files = [
            (str(pk), filename)
            for pk, filename in runs.order_by("-created_at").values_list("pk", "filename")[:50]
        ]
        wanted = [
            ("kind", _("Kind"), list(Example.Kind.choices)),
            ("label", _("Label"), [(name, name) for name in names]),
            ("source", _("Source"), list(Example.Source.choices)),
            ("run", _("File"), files),
            ("edited", _("Edited"), [("yes", _("edited")), ("no", _("as imported"))]),
            ("personal", _("Personal data"), [("any", _("any kind")), *personal_choices()]),
        ]
        return [
            {"name": name, "label": label, "values": values, "chosen": getattr(self.filters, name)}
            for name, label, values in wanted
            if values
        ]

    @cached_property
    def chips(self) -> list[tuple[str, str]]:
        """What is filtered now beside the state, each with the way to take it off."""
        found = []
        for choice in self.choices:
            if choice["chosen"]:
                said = dict(choice["values"]).get(choice["chosen"], choice["chosen"])
                found.append((f"{choice['label']}: {said}", self.address(**{choice["name"]: ""})))
        return found

    def address(self, **changes: str) -> str:
        """The query of this list with some filters changed; from its first page on."""
        return "?" + urlencode(
            {name: value for name, value in (self.filters.chosen() | changes).items() if value}
        )

    @property
    def query(self) -> str:
        return urlencode(self.filters.chosen())

    @property
    def query_with_page(self) -> str:
        place = {"page": self.page.number} if self.page.number > 1 else {}
        return urlencode(self.filters.chosen() | place)

    @property
    def state_addresses(self) -> list[tuple[str, str, int, str]]:
        return [(*one, self.address(state=one[0])) for one in self.states]

    @property
    def all_states(self) -> str:
        return self.address(state="")

    @cached_property
    def change(self) -> BulkChange | None:
        """The last change of many examples, while it runs or may be undone."""
        newest = (
            BulkChange.objects.filter(
                dataset=self.dataset, created_at__gte=timezone.now() - UNDO_OFFERED
            )
            .order_by("-created_at")
            .first()
        )
        return newest

    @property
    def can_annotate(self) -> bool:
        return can_annotate(self.membership)


def example_row(example: Example) -> dict[str, Any]:
    """What the list shows of an example."""
    return {"example": example, "excerpt": " ".join(spoken_text(example.content).split())[:EXCERPT]}


def personal_choices() -> list[tuple[str, str]]:
    return [
        ("email", _("e-mail address")),
        ("phone", _("telephone number")),
        ("id_card", _("identity card")),
        ("bank_card", _("bank card")),
    ]
