"""What the engines answer, read from the JSON of ours and of vLLM alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import strict_json
from common.strict_json import StrictJsonError

from .errors import EngineBusyError, EngineUnavailableError, refused


@dataclass(frozen=True)
class Completion:
    """A whole answer. `finish_reason` is "stop" where it ended by itself, "length" where it was cut."""

    text: str
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Piece:
    """A piece of a streamed answer; the last one has a finish reason."""

    text: str
    finish_reason: str | None = None


@dataclass(frozen=True)
class Score:
    """What a model thinks of one completion: the sum of its tokens' log-probabilities."""

    completion: str
    logprob: float
    tokens: int

    @property
    def mean_logprob(self) -> float:
        return self.logprob / self.tokens


@dataclass(frozen=True)
class LoadedModel:
    """A name that an engine knows; `parent` is None for the base itself."""

    name: str
    parent: str | None
    owner: str
    digest: str | None = None


@dataclass(frozen=True)
class Reply:
    """An HTTP answer with its JSON, or its text where it is no JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any

    @property
    def error(self) -> Mapping[str, Any]:
        """OpenAI's error object. vLLM's answer to a wrong key has a mere word in its place."""
        error = self.document.get("error") if isinstance(self.document, Mapping) else None
        if isinstance(error, Mapping):
            return error
        return {"message": error if isinstance(error, str) else ""}

    @property
    def model_unknown(self) -> bool:
        return self.status == 404 and self.error.get("param") == "model"


def parse(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    try:
        document = strict_json.loads(body) if body else None
    except StrictJsonError:
        document = body[:2000].decode("utf-8", "replace")
    return Reply(status, headers, document)


def check(reply: Reply) -> Any:
    """The document of a good answer; raises the error that a bad one is."""
    if reply.status == 200:
        return reply.document
    error = reply.error
    if reply.status in (429, 503):
        raise EngineBusyError(retry_after=_retry_after(reply.headers))
    if reply.status in (401, 403):
        # Our own key is wrong: nothing that the caller could mend.
        raise EngineUnavailableError("engine_key_refused", cause=str(error.get("message")))
    if 400 <= reply.status < 500:
        # vLLM repeats the status as its code; the type says more.
        code = error.get("code")
        named = code if isinstance(code, str) and code else _snake(error.get("type"))
        if error.get("param") == "input_tokens":
            # What our engine, like OpenAI, calls it.
            named = "context_length_exceeded"
        raise refused(named, error.get("message"), error.get("param"))
    raise EngineUnavailableError(
        "engine_failed", cause=f"{reply.status}: {str(error.get('message'))[:300]}"
    )


def completion_of(document: Any) -> Completion:
    with _reading(document):
        choice, usage = document["choices"][0], document.get("usage") or {}
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        return Completion(
            text=text or "",
            finish_reason=str(choice.get("finish_reason") or "stop"),
            model=str(document["model"]),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            completion_tokens=int(usage.get("completion_tokens", 0)),
        )


def pieces_of(line: str) -> Iterator[Piece]:
    """A line of a stream of server-sent events -> at most one piece.

    An error inside the stream raises: what was said so far is not an answer.
    """
    if not line.startswith("data:"):
        return
    content = line[5:].strip()
    if content == "[DONE]":
        return
    document = _loads(content)
    with _reading(document):
        if "error" in document:
            check(Reply(int(status_of(document["error"])), {}, document))
        for choice in document["choices"][:1]:
            delta = choice.get("delta", choice)
            text = delta.get("content", delta.get("text")) or ""
            finish = choice.get("finish_reason")
            if text or finish:
                yield Piece(text, finish)


def models_of(document: Any) -> list[LoadedModel]:
    with _reading(document):
        return [
            LoadedModel(
                name=str(entry["id"]),
                parent=entry.get("parent"),
                owner=str(entry.get("owned_by", "")),
                digest=entry.get("digest"),
            )
            for entry in document["data"]
        ]


def scores_of(document: Any) -> list[Score]:
    """Of our own /v1/score."""
    with _reading(document):
        return [
            Score(str(entry["completion"]), float(entry["logprob"]), int(entry["tokens"]))
            for entry in document["scores"]
        ]


def prompt_score_of(document: Any, completion: str, tokens: Sequence[int]) -> Score:
    """Of vLLM's `prompt_logprobs`: for every token of the prompt but the first, a map of token
    id -> {"logprob": ...} that holds the prompt's own token. The completion stands at the end."""
    with _reading(document):
        tail = document["choices"][0]["prompt_logprobs"][-len(tokens) :]
        logprobs = [
            float(place[str(token)]["logprob"]) for place, token in zip(tail, tokens, strict=True)
        ]
        return Score(completion, math.fsum(logprobs), len(tokens))


def tokens_of(document: Any) -> list[int]:
    with _reading(document):
        return [int(token) for token in document["tokens"]]


def vectors_of(document: Any, count: int) -> list[list[float]]:
    """Of /v1/embeddings, in the order asked, each of length one whoever made it."""
    with _reading(document):
        placed = {int(entry["index"]): entry["embedding"] for entry in document["data"]}
        return [_unit([float(value) for value in placed[place]]) for place in range(count)]


def count_of(document: Any) -> int:
    with _reading(document):
        return int(document["count"])


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        raise ValueError("a vector without a direction")
    return [value / length for value in vector]


class _reading:
    """Turns "not the shape we know" into the error that it is for the caller."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (KeyError, IndexError, TypeError, ValueError, AttributeError)):
            raise EngineUnavailableError(
                "engine_answer_unreadable", cause=f"{error!r} in {str(self._document)[:300]}"
            ) from error


def _loads(content: str) -> Any:
    try:
        return strict_json.loads(content)
    except StrictJsonError as error:
        raise EngineUnavailableError("engine_answer_unreadable", cause=content[:300]) from error


def status_of(error: Any) -> int:
    """Inside a stream the status line has passed: vLLM's code is the status, ours a word."""
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else 500


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers.get("retry-after", "")), 0.0), 600.0)
    except ValueError:
        return 1.0


def _snake(type_: Any) -> str:
    """BadRequestError -> bad_request"""
    words = str(type_ or "refused").removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in words).lstrip("_") or "refused"
