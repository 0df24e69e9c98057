"""A frozen row as a page shows it: who said what, and which labels it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from labeling.models import VersionRow

_SPEAKERS = {
    "system": lambda: _("Instruction"),
    "user": lambda: _("User"),
    "assistant": lambda: _("Assistant"),
    "agent": lambda: _("Agent"),
    "prompt": lambda: _("Prompt"),
    "completion": lambda: _("Completion"),
    "text": lambda: _("Text"),
}


@dataclass(frozen=True)
class Turn:
    speaker: str
    text: str
    learned: bool


@dataclass(frozen=True)
class Shown:
    position: int
    turns: list[Turn]
    labels: list[str]


def shown(row: VersionRow) -> Shown:
    payload = row.payload if isinstance(row.payload, Mapping) else {}
    labels = [str(label) for label in payload.get("labels") or []]
    return Shown(row.position + 1, _turns(payload), labels)


def _turns(payload: Mapping[str, Any]) -> list[Turn]:
    if "messages" in payload:
        return [_turn(message) for message in payload["messages"] if isinstance(message, Mapping)]
    if "prompt" in payload:
        return [
            Turn(_("Prompt"), str(payload["prompt"]), False),
            Turn(_("Completion"), str(payload.get("completion", "")), True),
        ]
    return [Turn(_("Text"), str(payload.get("text", "")), False)]


def speaker_of(role: str) -> str:
    """Who speaks, in the reader's language."""
    speaker = _SPEAKERS.get(role)
    return speaker() if speaker else role


def _turn(message: Mapping[str, Any]) -> Turn:
    role = str(message.get("role", ""))
    return Turn(
        speaker_of(role),
        str(message.get("content", "")),
        role == "assistant" and message.get("weight", 1) != 0,
    )
