"""Writes one text into every free text of a site's database: `python -m tests.browser.poison FILE`.

What code compares with (states, codes, names of checkpoints, digests) is left as it is; whatever a
person, a file or a model may have written is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

# Columns that hold words of ours, although their type would take any.
OURS = re.compile(
    r"(^|_)(id|digest|hash|sha256|code|state|kind|type|worker|folder|prefix|language|precision|"
    r"metric|architecture|form|encoding|action|method|purpose|secret|password|token|key|pointer|"
    r"status|version|mode|reason|url|path|ref|period|window|split|whose|level)s?(_name)?$"
)
THEIRS = {"override_reason"}
# Words of ours inside JSON: one word, without a space.
A_WORD = re.compile(r"[\w.:@/+-]{0,120}", re.ASCII)


def main() -> None:
    django.setup()
    from django.db import connection

    from tenancy.scope import system_scope

    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    with system_scope("test: write a text everywhere"), connection.cursor() as cursor:
        _thaw(cursor)
        for model in _models():
            for name in _columns(model):
                _rewrite(model, name, text)


def _models() -> Iterator[Any]:
    from django.apps import apps

    ours = {"tenancy", "accounts", "labeling", "gpt_core"}
    for model in apps.get_models():
        label = model._meta.app_label
        if (label in ours or model.__module__.startswith("apps.")) and model._meta.managed:
            yield model


def _thaw(cursor: Any) -> None:
    """The database refuses changes to what is frozen; here even that is rewritten."""
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in cursor.fetchall():
        cursor.execute(f'DROP TRIGGER "{name}"')


def _columns(model: Any) -> Iterator[str]:
    from django.db import models

    for column in model._meta.local_concrete_fields:
        is_text = type(column) in (models.CharField, models.TextField)
        if column.choices or column.unique or column.primary_key:
            continue
        if OURS.search(column.name) and column.name not in THEIRS:
            continue
        if is_text or isinstance(column, models.JSONField):
            yield column.name


def _rewrite(model: Any, name: str, text: str) -> None:
    for number, row in enumerate(model._base_manager.order_by("pk")[:200]):
        old = getattr(row, name)
        if not old:
            continue
        # Some names may stand only once in a table.
        new = f"{text} {number}" if isinstance(old, str) else _replaced(old, text)
        model._base_manager.filter(pk=row.pk).update(**{name: new})


def _replaced(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, text) for inner in value]
    if isinstance(value, str) and not A_WORD.fullmatch(value):
        return text
    return value


if __name__ == "__main__":
    main()
