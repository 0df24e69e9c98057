"""Tables as lines and back: one JSON array a row, in the order of the key, the same for every database."""

import base64
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from django.apps import apps as current_apps
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from common.strict_json import MAX_DEPTH, loads

PAGE = 1_000
Model: TypeAlias = type[models.Model]

# Whoever is signed in signs in again: a session's key opens a door, and a backup is not the place for it.
LEFT_OUT = {"sessions.Session"}


def tables(apps: Any = current_apps) -> dict[str, Model]:
    """Every table that belongs into a backup, by its model's label."""
    return {
        model._meta.label: model
        for model in sorted(
            apps.get_models(include_auto_created=True), key=lambda one: one._meta.label
        )
        if model._meta.managed and not model._meta.proxy and model._meta.label not in LEFT_OUT
    }


@contextmanager
def snapshot(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Every table as of one moment, without keeping anybody from writing."""
    if connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        connection.connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    else:
        # Elsewhere IMMEDIATE, which would hold the write lock for as long as we read.
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
    try:
        with transaction.atomic(using=connection.alias):
            yield
    finally:
        connection.close()  # the next one is dressed as usual


def columns_of(model: Model) -> list[str]:
    return [field.attname for field in model._meta.local_concrete_fields]


def lines_of(
    model: Model, connection: BaseDatabaseWrapper, columns: list[str] | None = None
) -> Iterator[bytes]:
    """The rows of a table, a page at a time, with these columns in this order, or all in the
    model's; an older version of a model has another. Needs a system scope."""
    names = columns_of(model) if columns is None else columns
    by_name = {field.attname: field for field in model._meta.local_concrete_fields}
    fields = [by_name[name] for name in names]
    rows = model._base_manager.using(connection.alias).order_by("pk")
    after: Any = None
    while page := list(
        (rows if after is None else rows.filter(pk__gt=after)).values_list("pk", *names)[:PAGE]
    ):
        for _pk, *row in page:
            yield _line(fields, row)
        after = page[-1][0]


def records_of(
    model: Model, connection: BaseDatabaseWrapper, *, leave_out: Iterable[str] = ()
) -> Iterator[dict[str, Any]]:
    """The rows that the scope shows, each by its columns' names, for people and other programs."""
    return records_in(model._base_manager.using(connection.alias).all(), leave_out=leave_out)


def records_in(
    rows: models.QuerySet[Any], *, leave_out: Iterable[str] = ()
) -> Iterator[dict[str, Any]]:
    """The same of some rows of a table."""
    fields = [f for f in rows.model._meta.local_concrete_fields if f.attname not in leave_out]
    names = [field.attname for field in fields]
    after: Any = None
    rows = rows.order_by("pk")
    while page := list(
        (rows if after is None else rows.filter(pk__gt=after)).values_list("pk", *names)[:PAGE]
    ):
        for _pk, *row in page:
            yield {
                name: _written(field, value)
                for name, field, value in zip(names, fields, row, strict=True)
            }
        after = page[-1][0]


def insert(
    model: Model, columns: list[str], lines: Iterable[bytes], connection: BaseDatabaseWrapper
) -> int:
    """Put the lines into the table as they are: no default, no automatic time touches them."""
    by_name = {field.attname: field for field in model._meta.local_concrete_fields}
    fields = [by_name[name] for name in columns]
    count, batch = 0, []
    size = max(1, min(PAGE, connection.ops.bulk_batch_size(fields, [None] * PAGE)))
    for line in lines:
        values = _values(fields, loads(line, max_depth=2 * MAX_DEPTH))
        batch.append(model(**dict(zip(columns, values, strict=True))))
        if len(batch) >= size:
            count += _insert(model, fields, batch, connection)
            batch = []
    return count + (_insert(model, fields, batch, connection) if batch else 0)


def _insert(model: Model, fields: list[Any], rows: list[Any], connection: Any) -> int:
    manager: Any = model._base_manager
    manager.using(connection.alias)._insert(rows, fields=fields, using=connection.alias, raw=True)
    return len(rows)


def _line(fields: list[Any], row: list[Any]) -> bytes:
    values = [_written(field, value) for field, value in zip(fields, row, strict=True)]
    # Sorted: PostgreSQL keeps the keys of an object in an order of its own.
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _written(field: Any, value: Any) -> Any:
    if value is None or isinstance(field, models.JSONField):
        return value
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case bytes() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case float() if not math.isfinite(value):
            return str(value)
    return value


def _values(fields: list[Any], row: list[Any]) -> list[Any]:
    return [_read(field, value) for field, value in zip(fields, row, strict=True)]


def _read(field: Any, value: Any) -> Any:
    if isinstance(field, models.JSONField):
        if value is None and not field.null:
            return models.Value(None, models.JSONField())
        return value
    if value is None:
        return None
    if isinstance(field, models.BinaryField):
        return base64.b64decode(value)
    if isinstance(field, models.ForeignKey):
        return field.target_field.to_python(value)
    return field.to_python(value)
