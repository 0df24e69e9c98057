"""What a person writes over an example, and where in the form a fault of it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from common.errors import ApplicationError
from labeling.models import Example
from labeling.rows import MAX_MESSAGES

ROLES = ("system", "user", "assistant", "agent")


@dataclass
class Turn:
    """One message in the form."""

    role: str
    text: str
    learned: bool = True
    faults: list[str] = field(default_factory=list)


@dataclass
class Part:
    """A text of its own: prompt, completion or text."""

    name: str
    text: str
    faults: list[str] = field(default_factory=list)


class ExampleForm:
    """Filled from an example, or from what was sent; `content` and `labels` is what it means."""

    def __init__(self, example: Example, sent: QueryDict | None = None) -> None:
        self.example = example
        self.faults: list[str] = []
        self.label_faults: list[str] = []
        self.turns: list[Turn] = []
        self.parts: list[Part] = []
        if example.kind == Example.Kind.CHAT:
            self.turns = _turns(example.content) if sent is None else _sent_turns(sent)
        else:
            names = [name for name in ("prompt", "completion", "text") if name in example.content]
            source: Mapping[str, Any] = example.content if sent is None else sent
            self.parts = [
                Part(name, str(source.get(name, "")).replace("\r\n", "\n")) for name in names
            ]
        self.labels_text = (
            "\n".join(example.labels) if sent is None else str(sent.get("labels", ""))
        )

    @property
    def roles(self) -> tuple[str, ...]:
        return ROLES

    def add_turn(self) -> None:
        """Another message, from whoever has not spoken last."""
        last = self.turns[-1].role if self.turns else "assistant"
        self.turns.append(Turn("user" if last in ("assistant", "agent") else "assistant", ""))

    @property
    def content(self) -> dict[str, Any]:
        if not self.turns:
            return {part.name: part.text for part in self.parts}
        return {"messages": [_message(turn) for turn in self.turns]}

    @property
    def labels(self) -> list[str]:
        return [line.strip() for line in self.labels_text.splitlines() if line.strip()]

    def place(self, error: ApplicationError) -> None:
        """Put each fault beside the field that it is about, the rest above the form."""
        listed = error.extra.get("faults") or []
        if not listed:
            self.faults.append(str(error.detail))
        for fault in listed:
            said = f"{fault['message']} {fault['fix']}"
            steps = fault["pointer"].strip("/").split("/")
            if steps[0] == "messages" and len(steps) > 1 and int(steps[1]) < len(self.turns):
                self.turns[int(steps[1])].faults.append(said)
            elif steps[0] == "labels":
                self.label_faults.append(said)
            else:
                part = next((part for part in self.parts if part.name == steps[0]), None)
                (part.faults if part else self.faults).append(said)


def _turns(content: Mapping[str, Any]) -> list[Turn]:
    return [
        Turn(message["role"], message["content"], message.get("weight", 1) != 0)
        for message in content["messages"]
    ]


def _sent_turns(sent: QueryDict) -> list[Turn]:
    """The messages that were sent, without those that were taken out."""
    roles, texts = sent.getlist("role"), sent.getlist("content")
    unlearned, removed = set(sent.getlist("unlearned")), set(sent.getlist("removed"))
    return [
        # A form sends CR LF, whatever was in the text.
        Turn(role, text.replace("\r\n", "\n"), str(at) not in unlearned)
        for at, (role, text) in enumerate(zip(roles, texts, strict=False))
        if str(at) not in removed
    ][:MAX_MESSAGES]


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.role == "assistant" and not turn.learned:
        message["weight"] = 0
    return message
