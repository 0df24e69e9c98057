"""The engines' client: what the products call at request time, over HTTP alone.

    answer = client.complete(model=deployment.checkpoint, messages=[...], max_tokens=200)

`model` is a checkpoint, its name, or a base model's name; `settings.GPT_ENGINES` says where the
base's engine listens, and whether that is ours or a vLLM makes no difference to the caller. Every
function raises EngineUnavailableError, EngineBusyError or EngineRefusedError, and has a twin for
asynchronous code whose name begins with `a`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from . import dialogues, doors
from .answers import Completion, LoadedModel, Piece, Score
from .dialogues import Messages, prompt_fields
from .errors import EngineBusyError, EngineRefusedError, EngineUnavailableError
from .relays import arelay, arelay_stream
from .served import ServedModel, embedder_engine, embedder_name, engine_of, served

if TYPE_CHECKING:
    from .served import Model

__all__ = [
    "Completion",
    "EngineBusyError",
    "EngineRefusedError",
    "EngineUnavailableError",
    "LoadedModel",
    "Piece",
    "Score",
    "ServedModel",
    "achoose",
    "acomplete",
    "acount_tokens",
    "aensure_loaded",
    "aloaded_models",
    "arelay",
    "arelay_stream",
    "ascore",
    "astream",
    "choose",
    "complete",
    "count_tokens",
    "embed",
    "embedder_name",
    "ensure_loaded",
    "loaded_models",
    "score",
    "served",
    "stream",
    "unload",
]


def complete(
    *,
    model: Model,
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> Completion:
    """A whole answer. `parameters` are those of OpenAI and vLLM: max_tokens, temperature, top_p,
    seed, stop, structured_outputs..."""
    found = served(model)
    body = _body(found, messages, prompt, parameters)
    return doors.play(found.engine, dialogues.completion(found, body))


async def acomplete(
    *,
    model: Model,
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> Completion:
    """`complete` for asynchronous code."""
    found = await _aserved(model)
    body = _body(found, messages, prompt, parameters)
    return await doors.aplay(found.engine, dialogues.completion(found, body))


def stream(
    *,
    model: Model,
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> Iterator[Piece]:
    """The answer piece by piece; closing the iterator cancels it in the engine. A stream that ends
    without a finish reason raises: half an answer never passes for a whole one."""
    found = served(model)
    return doors.play_stream(found, _body(found, messages, prompt, parameters))


async def astream(
    *,
    model: Model,
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> AsyncGenerator[Piece]:
    """`stream` for asynchronous code."""
    found = await _aserved(model)
    body = _body(found, messages, prompt, parameters)
    async with aclosing(doors.aplay_stream(found, body)) as pieces:
        async for piece in pieces:
            yield piece


def score(
    *,
    model: Model,
    completions: Sequence[str],
    messages: Messages | None = None,
    prompt: str | None = None,
) -> list[Score]:
    """The log-probability of each completion of a closed set, in the order given."""
    found = served(model)
    asked = prompt_fields(messages, prompt)
    return doors.play(found.engine, dialogues.scoring(found, asked, completions))


async def ascore(
    *,
    model: Model,
    completions: Sequence[str],
    messages: Messages | None = None,
    prompt: str | None = None,
) -> list[Score]:
    """`score` for asynchronous code."""
    found = await _aserved(model)
    asked = prompt_fields(messages, prompt)
    return await doors.aplay(found.engine, dialogues.scoring(found, asked, completions))


def choose(
    *,
    model: Model,
    choices: Sequence[str],
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> str:
    """One of `choices`, written by the model limited to them; greedy unless told otherwise."""
    found = served(model)
    body = _body(found, messages, prompt, {"temperature": 0, **parameters})
    return doors.play(found.engine, dialogues.choice(found, body, choices))


async def achoose(
    *,
    model: Model,
    choices: Sequence[str],
    messages: Messages | None = None,
    prompt: str | None = None,
    **parameters: Any,
) -> str:
    """`choose` for asynchronous code."""
    found = await _aserved(model)
    body = _body(found, messages, prompt, {"temperature": 0, **parameters})
    return await doors.aplay(found.engine, dialogues.choice(found, body, choices))


def count_tokens(
    *, model: Model, messages: Messages | None = None, prompt: str | None = None
) -> int:
    """Tokens of a text, or of a conversation with its template and the words that open an
    answer."""
    found = served(model)
    asked = prompt_fields(messages, prompt)
    return doors.play(found.engine, dialogues.count(found, asked))


async def acount_tokens(
    *, model: Model, messages: Messages | None = None, prompt: str | None = None
) -> int:
    """`count_tokens` for asynchronous code."""
    found = await _aserved(model)
    asked = prompt_fields(messages, prompt)
    return await doors.aplay(found.engine, dialogues.count(found, asked))


def embed(texts: Sequence[str], *, seconds: float | None = None) -> list[list[float]]:
    """Vectors of meaning in the order of the texts, each of length one, from the model that
    `settings.GPT_EMBEDDER` names. What a text is, it says itself ("query: ...", "passage: ...").

    `seconds` is the longest wait. Raises EngineRefusedError("embedder_missing") where none is set.
    """
    engine = embedder_engine()
    return doors.play(engine, dialogues.embedding(embedder_name(), texts), seconds=seconds)


def ensure_loaded(model: Model) -> None:
    """Have the model's engine hold it, or raise what the engine says."""
    found = served(model)
    doors.play(found.engine, dialogues.ensure(found))


async def aensure_loaded(model: Model) -> None:
    """`ensure_loaded` for asynchronous code."""
    found = await _aserved(model)
    await doors.aplay(found.engine, dialogues.ensure(found))


def loaded_models(*, base: str) -> list[LoadedModel]:
    """What the engine of a base knows: the base and the adapters it has loaded."""
    engine = engine_of(base)
    return doors.play(engine, dialogues.loaded(engine))


async def aloaded_models(*, base: str) -> list[LoadedModel]:
    """`loaded_models` for asynchronous code."""
    engine = engine_of(base)
    return await doors.aplay(engine, dialogues.loaded(engine))


def unload(*, base: str, name: str) -> bool:
    """Have the engine of a base forget an adapter; answers that use it are finished first.

    False where it knew none of this name. Whoever asks for it again has it loaded again.
    """
    engine = engine_of(base)
    return doors.play(engine, dialogues.unload(engine, name))


async def _aserved(model: Model) -> ServedModel:
    if isinstance(model, ServedModel):
        return model
    found: ServedModel = await sync_to_async(served)(model)
    return found


def _body(
    model: ServedModel,
    messages: Messages | None,
    prompt: str | None,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    given = {name: value for name, value in parameters.items() if value is not None}
    return {"model": model.name, **prompt_fields(messages, prompt), **given}
