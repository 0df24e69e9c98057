"""What is asked for an inbox about its visitors: what they are asked first, and when people are there."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from apps.chatbot import hours, pre_chat
from apps.chatbot.models import Inbox
from common.errors import ApplicationError

KINDS = [
    ("", _("no question")),
    ("name", _("name")),
    ("email", _("e-mail address")),
    ("text", _("text")),
    ("choice", _("choice")),
]
_QUESTIONS = range(1, pre_chat.MOST_QUESTIONS + 1)
# As people write them, also on a Chinese keyboard.
_BETWEEN = re.compile(r"\s*[,，、;；\n]\s*")
_TO = re.compile(r"\s*[-–—~－～至]\s*")
_CLOCK = re.compile(r"(\d{1,2})[:：.](\d{2})", re.ASCII)
_PLACE = re.compile(
    r"(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/"
)
_LATIN = str.maketrans("０１２３４５６７８９", "0123456789")


class VisitorForm(forms.Form):
    """Zone and times of each day; questions in rows that are always there."""

    zone = forms.ChoiceField(label=_("Time zone"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        kept = {"UTC", self.initial.get("zone") or "UTC"}
        named = {name for name in zoneinfo.available_timezones() if _PLACE.match(name)}
        zones = [(name, name.replace("_", " ")) for name in sorted(named | kept)]
        self.fields["zone"].choices = [("", _("always open")), *zones]  # type: ignore[attr-defined]
        for place, day in enumerate(hours.DAYS):
            self.fields[f"hours_{day}"] = forms.CharField(
                label=WEEKDAYS[place], max_length=120, required=False
            )
        for number in _QUESTIONS:
            self.fields[f"kind_{number}"] = forms.ChoiceField(
                label=_("Kind"), choices=KINDS, required=False
            )
            self.fields[f"label_{number}"] = forms.CharField(
                label=_("Question"), max_length=pre_chat.MOST_LABEL, required=False
            )
            self.fields[f"choices_{number}"] = forms.CharField(
                label=_("Choices"), max_length=1000, required=False
            )
            self.fields[f"required_{number}"] = forms.BooleanField(
                label=_("Required"), required=False
            )

    @staticmethod
    def filled(inbox: Inbox) -> dict[str, Any]:
        """The rows as the inbox is now."""
        found: dict[str, Any] = {"zone": inbox.hours.get("zone", "")}
        for day, times in inbox.hours.get("days", {}).items():
            found[f"hours_{day}"] = ", ".join("–".join(one) for one in times)
        for number, question in enumerate(inbox.pre_chat, start=1):
            found |= {
                f"{name}_{number}": question.get(name) for name in ("kind", "label", "required")
            }
            found[f"choices_{number}"] = ", ".join(question.get("choices", ()))
        return found

    @property
    def days(self) -> Iterator[Any]:
        return (self[f"hours_{day}"] for day in hours.DAYS)

    @property
    def questions(self) -> Iterator[dict[str, Any]]:
        names = ("kind", "label", "choices", "required")
        return (
            {"number": number} | {name: self[f"{name}_{number}"] for name in names}
            for number in _QUESTIONS
        )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        self._read("hours", lambda: hours.validate(self._hours(given)))
        self._read("pre_chat", lambda: pre_chat.validate(self._pre_chat(given)))
        for name in list(given):
            if name == "zone" or name.startswith(
                ("hours_", "kind_", "label_", "choices_", "required_")
            ):
                del given[name]
        return given

    def _read(self, name: str, read: Any) -> None:
        try:
            self.cleaned_data[name] = read()
        except ApplicationError as error:
            day = (error.field or "").rpartition(".")[2]
            field = {"zone": "zone", **{one: f"hours_{one}" for one in hours.DAYS}}.get(day)
            self.add_error(field or (None if name == "pre_chat" else "zone"), str(error.detail))

    def _hours(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("zone"):
            return {}
        days = {day: _times(given.get(f"hours_{day}") or "") for day in hours.DAYS}
        return {"zone": given["zone"], "days": days}

    def _pre_chat(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for number in _QUESTIONS:
            kind, label = given.get(f"kind_{number}"), given.get(f"label_{number}") or ""
            if not kind:
                continue
            question = {
                "kind": kind,
                "label": label,
                "required": bool(given.get(f"required_{number}")),
            }
            if kind == "choice":
                written = given.get(f"choices_{number}") or ""
                question["choices"] = [one for one in _BETWEEN.split(written.strip()) if one]
            found.append(question)
        return found


def _times(written: str) -> list[list[str]]:
    """“9:00–12:00, 13:00-17:30” as pairs of HH:MM; what is none of it stays, to be refused."""
    parts = [one for one in _BETWEEN.split(written.translate(_LATIN).strip()) if one]
    return [[_clock(one) for one in _TO.split(part)] for part in parts]


def _clock(written: str) -> str:
    found = _CLOCK.fullmatch(written.strip())
    return f"{int(found[1]):02}:{found[2]}" if found else written
