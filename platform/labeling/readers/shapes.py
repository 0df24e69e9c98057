"""The shapes in which people keep what a model should learn, each made a canonical row.

OpenAI chat (`messages`, with `weight`), prompt and completion (texts or lists of messages),
ShareGPT (`conversations`), Alpaca (`instruction`, `input`, `output`), question and answer, and
text, with labels or to be labelled. Every fault of a row is found, not only the first.
"""

from collections.abc import Mapping
from typing import Any

from labeling.faults import Fault, excerpt
from labeling.readers.columns import BESIDE, NOTHING_ELSE, roles_of, shapes_in
from labeling.readers.raw import RawRow
from labeling.rows import (
    CHAT,
    COMPLETION,
    MAX_ID_CHARACTERS,
    MAX_LABEL_CHARACTERS,
    MAX_LABELS,
    MAX_MESSAGES,
    MAX_ROW_CHARACTERS,
    ROLES,
    TEXT,
    Row,
    spoken_text,
)

SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant",
    "assistant": "assistant", "bot": "assistant", "model": "assistant", "bard": "assistant",
    "bing": "assistant", "system": "system", "developer": "system", "agent": "agent",
}  # fmt: skip

Content = dict[str, Any]
Steps = tuple[str | int, ...]


def canonical(raw: RawRow, mapping: Mapping[str, str] | None = None) -> "Reading":
    """Read one value. The reading has a row, or faults, never both."""
    reading = Reading(raw)
    reading.read(mapping)
    return reading


class Reading:
    """What became of one value: `row` or `faults`, and the keys that were not asked for."""

    def __init__(self, raw: RawRow) -> None:
        self.raw = raw
        self.row: Row | None = None
        self.faults: list[Fault] = []
        self.ignored: tuple[str, ...] = ()
        self._value: Mapping[str, Any] = {}
        self._keys: dict[str, str] = {}  # role -> the key that plays it

    def read(self, mapping: Mapping[str, str] | None) -> None:
        if not isinstance(self.raw.value, dict):
            self._fault("row_not_object", (), found=_kind_of(self.raw.value))
            return
        self._value = self.raw.value
        names = tuple(self._value)
        if self.raw.names:  # a table's reader has already said what its columns mean
            self._keys = {name: name for name in names}
        else:
            guessed = {} if mapping and NOTHING_ELSE in mapping else roles_of(names)
            self._keys = {role: names[index] for role, index in guessed.items()}
            self._keys |= {r: key for r, key in (mapping or {}).items() if key in self._value}
        shapes = shapes_in(self._keys)
        if not shapes:
            self._fault("shape_unknown", (), found=excerpt(", ".join(names), 80) or "{}")
            return
        shape, needed = shapes[0]
        labels = self._labels(needed)
        kind, content = getattr(self, f"_as_{shape}")(needed)
        row = Row(
            kind=kind,
            content=content,
            labels=labels,
            given_id=self._identity("id"),
            group=self._identity("group"),
            passages=self._passages(),
            subject=self._identity("subject"),
        )
        if not self.faults and len(spoken_text(content)) > MAX_ROW_CHARACTERS:
            self._fault("row_too_long", (), limit=MAX_ROW_CHARACTERS)
        if not self.faults:
            self.row = row
        used = {self._keys[role] for role in self._keys if role in needed or role in BESIDE}
        self.ignored = tuple(name for name in names if name not in used)

    # --- the shapes: each returns the kind and the content of the row ------------------------

    def _as_messages(self, needed: Steps) -> tuple[str, Content]:
        return CHAT, self._chat(self._list_of_messages("messages"))

    def _as_conversations(self, needed: Steps) -> tuple[str, Content]:
        return CHAT, self._chat(self._system() + self._list_of_messages("conversations"))

    def _as_alpaca(self, needed: Steps) -> tuple[str, Content]:
        question = self._text("instruction")
        if self._given("input"):
            question = f"{question}\n\n{self._text('input')}"
        turns = [*self._history(), ("user", question), ("assistant", self._text(str(needed[1])))]
        return CHAT, self._chat(self._system() + [_message(role, text) for role, text in turns])

    def _as_question(self, needed: Steps) -> tuple[str, Content]:
        asked, answered = (self._text(str(role)) for role in needed)
        return CHAT, self._chat(
            [*self._system(), _message("user", asked), _message("assistant", answered)]
        )

    def _as_completion(self, needed: Steps) -> tuple[str, Content]:
        values = [self._value[self._keys[role]] for role in ("prompt", "completion")]
        if any(isinstance(value, list) for value in values):
            context = self._list_of_messages("prompt")
            for message in context:
                if message["role"] == "assistant":
                    message["weight"] = 0
            return CHAT, self._chat(context + self._list_of_messages("completion"))
        return COMPLETION, {role: self._text(role) for role in ("prompt", "completion")}

    def _as_text(self, needed: Steps) -> tuple[str, Content]:
        return TEXT, {"text": self._text("text")}

    # --- messages ----------------------------------------------------------------------------

    def _list_of_messages(self, role: str) -> list[Content]:
        key = self._keys[role]
        found = self._value[key]
        if not isinstance(found, list):
            self._fault("messages_not_list", (key,), found=_kind_of(found))
            return []
        if not found:
            self._fault("messages_empty", (key,))
        if len(found) > MAX_MESSAGES:
            self._fault("messages_too_many", (key,), found=len(found), limit=MAX_MESSAGES)
            return []
        read = [self._one_message(message, (key, index)) for index, message in enumerate(found)]
        return [message for message in read if message is not None]

    def _one_message(self, message: Any, at: Steps) -> Content | None:
        if not isinstance(message, dict):
            self._fault("message_not_object", at, found=_kind_of(message))
            return None
        role = self._role(message, at)
        content = self._content(message, at)
        weight = self._weight(message, role, at)
        if role is None or content is None:
            return None
        return {"role": role, "content": content} | ({} if weight is None else {"weight": weight})

    def _role(self, message: Content, at: Steps) -> str | None:
        key = "role" if "role" in message else "from" if "from" in message else None
        if key is None:
            self._fault("role_missing", at)
            return None
        found = message[key]
        role = SPEAKERS.get(found.strip().lower()) if isinstance(found, str) else None
        if role is None:
            said = excerpt(found) if isinstance(found, str) else _kind_of(found)
            self._fault("role_unknown", (*at, key), found=said, known=", ".join(ROLES))
        return role

    def _content(self, message: Content, at: Steps) -> str | None:
        key = "content" if "content" in message else "value" if "value" in message else None
        if key is None:
            self._fault("content_missing", at)
            return None
        found = message[key]
        if isinstance(found, list) and found and all(_is_text_part(part) for part in found):
            found = "".join(part["text"] for part in found)
        if found is None:
            self._fault("content_missing", (*at, key))
        elif not isinstance(found, str):
            self._fault("content_not_text", (*at, key), found=_kind_of(found))
        elif not found.strip():
            self._fault("content_empty", (*at, key))
        else:
            return found
        return None

    def _weight(self, message: Content, role: str | None, at: Steps) -> int | None:
        if message.get("weight") is None:
            return None
        weight = message["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight not in (0, 1):
            self._fault("weight_invalid", (*at, "weight"))
            return None
        if role not in ("assistant", None):
            self._fault("weight_misplaced", (*at, "weight"), role=role or "")
            return None
        return int(weight)

    def _chat(self, messages: list[Content]) -> Content:
        """The content of a chat row, once something in it can be learned."""
        if not self.faults:
            answers = [message for message in messages if message["role"] == "assistant"]
            place = next((key for key in ("messages", "conversations") if key in self._value), "")
            if not answers:
                self._fault("assistant_missing", (place,) if place else ())
            elif all(message.get("weight") == 0 for message in answers):
                self._fault("nothing_to_learn", (place,) if place else ())
        return {"messages": messages}

    def _system(self) -> list[Content]:
        return [_message("system", self._text("system"))] if self._given("system") else []

    def _history(self) -> list[tuple[str, str]]:
        """The earlier turns of an Alpaca row: [[question, answer], ...]."""
        key = self._keys.get("history")
        turns = self._value[key] if key is not None else None
        if not turns:
            return []
        if not isinstance(turns, list) or not all(_is_turn(turn) for turn in turns):
            self._fault("history_invalid", (key or "history",))
            return []
        return [
            (role, text)
            for turn in turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]

    # --- the other parts of a row ------------------------------------------------------------

    def _given(self, role: str) -> bool:
        key = self._keys.get(role)
        return key is not None and self._value[key] not in (None, "")

    def _text(self, role: str) -> str:
        key = self._keys[role]
        found = self._value[key]
        if found is None:
            self._fault("content_missing", (key,))
        elif not isinstance(found, str):
            self._fault("content_not_text", (key,), found=_kind_of(found))
        elif not found.strip():
            self._fault("content_empty", (key,))
        else:
            return found
        return ""

    def _labels(self, needed: Steps) -> tuple[str, ...]:
        role = "category" if "category" in needed else "labels"
        key = self._keys.get(role)
        if key is None:
            return ()
        found = self._value[key]
        listed = [] if found is None else found if isinstance(found, list) else [found]
        if not all(isinstance(label, str) and _is_label(label) for label in listed):
            self._fault("label_invalid", (key,), limit=MAX_LABEL_CHARACTERS)
            return ()
        labels = tuple(dict.fromkeys(label.strip() for label in listed))
        if len(labels) > MAX_LABELS:
            self._fault("labels_too_many", (key,), found=len(labels), limit=MAX_LABELS)
        if not labels and role in needed:
            self._fault("labels_missing", (key,))
        return labels

    def _identity(self, role: str) -> str:
        """An id that the file gives, as text; "" where it gives none."""
        key = self._keys.get(role)
        found = self._value[key] if key is not None else None
        if found is None or found == "":
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            self._fault("id_invalid", (key or role,), limit=MAX_ID_CHARACTERS)
            return ""
        # Counted before it is made text: an integer of many digits refuses to become any.
        text = found.strip() if isinstance(found, str) else _digits(found)
        if not text or len(text) > MAX_ID_CHARACTERS:
            self._fault("id_invalid", (key or role,), limit=MAX_ID_CHARACTERS)
            return ""
        return text

    def _passages(self) -> tuple[Mapping[str, Any], ...]:
        """Texts that lay beside the question: [{"text", "title"?, "source"?}] or plain texts."""
        key = self._keys.get("passages")
        found = self._value[key] if key is not None else None
        if found in (None, "", []):
            return ()
        listed = found if isinstance(found, list) else [found]
        passages = [{"text": entry} if isinstance(entry, str) else entry for entry in listed]
        if not all(_is_passage(entry) for entry in passages):
            self._fault("passages_invalid", (key or "passages",))
            return ()
        return tuple(passages)

    def _fault(self, code: str, steps: Steps, **figures: str | int) -> None:
        self.faults.append(self.raw.fault(code, steps, figures))


def _message(role: str, content: str) -> Content:
    return {"role": role, "content": content}


def _kind_of(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _is_text_part(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _is_turn(turn: Any) -> bool:
    return (
        isinstance(turn, list)
        and len(turn) == 2
        and all(isinstance(text, str) and text.strip() for text in turn)
    )


def _is_label(label: str) -> bool:
    return bool(label.strip()) and len(label.strip()) <= MAX_LABEL_CHARACTERS


def _is_passage(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("text"), str)
        and set(entry) <= {"text", "title", "source"}
        and all(isinstance(value, str) for value in entry.values())
    )


def _digits(number: int) -> str:
    return str(number) if number.bit_length() < 1_024 else "9" * (MAX_ID_CHARACTERS + 1)
