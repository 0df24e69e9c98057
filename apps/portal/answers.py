"""An answer as it is written, in the small words that the playground's stream speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from gpt_core.models import Checkpoint


async def write(
    checkpoint: Checkpoint,
    *,
    tuned: bool,
    messages: Sequence[Mapping[str, str]],
    temperature: float,
    max_tokens: int,
) -> AsyncIterator[dict[str, Any]]:
    """{"text": ...} piece by piece, then {"done": {"tokens", "reason"}}. Raises ApplicationError."""
    raise NotImplementedError
    yield {}
