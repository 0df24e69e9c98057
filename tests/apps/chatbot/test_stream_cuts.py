"""A stream that is cut at any byte goes on from there, and ends with the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from apps.chatbot import services
from apps.chatbot.models import Answer, Conversation
from apps.chatbot.widget import events
from tenancy.models import Tenant
from tenancy.scope import system_scope
from tests.apps.chatbot.makers import ask, make_conversation

pytestmark = pytest.mark.django_db

SO_FAR = "签收后七天内可以退货。"
WHOLE = "签收后七天内可以退货。运费 🚚 由我们承担。"


@dataclass
class Panel:
    """What the widget's panel keeps: whole frames alone, as the standard of server-sent events says."""

    after: int = 0
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    growing: str = ""

    def read(self, stream: bytes) -> Panel:
        *frames, _unfinished = stream.split(b"\n\n")
        for frame in frames:
            lines = dict(line.split(": ", 1) for line in frame.decode().splitlines())
            if "data" in lines:
                self._take(lines["event"], json.loads(lines["data"]))
        return self

    def _take(self, name: str, data: dict) -> None:  # type: ignore[type-arg]
        if name == "answer.delta":
            self.growing = self.growing[: data["offset"]] + data["text"]
            self.offsets[data["answer"]] = (data["attempt"], len(self.growing))
            return
        self.after = data["seq"]
        if "message" in data:
            self.messages.append(data["message"]["text"])
        if data.get("message", {}).get("role") == "assistant":
            self.growing = ""


def streamed(conversation: Conversation, panel: Panel) -> bytes:
    reader = events.Reader(conversation, panel.after, dict(panel.offsets))
    return "".join(events.framed(name, data) for name, data in reader.look()).encode()


def writing(conversation: Conversation) -> Answer:
    with system_scope("test: be the worker"):
        answer = services.claim_answer()
    assert answer is not None
    return answer


def ended(conversation: Conversation, answer: Answer) -> None:
    services.end_answer(answer, text=WHOLE, outcome="generated")


def written_anew(conversation: Conversation, answer: Answer) -> None:
    services.give_back(answer, code="worker_lost")
    Answer.objects.filter(pk=answer.pk).update(lease_until=None)
    services.keep_writing(writing(conversation), WHOLE)


@pytest.mark.parametrize("goes_on", [ended, written_anew])
def test_a_stream_that_is_cut_at_any_byte_ends_with_the_same_words(
    in_tenant: Tenant, goes_on: Callable[[Conversation, Answer], None]
) -> None:
    conversation = make_conversation()
    ask(conversation, "怎么退货？")
    services.end_answer(writing(conversation), text="您好！", outcome="generated")
    ask(conversation, "运费呢？")
    answer = writing(conversation)
    services.keep_writing(answer, SO_FAR)
    before = streamed(conversation, Panel())
    goes_on(conversation, answer)
    uncut = Panel().read(before)
    uncut.read(streamed(conversation, uncut))
    assert (uncut.messages[-1] if goes_on is ended else uncut.growing) == WHOLE
    # From one place the same is heard again: nothing changes any more.
    heard: dict[str, bytes] = {}

    def again(panel: Panel) -> bytes:
        place = json.dumps([panel.after, panel.offsets])
        if place not in heard:
            heard[place] = streamed(conversation, panel)
        return heard[place]

    for cut in range(len(before) + 1):
        panel = Panel().read(before[:cut])
        # And once more in the middle of what is read the second time.
        panel.read(again(panel)[: len(again(panel)) // 2])
        panel.read(again(panel))
        assert (panel.messages, panel.growing, panel.after) == (
            uncut.messages,
            uncut.growing,
            uncut.after,
        ), f"cut after {cut} bytes"
