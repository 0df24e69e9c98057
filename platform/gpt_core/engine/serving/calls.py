"""From a checked call to a request for the scheduler: names, tokens, limits, grammars, folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import EngineError
from .engine import Engine
from .protocol import GenerationCall, Grammar, Prompt, ProtocolError, ScoreCall
from .requests import LoadedAdapter, Request, Sink

Maker = Callable[[Sink], Request]


class Calls:
    """Turns calls into requests; refuses what does not fit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.started = int(time.time())

    def check_model(self, name: str) -> None:
        """Raises ProtocolError 404 for a model that is neither the base nor a loaded adapter."""
        known = {self._engine.model.base.name, *(own.name for own in self._engine.adapters())}
        if name not in known:
            raise ProtocolError(
                f"The model {name[:200]!r} does not exist.",
                param="model",
                code="model_not_found",
                status=404,
            )

    def fingerprint(self, name: str) -> str:
        """The digests behind an answer: of the base, and of the adapter if there is one."""
        base = self._engine.model.base.digest[:12]
        own = next((own.digest for own in self._engine.adapters() if own.name == name), None)
        return f"{base}-{own[:12]}" if own else base

    def tokens(self, prompt: Prompt) -> list[int]:
        """The tokens of a prompt. What people wrote never becomes a control token."""
        if prompt.tokens is not None:
            return prompt.tokens
        encoder = self._engine.model.encoder
        try:
            if prompt.messages is not None:
                return encoder.conversation(list(prompt.messages))
            return encoder.text_ids(prompt.text or "")
        except EngineError as error:
            raise ProtocolError(
                error.detail or error.code, param="messages", code=error.code
            ) from error

    async def generation(self, call: GenerationCall, caller: str = "") -> Maker:
        """The request of a generation call; `caller` is for whom. Raises ProtocolError."""
        self.check_model(call.model)
        tokens = await asyncio.to_thread(self.tokens, call.prompt)
        room = self._room(tokens, call.prompt)
        most = call.sampling.max_tokens or room
        if most > room:
            raise ProtocolError(
                f"The prompt has {len(tokens)} tokens and {most} more are asked for, but at most "
                f"{self._engine.context} fit.",
                param="max_tokens",
                code="context_length_exceeded",
            )
        grammar = await asyncio.to_thread(self._grammar, call.grammar) if call.grammar else None
        sampling = replace(call.sampling, max_tokens=most)

        def make(sink: Sink) -> Request:
            return Request(
                prompt=tokens,
                sink=sink,
                sampling=sampling,
                adapter=self._adapter(call.model),
                group=caller or _group(call.model),
                stream=call.stream,
                grammar=grammar,
            )

        return make

    async def scoring(self, call: ScoreCall, caller: str = "") -> Maker:
        """The request of a scoring call; `caller` is for whom. Raises ProtocolError."""
        self._engine.check_room()
        self.check_model(call.model)
        tokens = await asyncio.to_thread(self.tokens, call.prompt)
        completions = await asyncio.to_thread(self._completions, call)
        room = self._room(tokens, call.prompt)
        if any(not 1 <= len(own) <= room for own in completions):
            raise ProtocolError(
                f"A completion must have 1 to {room} tokens.",
                param="completions",
                code="context_length_exceeded",
            )
        if sum(map(len, completions)) > 16 * self._engine.context:
            raise ProtocolError(
                "The completions are too long together.",
                param="completions",
                code="context_length_exceeded",
            )

        def make(sink: Sink) -> Request:
            return Request(
                prompt=tokens,
                sink=sink,
                adapter=self._adapter(call.model),
                group=caller or _group(call.model),
                completions=completions,
            )

        return make

    def folder(self, path: str) -> Path:
        """A folder below the store, links resolved. Raises ProtocolError."""
        store = self._engine.options.store
        refused = ProtocolError(
            "'lora_path' must be a folder of the engine's store.",
            param="lora_path",
            code="adapter_path",
        )
        if store is None or "\0" in path:
            raise refused
        try:
            folder = (store / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            raise ProtocolError(
                "No such folder.", param="lora_path", code="adapter_not_found", status=404
            ) from None
        if not folder.is_relative_to(store.resolve()) or not folder.is_dir():
            raise refused
        return folder

    def _completions(self, call: ScoreCall) -> list[list[int]]:
        """The tokens of each completion. An answer in a conversation is scored with the end of its
        turn, as it is taught and evaluated: else "card" could never lose against "card payment"."""
        encoder = self._engine.model.encoder
        encode = encoder.text_ids if call.prompt.messages is None else encoder.answer_ids
        try:
            return [encode(text) for text in call.completions]
        except EngineError as error:
            raise ProtocolError(
                error.detail or error.code, param="completions", code=error.code
            ) from error

    def _room(self, tokens: list[int], prompt: Prompt) -> int:
        """How many tokens may follow a prompt; raises ProtocolError where none may."""
        param = "messages" if prompt.messages is not None else "prompt"
        if not tokens:
            raise ProtocolError("The prompt has no tokens.", param=param)
        room = self._engine.context - len(tokens)
        if room < 1:
            raise ProtocolError(
                f"The prompt has {len(tokens)} tokens, but at most {self._engine.context - 1} fit.",
                param=param,
                code="context_length_exceeded",
            )
        return room

    def _adapter(self, model: str) -> LoadedAdapter | None:
        return None if model == self._engine.model.base.name else self._engine.acquire(model)

    def _grammar(self, grammar: Grammar) -> str:
        grammars = self._engine.grammars
        make: dict[str, Callable[..., str]] = {
            "choice": grammars.choice,
            "regex": grammars.regex,
            "json": grammars.json_schema,
        }
        try:
            return make[grammar.kind](grammar.content)
        except (EngineError, ValueError) as error:
            raise ProtocolError(
                f"'{grammar.param}' cannot be used: {error}"[:400],
                param=grammar.param,
                code="grammar_invalid",
            ) from error


def _group(model: str) -> str:
    """Whom a request counts for where nobody says so: the tenant in an adapter's name; all callers of the
    base together.
    """
    tenant, dot, _ = model.partition(".")
    return tenant if dot and "@" in model else ""
