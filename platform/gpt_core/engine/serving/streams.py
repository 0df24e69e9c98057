"""Answers on their way to a client that may go away at any moment, which ends the work for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")


async def unless_gone(receive: Receive, work: Coroutine[object, object, Result]) -> Result:
    """The result of `work`, cut short by ClientDisconnect when the client goes away. The body was read before."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for own in (task, watch):
            own.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


class EventStream(Response):
    """Server-sent events. The generator is closed as soon as the client is gone, not when memory is tidied."""

    media_type = "text/event-stream"

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], source: AsyncGenerator[object, None]
    ) -> None:
        """`source` is what `pieces` reads: closed as well, since `pieces` may never have begun."""
        super().__init__(headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_all() -> None:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            await unless_gone(receive, send_all())
        except (ClientDisconnect, OSError):
            pass  # nobody is there to be told
        finally:
            await self._pieces.aclose()
            await self._source.aclose()
