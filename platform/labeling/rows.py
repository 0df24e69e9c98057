"""The canonical row: the one form that every reader makes, every table keeps and every job reads."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

CHAT = "chat"
COMPLETION = "completion"
TEXT = "text"

ROLES = ("system", "user", "assistant", "agent")

MAX_ROW_BYTES = 1 << 20
MAX_ROW_CHARACTERS = 200_000
MAX_MESSAGES = 1_000
MAX_ID_CHARACTERS = 200
MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 100


def teaches(kind: str, labels: Sequence[str]) -> bool:
    """Whether a row of this kind can be learned from: a text without any label says nothing."""
    return kind != TEXT or bool(labels)


@dataclass(frozen=True)
class Row:
    """One thing to learn from.

    `content` is {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...}, as `kind`
    says. `given_id` is the id that the file gave, "" where it gave none: then the row is known by
    its content. `group` holds rows together that must not be split apart.
    """

    kind: str
    content: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    given_id: str = ""
    group: str = ""
    passages: tuple[Mapping[str, Any], ...] = ()
    subject: str = ""

    @cached_property
    def digest(self) -> str:
        """What the row teaches."""
        return content_digest(self.kind, self.content, self.labels, self.passages)

    @cached_property
    def source_digest(self) -> str:
        """All that the source says of the row: it changes when the source changes its mind."""
        said = "\0".join((self.digest, self.group, self.subject))
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def external_id(self) -> str:
        return self.given_id or f"sha256:{self.digest[:32]}"

    def as_dict(self) -> dict[str, Any]:
        return payload(
            external_id=self.external_id,
            line=None,
            group=self.group,
            content=self.content,
            labels=self.labels,
            passages=self.passages,
        )


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, characters as themselves."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_digest(
    kind: str,
    content: Mapping[str, Any],
    labels: Sequence[str],
    passages: Sequence[Mapping[str, Any]] = (),
) -> str:
    """SHA-256 (64 hex digits) of what a row teaches; its id, group and origin do not count."""
    taught: dict[str, Any] = {"kind": kind, "content": content, "labels": list(labels)}
    if passages:
        taught["passages"] = list(passages)
    return hashlib.sha256(canonical_json(taught).encode()).hexdigest()


def payload(
    *,
    external_id: str,
    line: int | None,
    group: str,
    content: Mapping[str, Any],
    labels: Sequence[str],
    passages: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The row as a line of train.jsonl: what the engine's formats read."""
    row: dict[str, Any] = {"id": external_id, "line": line, "group": group or None, **content}
    if labels:
        row["labels"] = list(labels)
    if passages:
        row["passages"] = list(passages)
    return row


def payload_kind(row: Mapping[str, Any]) -> str:
    """Which of the three kinds a payload is."""
    if "messages" in row:
        return CHAT
    return COMPLETION if "completion" in row else TEXT


def spoken_text(content: Mapping[str, Any]) -> str:
    """The words of a row without its system prompt, which whole datasets share."""
    if "messages" in content:
        return "\n".join(
            message["content"] for message in content["messages"] if message["role"] != "system"
        )
    if "completion" in content:
        return content["prompt"] + "\n" + content["completion"]
    return content["text"]


def whole_text(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text of a row with the JSON pointer to it."""
    if "messages" in content:
        for index, message in enumerate(content["messages"]):
            yield f"/messages/{index}/content", message["content"]
    for name in ("prompt", "completion", "text"):
        if name in content:
            yield f"/{name}", content[name]


def folded(text: str) -> str:
    """The text as it is compared: width and case evened out, so that "ＲＭＡ" finds "rma"."""
    return unicodedata.normalize("NFKC", text).casefold()


def search_text(content: Mapping[str, Any], labels: Sequence[str], external_id: str) -> str:
    """All that a person may look for in a row, folded, a line for each text."""
    texts = [text for _pointer, text in whole_text(content)]
    return folded("\n".join((*texts, *labels, external_id)))
