"""The way of one question, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from apps.chatbot.models import Answer, Conversation, Handoff, Inbox, Message, Passage
from apps.chatbot.retrieval import Found, search
from gpt_core import client
from gpt_core.client import EngineRefusedError

from . import checks
from .confidence import confidence_of
from .drafts import Draft
from .prompts import messages_for, says_not_here, shown
from .understanding import Understood, understand
from .writers import Writer, writer_for

PASSAGES = 3
MOST_TOKENS = 220
# From here on retrieval is believed where the model finds nothing.
SURE = 0.9
# Words so far are kept where readers look, a few times a second.
KEEP_SECONDS = 0.25

Progress = Callable[[str], None]


def answer(
    question: Message,
    *,
    progress: Progress = lambda text: None,
    writer: Writer | None = None,
) -> Draft:
    """What to say to a visitor's message. `progress` is told the checked text so far as it grows;
    `writer` is what serves the conversation, unless another is named.

    Raises EngineUnavailableError or EngineBusyError where the model cannot be asked at the moment;
    whatever `progress` raises passes through.
    """
    return _Way(question, progress, writer or writer_for(question.conversation)).draft()


def suggest(question: Message, *, progress: Progress = lambda text: None) -> Draft:
    """The same for an agent, who reads it before anybody else does: neither a wish for a person nor
    a doubt is a reason to say nothing. Raises as answer() does."""
    return _Way(question, progress, writer_for(question.conversation), for_agent=True).draft()


@dataclass
class _Way:
    question: Message
    progress: Progress
    writer: Writer | None
    for_agent: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def conversation(self) -> Conversation:
        return self.question.conversation

    @property
    def inbox(self) -> Inbox:
        return self.conversation.inbox

    def draft(self) -> Draft:
        earlier = self._earlier()
        understood = understand(
            self.question.text,
            earlier=[one for one in earlier if one.role == Message.Role.USER],
            language=self.conversation.language.partition("-")[0],
        )
        if understood.wants_person and not self.for_agent:
            return Draft.to_people(Handoff.Reason.CUSTOMER_REQUEST, query=understood.query)
        found = search(
            understood.question,
            leans_on=understood.leans_on,
            language=understood.language,
            most=PASSAGES,
        )
        confidence = confidence_of(found)
        language, sure = understood.language, 1.0 if self.for_agent else confidence
        decided = without_model(self.inbox, found, sure, language=language, writer=self.writer)
        prompt = messages_for(self.question.text, passages=shown(found), earlier=earlier)
        if decided is None:
            decided = self._written(found, prompt, understood, confidence)
        return replace(decided, confidence=confidence, query=understood.query, prompt=prompt)

    def _earlier(self) -> list[Message]:
        """What was said in this case before the question, to the visitor or by them."""
        rows = Message.objects.filter(
            conversation=self.conversation,
            private=False,
            seq__gt=self.conversation.context_from,
            seq__lt=self.question.seq,
        ).exclude(role=Message.Role.SYSTEM)
        return list(rows.order_by("-seq")[:8])[::-1]

    def _written(
        self,
        found: list[Found],
        messages: list[dict[str, str]],
        understood: Understood,
        confidence: float,
    ) -> Draft:
        """The model's words, sentence by sentence as they pass; the passage itself where none does."""
        writer = self.writer
        assert writer is not None
        passages = [one.passage for one in found]
        sources = [self.question.text, *(one.whole for one in passages)]
        kept, first, fault = "", None, ""
        try:
            for text in self._sentences(writer, messages):
                first = first or time.monotonic() - self.started
                # Also where no sentence is whole yet: whoever writes shows that they still do.
                self.progress(kept)
                if not text:
                    continue
                if says_not_here(kept + text):
                    return self._not_here(writer, passages[0], confidence, first)
                fault = checks.refused(
                    kept + text,
                    sources=sources,
                    language=understood.language,
                    banned=self.inbox.banned_phrases,
                )
                if fault:
                    break
                kept += text
                self.progress(kept)
        except EngineRefusedError as error:
            fault = error.code
        said = {"fault": fault, "dropped": bool(fault)}
        if not kept.strip():
            return replace(_as_it_stands(passages[0]), checks=said, first_token_seconds=first)
        return Draft(
            Answer.Outcome.GENERATED,
            kept.strip(),
            _cited(kept, passages),
            model=writer.name,
            checkpoint=writer.checkpoint,
            checks=said,
            first_token_seconds=first,
        )

    def _not_here(self, writer: Writer, best: Passage, confidence: float, first: float) -> Draft:
        """The model read the passages and says that its answer is not there. Where retrieval, which
        is calibrated, is sure all the same, the visitor reads the passage and judges."""
        draft = (
            _as_it_stands(best)
            if confidence >= SURE
            else Draft.to_people(Handoff.Reason.MISSING_KNOWLEDGE)
        )
        return replace(
            draft,
            model=writer.name,
            checkpoint=writer.checkpoint,
            checks={"fault": "not_in_passages", "dropped": True},
            first_token_seconds=first,
        )

    def _sentences(self, writer: Writer, messages: list[dict[str, str]]) -> Iterator[str]:
        """Whole sentences as they are finished; what is cut off at the limit is not said."""
        waiting, reason = "", ""
        asked = client.stream(
            model=writer.model,
            messages=messages,
            temperature=writer.temperature,
            seed=writer.seed,
            max_tokens=MOST_TOKENS,
        )
        with closing(asked) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                reason = piece.finish_reason or reason
                waiting += piece.text
                *whole, waiting = checks.sentences(waiting) or [""]
                yield from whole or [""]
        if reason == "stop" and waiting.strip():
            yield waiting


def without_model(
    inbox: Inbox,
    found: list[Found],
    confidence: float,
    *,
    language: str,
    writer: Writer | None,
) -> Draft | None:
    """What needs no writing: a curated answer, a passage as it stands, or nothing to go by."""
    if not found:
        return Draft.to_people(Handoff.Reason.MISSING_KNOWLEDGE)
    best = found[0]
    if best.is_curated and best.question >= inbox.curated_threshold:
        return Draft(Answer.Outcome.CURATED, best.passage.text, [best.passage])
    if confidence < inbox.answer_threshold:
        return Draft.to_people(Handoff.Reason.MISSING_KNOWLEDGE)
    if writer is None or not writer.can_write(language):
        return _as_it_stands(best.passage)
    return None


def _as_it_stands(passage: Passage) -> Draft:
    return Draft(Answer.Outcome.PASSAGE, passage.text, [passage])


def _cited(text: str, passages: list[Passage]) -> list[Passage]:
    """The passages whose facts or words the text took up; the first where that cannot be told."""
    stated = checks.facts(text)
    taken = [one for one in passages if stated & checks.facts(one.text)]
    return taken or passages[:1]
