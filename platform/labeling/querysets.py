"""The questions that are asked of datasets, examples and frozen rows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q

from tenancy.querysets import TenantQuerySet

if TYPE_CHECKING:
    from labeling.models import Dataset, Example, VersionRow  # noqa: F401

PAGE = 1_000


class DatasetQuerySet(TenantQuerySet["Dataset"]):
    def with_counts(self) -> "DatasetQuerySet":
        """Each with `example_count` and `accepted_count`."""
        return self.annotate(
            example_count=Count("examples"),
            accepted_count=Count("examples", filter=Q(examples__state="accepted")),
        )


class ExampleQuerySet(TenantQuerySet["Example"]):
    def accepted(self) -> "ExampleQuerySet":
        return self.filter(state="accepted")

    def in_pages(self, size: int = PAGE) -> Iterator[list["Example"]]:
        """All of them by id, a page at a time: bounded memory on every database.

        `iterator()` would hold all rows on PostgreSQL, where statements that carry the tenant's
        scope cannot use a server-side cursor.
        """
        after: Any = None
        rows = self.order_by("id")
        while page := list((rows.filter(id__gt=after) if after else rows)[:size]):
            yield page
            after = page[-1].id


class VersionRowQuerySet(TenantQuerySet["VersionRow"]):
    def of_split(self, split: str) -> "VersionRowQuerySet":
        return self.filter(split=split)

    def in_order(self, size: int = PAGE) -> Iterator["VersionRow"]:
        """The rows of one split of one version in their order, read a page at a time."""
        after = -1
        rows = self.order_by("position")
        while page := list(rows.filter(position__gt=after)[:size]):
            yield from page
            after = page[-1].position
