"""Counting without losing count: one statement that adds, and does not where a limit would be passed.

An upsert with a condition is atomic on SQLite and PostgreSQL alike, from however many processes, and
Django's ORM cannot say it. Each row is written with the tenant's own column, which the scope checks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models

from tenancy.models import GenerationSlot, Usage

Counter = tuple[UUID, str, str]


def counter_of(row: Usage) -> Counter:
    return row.key_id, row.kind, row.span


def add(rows: Sequence[Usage]) -> dict[Counter, int]:
    """Add `used` of each row to its counter; what each has come to.

    A counter that would pass its `ceiling` is left as it was, and is not in the answer.
    """
    # What is too much for an empty counter would be a new row, which no condition holds up.
    fitting = [row for row in rows if row.ceiling is None or row.used <= row.ceiling]
    if not fitting:
        return {}
    # Always in the same order, so that two that add at once never wait for each other.
    found = _upsert(
        sorted(fitting, key=counter_of),  # type: ignore[arg-type]
        unique="tenant_id, key_id, kind, span, starts_at",
        change=(
            "used = kept.used + excluded.used, ceiling = COALESCE(excluded.ceiling, kept.ceiling) "
            "WHERE excluded.ceiling IS NULL OR kept.used + excluded.used <= excluded.ceiling"
        ),
        answer=("key_id", "kind", "span", "used"),
    )
    return {(key_id, kind, span): used for key_id, kind, span, used in found}


def occupy(rows: Sequence[GenerationSlot], *, now: datetime) -> int:
    """Take each slot that is free, or whose time is over; how many were."""
    value = GenerationSlot._meta.get_field("until").get_db_prep_save(now, connection)
    found = _upsert(
        sorted(rows, key=lambda row: row.key_id),  # type: ignore[attr-defined]
        unique="tenant_id, key_id, number",
        change="holder = excluded.holder, until = excluded.until WHERE kept.until <= %s",
        answer=("number",),
        more=[value],
    )
    return len(found)


def _upsert(
    rows: Sequence[models.Model],
    *,
    unique: str,
    change: str,
    answer: Sequence[str],
    more: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    meta = rows[0]._meta
    columns = meta.local_concrete_fields
    names = ", ".join(f'"{column.column}"' for column in columns)
    places = ", ".join(["(" + ", ".join(["%s"] * len(columns)) + ")"] * len(rows))
    values = [
        column.get_db_prep_save(getattr(row, column.attname), connection)
        for row in rows
        for column in columns
    ]
    # Put together from names of our own; every value is a parameter.
    statement = (
        f'INSERT INTO "{meta.db_table}" AS kept ({names}) VALUES {places} '  # noqa: S608
        f"ON CONFLICT ({unique}) DO UPDATE SET {change} RETURNING {', '.join(answer)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, *more])
        found = cursor.fetchall()
    fields: list[Any] = [meta.get_field(name) for name in answer]
    return [
        tuple(field.to_python(value) for field, value in zip(fields, row, strict=True))
        for row in found
    ]
