"""An answer as it is written, in the small words that the playground's stream speaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from common.errors import ApplicationError
from gpt_core import client
from gpt_core.models import Checkpoint


async def write(
    checkpoint: Checkpoint,
    *,
    tuned: bool,
    messages: Sequence[Mapping[str, str]],
    temperature: float,
    max_tokens: int,
) -> AsyncGenerator[dict[str, Any]]:
    """{"text": ...} piece by piece, then {"done": {"tokens", "reason"}}. Raises ApplicationError.

    Closing it hangs up, and hanging up cancels the answer in the engine.
    """
    model: Checkpoint | str = checkpoint if tuned else checkpoint.base_model.name
    written, reason = "", ""
    asked = client.astream(
        model=model, messages=list(messages), temperature=temperature, max_tokens=max_tokens
    )
    async with aclosing(asked) as pieces:
        async for piece in pieces:
            written += piece.text
            reason = piece.finish_reason or reason
            if piece.text:
                yield {"text": piece.text}
    yield {"done": {"tokens": await _tokens_of(model, written), "reason": reason}}


async def _tokens_of(model: Checkpoint | str, text: str) -> int | None:
    """How long the answer is as the engine counts; None where it will not say. It is a footnote."""
    if not text:
        return 0
    try:
        return await client.acount_tokens(model=model, prompt=text)
    except ApplicationError:
        return None
