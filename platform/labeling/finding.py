"""Which examples are meant: what a person typed and chose, as a query that can be kept and repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.db.models import BooleanField, F, Func, Value

from labeling.models import Dataset, Example
from labeling.personal_data import KINDS
from labeling.rows import MAX_LABEL_CHARACTERS, folded

if TYPE_CHECKING:
    from labeling.querysets import ExampleQuerySet

MOST_CHARACTERS = 200
MOST_WORDS = 8
PERSONAL = ("any", *KINDS)


class Wears(Func):
    """Whether a list of labels holds one. Each database asks its own JSON in its own way."""

    output_field = BooleanField()
    arity = 2

    def as_sqlite(self, compiler, connection, **context):  # type: ignore[no-untyped-def]
        template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s)"
        worn, label = self.source_expressions
        sql, params = compiler.compile(worn)
        wanted, more = compiler.compile(label)
        return f"{template % {'expressions': sql}} WHERE value = {wanted})", [*params, *more]

    def as_postgresql(self, compiler, connection, **context):  # type: ignore[no-untyped-def]
        worn, label = self.source_expressions
        sql, params = compiler.compile(worn)
        wanted, more = compiler.compile(label)
        return f"({sql} @> jsonb_build_array({wanted}::text))", [*params, *more]


@dataclass(frozen=True)
class Filters:
    """`text` are words that must all stand in the example; "" everywhere means no wish.

    A value that nobody can mean finds nothing, rather than everything: a change of many examples
    is made with these.
    """

    text: str = ""
    state: str = ""
    kind: str = ""
    label: str = ""
    source: str = ""
    run: str = ""
    edited: str = ""
    personal: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """From the parameters of an address, or from what was kept of one."""
        wishes = {name: str(given.get(name) or "").strip() for name in cls.__dataclass_fields__}
        wishes["text"] = wishes["text"][:MOST_CHARACTERS]
        return cls(**wishes)

    def chosen(self) -> dict[str, str]:
        """Only what was wished for."""
        return {name: value for name, value in asdict(self).items() if value}

    def of(self, dataset: Dataset) -> ExampleQuerySet:
        """The examples of the dataset that are meant."""
        rows = Example.objects.filter(dataset=dataset)
        if not self._can_be_meant():
            return rows.none()
        for word in self.words:
            rows = rows.filter(search_text__contains=word)
        if self.state:
            rows = rows.filter(state=self.state)
        if self.kind:
            rows = rows.filter(kind=self.kind)
        if self.label:
            rows = rows.filter(Wears(F("labels"), Value(self.label)))
        if self.source:
            rows = rows.filter(source_kind=self.source)
        if self.run:
            rows = rows.filter(import_run=self.run)
        if self.edited:
            rows = rows.filter(edited_at__isnull=self.edited == "no")
        if self.personal:
            rows = rows.exclude(personal_data="")
        if self.personal not in ("", "any"):
            rows = rows.filter(personal_data__contains=self.personal)
        return rows

    @property
    def words(self) -> list[str]:
        return folded(self.text).split()[:MOST_WORDS]

    def _can_be_meant(self) -> bool:
        closed = (
            (self.state, Example.State.values),
            (self.kind, Example.Kind.values),
            (self.source, Example.Source.values),
            (self.edited, ("yes", "no")),
            (self.personal, PERSONAL),
        )
        if any(value and value not in known for value, known in closed):
            return False
        return len(self.label) <= MAX_LABEL_CHARACTERS and (not self.run or _is_id(self.run))


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
