"""One value of a job's metadata, as the database finds it."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, TextField, Value


class MetadataValue(Func):
    """`metadata[key]` as text, whatever the key looks like.

    Django's own KeyTextTransform takes a key such as 2026 or -1 for a place in a list, and SQLite's
    paths know no quotation mark within a key.
    """

    template = "(SELECT value FROM JSON_EACH(%(expressions)s))"
    arg_joiner = ") WHERE key = ("
    output_field = TextField()

    def __init__(self, key: str) -> None:
        super().__init__(F("metadata"), Value(key))

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="(%(expressions)s)", arg_joiner=" ->> ", **context
        )
