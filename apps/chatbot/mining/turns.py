"""Who spoke when: bursts of one side made one turn, notes and machinery left out."""

from collections.abc import Iterable
from dataclasses import dataclass

from apps.chatbot.history.words import MARK
from apps.chatbot.models import PastPart

VISITOR, AGENT, BOT = PastPart.Role.VISITOR, PastPart.Role.AGENT, PastPart.Role.BOT


@dataclass(slots=True)
class Turn:
    """`position` is that of its first part."""

    role: str
    position: int
    text: str
    attachments: int


def turns_of(parts: Iterable[PastPart]) -> list[Turn]:
    """The public turns in their order. What one side sends in a row is one thing said."""
    found: list[Turn] = []
    for part in parts:
        if part.is_private or part.role == PastPart.Role.SYSTEM:
            continue
        text = MARK.sub("", part.text).strip()
        if not text and not part.attachments:
            continue
        if found and found[-1].role == part.role:
            found[-1].text = "\n".join(filter(None, (found[-1].text, text)))
            found[-1].attachments += part.attachments
        else:
            found.append(Turn(part.role, part.position, text, part.attachments))
    return found
