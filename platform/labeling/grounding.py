"""Passages beside a question, in the one form that models are trained on and asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def grounded_question(passages: Sequence[Mapping[str, Any]], question: str) -> str:
    """The text of a turn: numbered passages, then the question. Without passages, the question."""
    if not passages:
        return question
    shown = []
    for number, passage in enumerate(passages, start=1):
        title = str(passage.get("title") or "").strip()
        head = f"[{number}] {title}" if title else f"[{number}]"
        shown.append(f"{head}\n{str(passage['text']).strip()}")
    return "\n\n".join([*shown, question])


def rendered(row: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen row as the engine reads it: its passages stand in front of the last question.

    The row itself keeps them apart, so that a later form can be rendered from the same version.
    """
    passages = row.get("passages")
    if not passages or "messages" not in row:
        return dict(row)
    messages = [dict(message) for message in row["messages"]]
    for message in reversed(messages):
        if message["role"] == "user":
            message["content"] = grounded_question(passages, message["content"])
            break
    return {key: value for key, value in row.items() if key != "passages"} | {"messages": messages}
