"""Dialogues played over HTTP: `play` and `play_stream` for threads, `aplay` and `aplay_stream` for
event loops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

from django.conf import settings

from common import fetch
from common.fetch import FetchError, Outgoing
from tenancy.scope import current_tenant_id

from . import answers
from .answers import Piece, Reply
from .dialogues import Call, Dialogue, Result, generation_path, load
from .errors import EngineUnavailableError
from .served import Engine, ServedModel

logger = logging.getLogger(__name__)

TENANT_HEADER = "X-Parley-Tenant"

#: Pauses before a call is tried again. Only what certainly did not arrive is tried twice, or what
#: may be asked twice.
_PAUSES = (0.1, 0.4)


def play(engine: Engine, dialogue: Dialogue[Result], *, seconds: float | None = None) -> Result:
    """Carry on a dialogue to its result. `seconds` is the longest wait for one answer. Raises
    EngineUnavailableError, EngineBusyError, EngineRefusedError."""
    with closing(dialogue):
        try:
            call = next(dialogue)
            while True:
                call = dialogue.send(_answered(engine, call, seconds))
        except StopIteration as stop:
            found: Result = stop.value
            return found


async def aplay(engine: Engine, dialogue: Dialogue[Result]) -> Result:
    """`play` for asynchronous code."""
    with closing(dialogue):
        try:
            call = next(dialogue)
            while True:
                call = dialogue.send(await _aanswered(engine, call))
        except StopIteration as stop:
            found: Result = stop.value
            return found


def play_stream(model: ServedModel, body: Mapping[str, Any]) -> Iterator[Piece]:
    """The pieces of an answer as they are written. To stop reading is to hang up, and to hang up
    is to cancel."""
    engine, request = model.engine, outgoing_stream(model.engine, body)
    for chance in ("load it", "last"):
        try:
            with fetch.streamed(request) as (status, headers, chunks):
                if status == 200:
                    yield from _ended(_pieces(chunks))
                    return
                reply = answers.parse(status, headers, fetch.whole(chunks))
        except FetchError as error:
            raise unavailable(error) from error
        if not (reply.model_unknown and model.folder is not None) or chance == "last":
            answers.check(reply)
        play(engine, load(model))


async def aplay_stream(model: ServedModel, body: Mapping[str, Any]) -> AsyncGenerator[Piece]:
    """`play_stream` for asynchronous code."""
    engine, request = model.engine, outgoing_stream(model.engine, body)
    for chance in ("load it", "last"):
        try:
            async with fetch.astreamed(request) as (status, headers, chunks):
                if status == 200:
                    async with aclosing(_apieces(chunks)) as pieces:
                        async for piece in pieces:
                            yield piece
                    return
                reply = answers.parse(status, headers, await fetch.awhole(chunks))
        except FetchError as error:
            raise unavailable(error) from error
        if not (reply.model_unknown and model.folder is not None) or chance == "last":
            answers.check(reply)
        await aplay(engine, load(model))


def _answered(engine: Engine, call: Call, seconds: float | None = None) -> Reply:
    for pause in (*_PAUSES, None):
        try:
            incoming = fetch.fetch(_outgoing(engine, call, seconds))
            return answers.parse(incoming.status, incoming.headers, incoming.body)
        except FetchError as error:
            if pause is None or not _may_repeat(call, error):
                raise unavailable(error) from error
            time.sleep(pause)
    raise AssertionError("the last turn of the loop returns or raises")


async def _aanswered(engine: Engine, call: Call) -> Reply:
    for pause in (*_PAUSES, None):
        try:
            incoming = await fetch.afetch(_outgoing(engine, call))
            return answers.parse(incoming.status, incoming.headers, incoming.body)
        except FetchError as error:
            if pause is None or not _may_repeat(call, error):
                raise unavailable(error) from error
            await asyncio.sleep(pause)
    raise AssertionError("the last turn of the loop returns or raises")


def _may_repeat(call: Call, error: FetchError) -> bool:
    if error.code == "unreachable":
        return True
    # A kept connection that the engine closed in the same moment breaks off; so does an engine
    # that dies. Either way the answer is lost, and asking again is right only where it is cheap.
    return call.again and error.code == "broken_off"


def _outgoing(engine: Engine, call: Call, seconds: float | None = None) -> Outgoing:
    headers = {"Authorization": f"Bearer {engine.key}"} if engine.key else {}
    if tenant_id := current_tenant_id():
        # Whose turn it is in the engine, also where many companies ask the same base.
        headers[TENANT_HEADER] = str(tenant_id)
    return Outgoing(
        call.method,
        engine.url + call.path,
        json=call.body,
        headers=headers,
        seconds=seconds or float(getattr(settings, "ENGINE_TIMEOUT_SECONDS", 120)),
    )


def outgoing_stream(engine: Engine, body: Mapping[str, Any]) -> Outgoing:
    """The request for an answer piece by piece."""
    return _outgoing(engine, Call("POST", generation_path(body), {**body, "stream": True}))


def _pieces(chunks: Iterator[bytes]) -> Iterator[Piece]:
    lines = fetch.Lines()
    for chunk in chunks:
        for line in lines.feed(chunk):
            yield from answers.pieces_of(line)


async def _apieces(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Piece]:
    lines = fetch.Lines()
    last: Piece | None = None
    async for chunk in chunks:
        for line in lines.feed(chunk):
            for piece in answers.pieces_of(line):
                last = piece
                yield piece
    _check_end(last)


def _ended(pieces: Iterator[Piece]) -> Iterator[Piece]:
    last: Piece | None = None
    for piece in pieces:
        last = piece
        yield piece
    _check_end(last)


def _check_end(last: Piece | None) -> None:
    """A stream that just stops was broken off: half an answer must not pass for a whole one."""
    if last is None or last.finish_reason is None:
        raise EngineUnavailableError("engine_broke_off")


def unavailable(error: FetchError) -> EngineUnavailableError:
    """What the caller is told of a fault of the transport; the cause goes into the log."""
    logger.warning("engine: %s", error)
    return EngineUnavailableError(cause=str(error))
