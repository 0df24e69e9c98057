"""A file on its way in, as its pages show it: what examples and past conversations have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from django.utils.translation import gettext as _

from accounts.permissions import can_annotate
from apps.chatbot.models import HistoryRun
from common.errors import ApplicationError
from labeling.faults import Fault
from labeling.files import open_file
from labeling.looking import Column, FileLine, lines_around
from labeling.models import ImportRun
from labeling.readers.columns import NOTHING_ELSE
from tenancy.models import Membership

MOST_SHOWN = 100

Run = TypeVar("Run", ImportRun, HistoryRun)


class FilePage(Generic[Run]):
    """What was found wrong with the file, and the lines of it that this speaks of."""

    # The page that shows the file's own lines.
    lines_page: ClassVar[str]

    def __init__(self, run: Run, membership: Membership) -> None:
        self.run: Run = run
        self.membership = membership

    @cached_property
    def faults(self) -> list[Fault]:
        kept = [Fault.from_record(one) for one in self.run.faults if isinstance(one, dict)]
        return sorted(kept, key=lambda fault: fault.line or 0)[:MOST_SHOWN]

    @property
    def more_faults(self) -> int:
        return max(0, self.run.fault_count - len(self.faults))

    @property
    def lines_open(self) -> bool:
        """Whether a fault leads the reader to its line."""
        return self.run.file_id is not None

    def lines(self, asked: str) -> dict[str, Any]:
        """The file as it was uploaded around the line that was asked for, each line with its faults."""
        around = max(1, int(asked)) if asked.isdigit() and len(asked) < 10 else 1
        shown: list[FileLine] = []
        if self.run.file is not None:
            try:
                with open_file(self.run.file) as stream:
                    shown = lines_around(stream, self.run.form, around)
            except ApplicationError:
                shown = []
        faults: dict[int | None, list[Fault]] = {}
        for fault in self.faults:
            faults.setdefault(fault.line, []).append(fault)
        return {
            "run": self.run,
            "around": around,
            "lines": [(line, faults.get(line.number, [])) for line in shown],
        }

    look: Any

    @cached_property
    def columns(self) -> list[Column]:
        """What the file has, and what each is taken to mean."""
        return self.look.columns if self.look else []

    def show_as_chosen(self, chosen: Mapping[str, str]) -> None:
        """Keep a choice that cannot be used yet before the eyes of the person who makes it: whoever
        swaps two meanings, or walks past one by keyboard, says the same of two columns in between."""
        self.columns = [
            replace(column, role=chosen.get(column.name, column.role)) for column in self.columns
        ]

    @property
    def can_annotate(self) -> bool:
        return can_annotate(self.membership)


def mapping_of(
    chosen: Iterable[tuple[str, str]], roles: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """What a person chose, (column, role), turned round: role -> column. `roles` are the choices, each
    with its word. Raises ApplicationError `role_twice`."""
    mapping = {NOTHING_ELSE: ""}
    words: Mapping[str, str] = dict(roles)
    for column, role in chosen:
        if role not in words:
            continue
        if role in mapping:
            raise ApplicationError(
                "role_twice",
                _("Two columns are said to be the %(role)s: “%(one)s” and “%(other)s”.")
                % {"role": words[role], "one": mapping[role], "other": column},
            )
        mapping[role] = column
    return mapping
