"""The questions that are asked of datasets, examples and frozen rows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from tenancy.querysets import TenantQuerySet

if TYPE_CHECKING:
    from labeling.models import Dataset, Example, StoredFile, VersionRow  # noqa: F401

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


class StoredFileQuerySet(TenantQuerySet["StoredFile"]):
    def present(self) -> "StoredFileQuerySet":
        """Those whose bytes can be read: neither deleted nor past their time."""
        now = timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), state="stored")

    def expired(self) -> "StoredFileQuerySet":
        return self.filter(state="stored", expires_at__lte=timezone.now())


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


class WorkQuerySet(TenantQuerySet[Any]):
    def open(self) -> "WorkQuerySet":
        """Waiting or being worked on."""
        return self.filter(state__in=("queued", "running"))

    def claimable(self) -> "WorkQuerySet":
        """Waiting, or held by a worker that renewed its lease no more."""
        return self.filter(
            Q(state="queued") | Q(state="running", lease_until__lt=Now()), _not_for_a_command(self)
        )

    def held(self, pk: Any, token: int) -> "WorkQuerySet":
        """The row while the claim with this token holds it."""
        return self.filter(pk=pk, token=token, state="running")


def _not_for_a_command(rows: WorkQuerySet) -> Q:
    """An import without a stored file is read by whoever asked for it, never by a worker."""
    return Q(file__isnull=False) if hasattr(rows.model, "file") else Q()
