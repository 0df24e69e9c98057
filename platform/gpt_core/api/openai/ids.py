"""Ids as OpenAI's clients expect them: a prefix and the row's own key, so that they lead straight back."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from .errors import NoSuchObjectError

Row = TypeVar("Row", bound=Model)

FILE, JOB, CHECKPOINT, EVENT = "file-", "ftjob-", "ftckpt-", "ftevent-"
_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)


def written(prefix: str, key: UUID) -> str:
    """ftjob-0a1b…, from the row's key."""
    return prefix + key.hex


def read(prefix: str, text: Any) -> UUID | None:
    """The key in an id; None where it is none of ours."""
    if not isinstance(text, str) or not text.startswith(prefix):
        return None
    digits = text[len(prefix) :]
    return UUID(hex=digits) if _HEX.fullmatch(digits) else None


def named(rows: QuerySet[Row], prefix: str, text: Any, field: str) -> Row:
    """The row that an id names. Another tenant's is exactly as absent as none."""
    key = read(prefix, text)
    row = rows.filter(pk=key).first() if key is not None else None
    if row is None:
        raise NoSuchObjectError(field, str(text))
    return row
