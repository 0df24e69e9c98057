"""Answers in the shapes of OpenAI and vLLM."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .protocol import ProtocolError
from .requests import Delta, Finished, Score, TokenLogprob
from .text import Detokenizer

DONE = b"data: [DONE]\n\n"
_TYPES = {401: "authentication_error", 404: "invalid_request_error", 429: "rate_limit_error"}


@dataclass
class Heading:
    """What every answer and every piece of one begins with."""

    kind: str
    model: str
    fingerprint: str
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        prefix = "chatcmpl" if self.kind == "chat.completion" else "cmpl"
        self.id = self.id or f"{prefix}-{uuid.uuid4().hex}"

    def document(self, choices: list[dict[str, Any]], *, piece: bool = False) -> dict[str, Any]:
        """An answer, or a `piece` of a streamed one."""
        kind = f"{self.kind}.chunk" if piece and self.kind == "chat.completion" else self.kind
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


class ChatShape:
    """/v1/chat/completions."""

    kind = "chat.completion"

    def __init__(self, detokenizer: Detokenizer) -> None:
        self._detokenizer = detokenizer

    def opening(self, index: int) -> dict[str, Any]:
        """The first piece of a choice: who speaks."""
        return _choice(index, "delta", {"role": "assistant", "content": ""}, None, None)

    def piece(self, delta: Delta) -> dict[str, Any]:
        """A piece of a choice."""
        content = {"content": delta.text} if delta.text or not delta.finish else {}
        return _choice(delta.index, "delta", content, self.logprobs(delta.logprobs), delta.finish)

    def whole(self, delta: Delta) -> dict[str, Any]:
        """A whole choice."""
        message = {"role": "assistant", "content": delta.text}
        return _choice(delta.index, "message", message, self.logprobs(delta.logprobs), delta.finish)

    def logprobs(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        """Per token: itself, its log-probability and the likeliest others."""
        if not logprobs:
            return None
        return {
            "content": [
                self._entry(own.token, own.logprob)
                | {"top_logprobs": [self._entry(token, value) for token, value in own.top]}
                for own in logprobs
            ],
            "refusal": None,
        }

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        text, raw = self._detokenizer.token(token)
        return {"token": text, "logprob": _plain(logprob), "bytes": raw}


class CompletionShape:
    """/v1/completions."""

    kind = "text_completion"

    def __init__(self, detokenizer: Detokenizer) -> None:
        self._detokenizer = detokenizer
        self._offsets: dict[int, int] = {}

    def opening(self, index: int) -> dict[str, Any] | None:
        """Plain completions begin with their text."""
        return None

    def piece(self, delta: Delta) -> dict[str, Any]:
        """A piece of a choice."""
        return {
            "index": delta.index,
            "text": delta.text,
            "logprobs": self.logprobs(delta),
            "finish_reason": delta.finish,
        }

    whole = piece

    def logprobs(self, delta: Delta) -> dict[str, Any] | None:
        """The four parallel lists of the old shape."""
        if not delta.logprobs:
            return None
        offset = self._offsets.get(delta.index, 0)
        tokens, offsets = [], []
        for own in delta.logprobs:
            text = self._detokenizer.token(own.token)[0]
            tokens.append(text)
            offsets.append(offset)
            offset += len(text)
        self._offsets[delta.index] = offset
        return {
            "text_offset": offsets,
            "token_logprobs": [_plain(own.logprob) for own in delta.logprobs],
            "tokens": tokens,
            "top_logprobs": [
                {self._detokenizer.token(token)[0]: _plain(value) for token, value in own.top}
                for own in delta.logprobs
            ],
        }


def usage(event: Finished) -> dict[str, int]:
    """How many tokens were read and written."""
    return {
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "total_tokens": event.prompt_tokens + event.completion_tokens,
    }


def scores(model: str, completions: Sequence[str], found: Sequence[Score]) -> list[dict[str, Any]]:
    """The scores of /v1/score, in the order asked."""
    return [
        {
            "completion": text,
            "logprob": sum(score.logprobs),
            "tokens": len(score.logprobs),
            "mean_logprob": sum(score.logprobs) / max(len(score.logprobs), 1),
        }
        for text, score in zip(completions, found, strict=True)
    ]


def sse(document: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def error_document(error: ProtocolError) -> dict[str, Any]:
    """OpenAI's error shape."""
    kind = _TYPES.get(error.status)
    if kind is None:
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.param,
            "code": error.code,
        }
    }


def _choice(
    index: int,
    name: str,
    content: dict[str, Any],
    logprobs: dict[str, Any] | None,
    finish: str | None,
) -> dict[str, Any]:
    return {"index": index, name: content, "logprobs": logprobs, "finish_reason": finish}


def _plain(logprob: float) -> float:
    """JSON has no -inf; OpenAI writes -9999 for what is practically impossible."""
    return max(logprob, -9999.0)
