"""An engine's own answers handed on as they are: for the door that speaks the engine's protocol itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from common import fetch, strict_json
from common.fetch import FetchError
from common.strict_json import StrictJsonError

from . import answers, doors
from .answers import Reply
from .dialogues import Call, Dialogue, generation_path, load, with_model
from .errors import EngineUnavailableError
from .served import ServedModel

Document = dict[str, Any]


async def arelay(model: ServedModel, body: Mapping[str, Any]) -> Document:
    """The engine's whole answer to a generation. Raises as every function of the client does."""
    return await doors.aplay(model.engine, _whole(model, {**body, "model": model.name}))


async def arelay_stream(
    model: ServedModel, body: Mapping[str, Any]
) -> AsyncGenerator[Document, None]:
    """The documents of the engine's stream. Closing it cancels the answer in the engine.

    What the engine says before the first one is raised; a fault inside the stream is raised as well,
    and so is a stream that just stops.
    """
    request = doors.outgoing_stream(model.engine, {**body, "model": model.name})
    for chance in ("load it", "last"):
        try:
            async with fetch.astreamed(request) as (status, headers, chunks):
                if status == 200:
                    async with aclosing(_documents(chunks)) as documents:
                        async for document in documents:
                            yield document
                    return
                reply = answers.parse(status, headers, await fetch.awhole(chunks))
        except FetchError as error:
            raise doors.unavailable(error) from error
        if not (reply.model_unknown and model.folder is not None) or chance == "last":
            answers.check(reply)
        await doors.aplay(model.engine, load(model))


def _whole(model: ServedModel, body: Mapping[str, Any]) -> Dialogue[Document]:
    reply: Reply = yield from with_model(model, Call("POST", generation_path(body), body))
    document = answers.check(reply)
    if not isinstance(document, dict):
        raise EngineUnavailableError("engine_answer_unreadable", cause=str(document)[:300])
    return document


async def _documents(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Document, None]:
    lines = fetch.Lines()
    async for chunk in chunks:
        for line in lines.feed(chunk):
            if not line.startswith("data:"):
                continue
            content = line[5:].strip()
            if content == "[DONE]":
                return
            yield _document_of(content)
    raise EngineUnavailableError("engine_broke_off")


def _document_of(content: str) -> Document:
    try:
        document = strict_json.loads(content)
    except StrictJsonError as error:
        raise EngineUnavailableError("engine_answer_unreadable", cause=content[:300]) from error
    if not isinstance(document, dict):
        raise EngineUnavailableError("engine_answer_unreadable", cause=content[:300])
    if "error" in document:
        answers.check(Reply(answers.status_of(document["error"]), {}, document))
    return document
