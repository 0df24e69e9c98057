"""OpenAI chat, ShareGPT and plain questions and answers: rows of the labelling importer, as conversations."""

from collections.abc import Mapping

from apps.chatbot.history.shape import AGENT, SYSTEM, VISITOR, Conversation, Part
from apps.chatbot.history.words import plain
from labeling.faults import Fault
from labeling.readers.raw import RawRow
from labeling.readers.shapes import canonical
from labeling.rows import CHAT, COMPLETION, Row

_ROLES = {"user": VISITOR, "assistant": AGENT, "agent": AGENT, "system": SYSTEM}


def pair(raw: RawRow, mapping: Mapping[str, str] | None) -> Conversation | list[Fault]:
    """One row; what it asks and answers is told apart as the labelling importer does.

    An answer of weight 0 is not to be learned from, and is read as a note.
    """
    reading = canonical(raw, mapping)
    if reading.row is None:
        return reading.faults
    row = reading.row
    if row.kind not in (CHAT, COMPLETION):
        return [raw.fault("assistant_missing", (), {})]
    parts = [
        Part(_ROLES[role], plain(text), is_private=weight == 0) for role, text, weight in _said(row)
    ]
    return Conversation(
        external_id=row.external_id,
        line=raw.line,
        parts=parts,
        customer=row.subject,
        tags=row.labels,
    )


def _said(row: Row) -> list[tuple[str, str, int]]:
    if row.kind == COMPLETION:
        prompt, completion = row.content["prompt"], row.content["completion"]
        return [("user", prompt, 1), ("assistant", completion, 1)]
    return [(m["role"], m["content"], m.get("weight", 1)) for m in row.content["messages"]]
