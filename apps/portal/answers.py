"""An answer as it is written, in the small words that the playground's stream speaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from asgiref.sync import sync_to_async

from common.errors import ApplicationError
from gpt_core import client
from gpt_core.models import Checkpoint
from tenancy import quotas


async def write(
    model: Checkpoint | str,
    *,
    messages: Sequence[Mapping[str, str]],
    temperature: float,
    max_tokens: int,
) -> AsyncGenerator[dict[str, Any]]:
    """{"text": ...} piece by piece, then {"done": {"tokens", "reason"}}. Raises ApplicationError.

    Closing it hangs up, and hanging up cancels the answer in the engine. What is read and written
    counts for the tenant as everywhere.
    """
    turns = list(messages)
    prompt = await client.acount_tokens(model=model, messages=turns)
    async with quotas.generating():
        reserved = await sync_to_async(quotas.reserve_tokens)(prompt + max_tokens)
        written, reason, pieces = "", "", 0
        asked = client.astream(
            model=model, messages=turns, temperature=temperature, max_tokens=max_tokens
        )
        try:
            async with aclosing(asked) as stream:
                async for piece in stream:
                    written += piece.text
                    reason = piece.finish_reason or reason
                    if piece.text:
                        pieces += 1
                        yield {"text": piece.text}
            tokens = await _tokens_of(model, written)
            pieces = tokens or pieces
            yield {"done": {"tokens": tokens, "reason": reason}}
        finally:
            # Whoever hangs up has had what was written until then: about a token a piece.
            await sync_to_async(quotas.settle_tokens)(reserved, prompt=prompt, completion=pieces)


async def _tokens_of(model: Checkpoint | str, text: str) -> int | None:
    """How long the answer is as the engine counts; None where it will not say. It is a footnote."""
    if not text:
        return 0
    try:
        return await client.acount_tokens(model=model, prompt=text)
    except ApplicationError:
        return None
