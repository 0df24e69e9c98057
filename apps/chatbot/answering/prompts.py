"""How passages and a question are put to the model: the same words in training and in service."""

from __future__ import annotations

from collections.abc import Sequence

from apps.chatbot.models import Message
from apps.chatbot.retrieval import Found
from labeling.grounding import grounded_question

MOST_EARLIER = 4
# What a model is taught to say where the passages do not hold the answer. Code knows it again, in
# exactly these words, and fetches a person; visitors never read it.
NOT_HERE = {
    "en": "This is not in the articles.",
    "zh": "资料里没有这方面的内容。",
}

_NOT_HERE_CORES = ("not in the article", "资料里没有")


def shown(found: Sequence[Found]) -> list[dict[str, str]]:
    """What was found as the model reads it."""
    return [{"title": one.passage.heading, "text": one.passage.text} for one in found]


def messages_for(
    question: str, *, passages: Sequence[dict[str, str]], earlier: Sequence[Message] = ()
) -> list[dict[str, str]]:
    """The conversation as the model gets it: a few turns before, then the passages with the question."""
    turns = [
        {"role": "user" if one.role == Message.Role.USER else "assistant", "content": one.text}
        for one in list(earlier)[-MOST_EARLIER:]
    ]
    return [
        *_alternating(turns),
        {"role": "user", "content": grounded_question(passages, question)},
    ]


def says_not_here(text: str) -> bool:
    """Whether a model says that its passages do not hold the answer, in these words or nearly so: a
    small one leaves some out."""
    said = text.casefold()
    return any(core in said for core in _NOT_HERE_CORES)


def _alternating(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """User and assistant in turn, beginning with the user and ending with the assistant: templates
    refuse anything else. A visitor's burst becomes one turn."""
    kept: list[dict[str, str]] = []
    for turn in turns:
        if kept and kept[-1]["role"] == turn["role"]:
            kept[-1] = turn | {"content": f"{kept[-1]['content']}\n{turn['content']}"}
        elif kept or turn["role"] == "user":
            kept.append(turn)
    if kept and kept[-1]["role"] == "user":
        kept.pop()
    return kept
