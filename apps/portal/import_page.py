"""One file on its way into a dataset: what it is, what its columns mean, what would come of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from accounts.permissions import can_train
from apps.portal.example_detail import texts_of
from apps.portal.examples_page import personal_choices
from apps.portal.file_page import FilePage
from common.errors import ApplicationError
from labeling.files import open_file
from labeling.looking import Look, look_at
from labeling.models import Example, ImportPreset, ImportRun
from labeling.readers.columns import NOTHING_ELSE
from labeling.splits import SPLITS


def role_choices() -> list[tuple[str, str]]:
    """What a column may mean, the commonest first."""
    return [
        ("question", _("question")),
        ("answer", _("answer")),
        ("system", _("instruction to the model")),
        ("text", _("text to label")),
        ("labels", _("label")),
        ("category", _("category")),
        ("prompt", _("prompt")),
        ("completion", _("completion")),
        ("messages", _("messages (OpenAI)")),
        ("conversations", _("conversation (ShareGPT)")),
        ("instruction", _("instruction (Alpaca)")),
        ("input", _("input (Alpaca)")),
        ("output", _("output (Alpaca)")),
        ("history", _("history (Alpaca)")),
        ("id", _("id of the row")),
        ("group", _("what stays together")),
        ("subject", _("whose data it is")),
        ("passages", _("passages beside it")),
    ]


class ImportPage(FilePage[ImportRun]):
    lines_page = "portal:import-lines"

    # --- The look ----------------------------------------------------------------------------

    @cached_property
    def look(self) -> Look | None:
        """The head of the file; None where its bytes are gone."""
        if self.run.file is None:
            return None
        try:
            with open_file(self.run.file) as stream:
                return look_at(stream, self.run.filename, self.run.mapping or None)
        except ApplicationError:
            return None

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The first rows as they are understood."""
        return [
            {
                "line": row["line"],
                "said": [(speaker, text[:400]) for speaker, text, _learned in texts_of(row)],
                "labels": row.get("labels", []),
            }
            for row in (self.look.rows if self.look else [])
        ]

    @property
    def roles(self) -> list[tuple[str, str]]:
        return role_choices()

    @cached_property
    def presets(self) -> list[dict[str, Any]]:
        """The saved mappings, those whose columns are all here first."""
        names = {column.name for column in self.columns}
        found = [
            {"preset": preset, "fits": fits(preset.mapping, names)}
            for preset in ImportPreset.objects.order_by("name")[:100]
        ]
        return sorted(found, key=lambda one: not one["fits"])

    @property
    def has_own_mapping(self) -> bool:
        return bool(self.run.mapping)

    # --- What came, or would come, of it -------------------------------------------------------

    @property
    def usable(self) -> int:
        """How many rows would come in, or came."""
        counts = self.run.counts
        return sum(counts.get(name, 0) for name in ("created", "updated", "unchanged", "kept"))

    @property
    def outcome(self) -> list[tuple[str, int]]:
        """The counts that are not nothing, in words."""
        words = {
            "created": _("new"),
            "updated": _("changed in the file since"),
            "unchanged": _("here already"),
            "kept": _("edited here, so kept"),
            "duplicates": _("say the same as another"),
            "refused": _("with faults, left out"),
        }
        counts = self.run.counts
        return [(words[name], counts[name]) for name in words if counts.get(name)]

    @property
    def duplicates(self) -> Mapping[str, Any]:
        return self._findings("duplicates")

    @property
    def personal(self) -> Mapping[str, Any]:
        return self._findings("personal")

    @property
    def personal_kinds(self) -> list[tuple[str, int]]:
        kinds = self.personal.get("kinds", {})
        return [(word, kinds[kind]) for kind, word in personal_choices() if kinds.get(kind)]

    @property
    def personal_places(self) -> list[dict[str, Any]]:
        words = dict(personal_choices())
        return [
            {"line": one["line"], "word": words.get(one["kind"], one["kind"])}
            for one in self.personal.get("places", [])
        ]

    @property
    def splits(self) -> Mapping[str, Any]:
        return self._findings("splits")

    @property
    def split_rows(self) -> list[tuple[str, int, int]]:
        names = {"train": _("Train"), "validation": _("Validation"), "test": _("Test")}
        if "rows" not in self.splits or self.splits.get("too_small"):
            return []
        return [
            (names[split], self.splits["rows"][split], self.splits["groups"][split])
            for split in SPLITS
        ]

    @cached_property
    def brought_personal(self) -> int:
        """Examples of this import that hold personal data now."""
        return Example.objects.filter(import_run=self.run).exclude(personal_data="").count()

    @property
    def ignored(self) -> list[str]:
        return list(self.run.ignored)[:20] if isinstance(self.run.ignored, dict) else []

    @property
    def has_file(self) -> bool:
        return self.look is not None

    @property
    def can_train(self) -> bool:
        return can_train(self.membership)

    def _findings(self, name: str) -> Mapping[str, Any]:
        found = self.run.findings if isinstance(self.run.findings, dict) else {}
        part = found.get(name, {})
        return part if isinstance(part, Mapping) else {}


def fits(mapping: Any, names: set[str]) -> bool:
    """Whether every column that the preset speaks of is there."""
    if not isinstance(mapping, Mapping):
        return False
    return all(column in names for role, column in mapping.items() if role != NOTHING_ELSE)
