"""A conversation as the miners read it: redacted, in turns, without what is no question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apps.chatbot.answering.understanding import understand
from apps.chatbot.mining.turns import AGENT, BOT, VISITOR, Turn
from apps.chatbot.models import Conversation, Event, Message
from apps.chatbot.redaction import rules_of_tenant
from labeling.redaction import Redactor

ROLES = {
    Message.Role.USER: VISITOR,
    Message.Role.AGENT: AGENT,
    Message.Role.ASSISTANT: BOT,
}


@dataclass(frozen=True)
class Told:
    """`texts` are by message, redacted; `turns` have the `seq` of their first message as position;
    `reopened` are the numbers of the events by which a solved conversation began anew; `suggested` is
    what was proposed to the agent who then said something else, by the turn that was said."""

    conversation: Conversation
    messages: dict[int, Message]
    texts: dict[int, str]
    turns: list[Turn]
    reopened: list[int]
    suggested: dict[int, str]

    def turn_of(self, seq: int) -> int | None:
        """The place of the turn that this message belongs to."""
        places = [at for at, turn in enumerate(self.turns) if turn.position <= seq]
        return places[-1] if places else None


def told(conversation: Conversation, *, suggested: Mapping[int, str] | None = None) -> Told:
    """`suggested` is by the number of the message that was sent in its place."""
    proposed = dict(suggested or {})
    rows = conversation.messages.filter(private=False).exclude(role=Message.Role.SYSTEM)
    messages = {one.seq: one for one in rows.select_related("author", "feedback").order_by("seq")}
    names = {one.author.name for one in messages.values() if one.author is not None}
    redactor = Redactor(rules_of_tenant(), sorted({conversation.contact.name, *names} - {""}))
    clean = redactor.redact([*(one.text for one in messages.values()), *proposed.values()])
    texts = dict(zip(messages, clean, strict=False))
    turns = _turns(messages, texts)
    events = conversation.events.filter(type=Event.Type.STATUS, data__reopened=True)
    story = Told(
        conversation,
        messages,
        texts,
        turns,
        list(events.order_by("seq").values_list("seq", flat=True)),
        {},
    )
    for seq, text in zip(proposed, clean[len(messages) :], strict=True):
        if (at := story.turn_of(seq)) is not None:
            story.suggested[turns[at].position] = text
    return story


def _turns(messages: dict[int, Message], texts: dict[int, str]) -> list[Turn]:
    """Bursts made one. Who asks for a person asks nothing else: the question is the one before."""
    found: list[Turn] = []
    for seq, message in messages.items():
        role, text = ROLES[Message.Role(message.role)], texts[seq]
        if role == VISITOR and understand(message.text, earlier=[]).wants_person:
            continue
        if found and found[-1].role == role:
            found[-1].text += f"\n{text}"
        else:
            found.append(Turn(role, seq, text, 0))
    return found
