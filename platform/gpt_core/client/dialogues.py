"""What is said to an engine, call by call, without saying it.

A dialogue is a generator: it yields calls and is sent replies. `doors` plays it over HTTP, once
for synchronous and once for asynchronous code, so that the order of things, the retries and the
differences between our engine and vLLM are written down once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from . import answers
from .answers import Completion, LoadedModel, Reply, Score
from .errors import EngineRefusedError, EngineUnavailableError
from .served import Engine, ServedModel

Result = TypeVar("Result")
Messages = Sequence[Mapping[str, str]]

#: How long an engine is taken for what it said it is. It may be exchanged under its address.
_OWNER_SECONDS = 60.0
_owners: dict[str, tuple[str, float]] = {}


@dataclass(frozen=True)
class Call:
    """A request to an engine. `again` says that asking twice costs little and changes nothing."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    again: bool = False


Dialogue = Generator[Call, Reply, Result]


def completion(model: ServedModel, body: Mapping[str, Any]) -> Dialogue[Completion]:
    reply = yield from with_model(model, Call("POST", generation_path(body), body))
    return answers.completion_of(answers.check(reply))


def choice(model: ServedModel, body: Mapping[str, Any], choices: Sequence[str]) -> Dialogue[str]:
    limited = {**body, "structured_outputs": {"choice": list(choices)}}
    answer = yield from completion(model, limited)
    if answer.text in choices:
        return answer.text
    if answer.text.strip() in choices:
        return answer.text.strip()
    raise EngineUnavailableError("engine_left_the_choices", cause=answer.text[:200])


def scoring(
    model: ServedModel, prompt: Mapping[str, Any], completions: Sequence[str]
) -> Dialogue[list[Score]]:
    """Log-probabilities of completions, after messages with the end of the turn: one call to our
    engine; to vLLM the tokens first, then `prompt_logprobs` over prompt and completion together."""
    if (yield from owner(model.engine)) == "parley":
        body = {"model": model.name, **prompt, "completions": list(completions)}
        reply = yield from with_model(model, Call("POST", "/v1/score", body, again=True))
        return answers.scores_of(answers.check(reply))
    start = yield from tokens(model, prompt)
    end: list[int] | None = None if "messages" in prompt else []
    found = []
    for text in completions:
        # No special tokens: the completion goes on where the prompt stops.
        own = yield from tokens(model, {"prompt": text, "add_special_tokens": False})
        if not own:
            raise EngineRefusedError("completion_empty", text, param="completions")
        if end is None:
            end = yield from end_of_turn(model, prompt, start, text, own)
        own = own + end
        body = {
            "model": model.name,
            # One at a time, though the protocol takes many: with an adapter, prompts scored in
            # one step end vLLM's engine on a CPU (vllm-project/vllm issues 16668 and 29955; seen
            # with 0.32.0).
            "prompt": [[*start, *own]],
            # At least one token has to be written; nobody reads it.
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 0,
        }
        reply = yield from with_model(model, Call("POST", "/v1/completions", body))
        found.append(answers.prompt_score_of(answers.check(reply), text, own))
    return found


def end_of_turn(
    model: ServedModel,
    prompt: Mapping[str, Any],
    start: Sequence[int],
    text: str,
    own: Sequence[int],
) -> Dialogue[list[int]]:
    """The token with which the model's template ends an answer: what stands behind one.

    Without it "card" could never lose against "card payment", which begins with it.
    """
    answered = [*prompt["messages"], {"role": "assistant", "content": text}]
    asked = {"model": model.name, "messages": answered, "add_generation_prompt": False}
    reply = yield from with_model(model, Call("POST", "/tokenize", asked, again=True))
    whole = answers.tokens_of(answers.check(reply))
    before = [*start, *own]
    if whole[: len(before)] != before or len(whole) == len(before):
        raise EngineRefusedError(
            "end_of_turn_unknown", "the template writes answers otherwise", param="messages"
        )
    return whole[len(before) : len(before) + 1]


def tokens(model: ServedModel, prompt: Mapping[str, Any]) -> Dialogue[list[int]]:
    reply = yield from with_model(model, _tokenize(model, prompt))
    return answers.tokens_of(answers.check(reply))


def count(model: ServedModel, prompt: Mapping[str, Any]) -> Dialogue[int]:
    reply = yield from with_model(model, _tokenize(model, prompt))
    return answers.count_of(answers.check(reply))


def embedding(name: str, texts: Sequence[str]) -> Dialogue[list[list[float]]]:
    body = {"model": name, "input": list(texts)}
    reply = yield Call("POST", "/v1/embeddings", body, again=True)
    return answers.vectors_of(answers.check(reply), len(texts))


def loaded(engine: Engine) -> Dialogue[list[LoadedModel]]:
    reply = yield Call("GET", "/v1/models", again=True)
    models = answers.models_of(answers.check(reply))
    if models:
        _owners[engine.url] = (models[0].owner, time.monotonic() + _OWNER_SECONDS)
    return models


def ensure(model: ServedModel) -> Dialogue[None]:
    """Have the engine know the model: look, and load it where it is missing."""
    known = {found.name: found for found in (yield from loaded(model.engine))}
    found = known.get(model.name)
    if found is not None:
        if model.digest and found.digest and found.digest != model.digest:
            raise EngineRefusedError("adapter_name_taken", model.name, param="model")
        return
    if model.folder is None:
        raise EngineRefusedError("base_not_served", model.name, param="model")
    yield from load(model)


def load(model: ServedModel) -> Dialogue[None]:
    body: dict[str, Any] = {"lora_name": model.name, "lora_path": model.folder}
    if model.digest and (yield from owner(model.engine)) == "parley":
        # vLLM takes an adapter as it finds it; ours checks every byte against the manifest.
        body["digest"] = model.digest
    reply = yield Call("POST", "/v1/load_lora_adapter", body)
    message = str(reply.error.get("message", ""))
    if reply.status == 400 and "already been loaded" in message:
        # Somebody else was quicker. The name says which weights: they are the same.
        return
    answers.check(reply)


def unload(engine: Engine, name: str) -> Dialogue[bool]:
    """Have the engine forget an adapter; False where it knew none of this name."""
    reply = yield Call("POST", "/v1/unload_lora_adapter", {"lora_name": name})
    if reply.model_unknown or reply.status == 404:
        return False
    answers.check(reply)
    return True


def with_model(model: ServedModel, call: Call) -> Dialogue[Reply]:
    """A call that names the model; an engine that does not know it (it was started anew, or made
    room) is given it, once."""
    reply = yield call
    if reply.model_unknown and model.folder is not None:
        yield from load(model)
        reply = yield call
    return reply


def owner(engine: Engine) -> Dialogue[str]:
    """Who made the engine: "parley" or "vllm"."""
    known, until = _owners.get(engine.url, ("", 0.0))
    if known and time.monotonic() < until:
        return known
    models = yield from loaded(engine)
    return models[0].owner if models else ""


def generation_path(body: Mapping[str, Any]) -> str:
    return "/v1/chat/completions" if "messages" in body else "/v1/completions"


def prompt_fields(messages: Messages | None, prompt: str | None) -> dict[str, Any]:
    """The one of both that was given, as the body has it."""
    if (messages is None) == (prompt is None):
        raise ValueError("give messages or a prompt, and not both")
    if messages is not None:
        return {"messages": [dict(message) for message in messages]}
    return {"prompt": prompt}


def _tokenize(model: ServedModel, prompt: Mapping[str, Any]) -> Call:
    more = {"add_generation_prompt": True} if "messages" in prompt else {}
    return Call("POST", "/tokenize", {"model": model.name, **prompt, **more}, again=True)
