"""/v1/chat/completions and /v1/completions: the engine's own answers under the model's public name.

What the engine does not do is refused here by name; what it does, it checks itself. No database is
held while an answer is written, and a caller that hangs up ends the work in the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, UnsupportedMediaType
from rest_framework.views import APIView

from accounts.access import Credential, in_scope_while_streaming, scope_of
from accounts.authentication import ApiKeyAuthentication
from accounts.idempotency import HEADER, Claim, claimed
from accounts.permissions import can_generate
from common.api import MAX_BODY_BYTES
from common.errors import ApplicationError
from common.strict_json import loads
from tenancy.quotas import longest_answer

from ... import client
from ...client import EngineRefusedError, ServedModel
from ...models import BaseModel
from . import errors
from .base import checked_query
from .names import model_called
from .spending import Spending, let_go

DONE = b"data: [DONE]\n\n"
_COMMON = frozenset({
    "model", "stream", "stream_options", "temperature", "top_p", "n", "stop", "seed", "user",
    "max_tokens", "frequency_penalty", "presence_penalty", "response_format", "logprobs",
    # Beyond OpenAI's, as vLLM has them.
    "top_k", "min_p", "repetition_penalty", "structured_outputs", "ignore_eos",
})  # fmt: skip
_CHAT = _COMMON | {"messages", "top_logprobs", "max_completion_tokens"}
_COMPLETION = _COMMON | {"prompt"}
# Fields of OpenAI's that ask, with these values, for what is done anyway. With any other they are
# refused, as are all that stand nowhere here.
_NOTHING_ASKED: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tools": ([],),
}
_KNOWN_AT_OPENAI = frozenset({
    "audio", "best_of", "echo", "function_call", "functions", "logit_bias", "metadata", "modalities",
    "moderation", "parallel_tool_calls", "prediction", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "reasoning_effort", "safety_identifier", "service_tier", "store",
    "suffix", "tool_choice", "tools", "verbosity", "web_search_options", "top_logprobs",
    "max_completion_tokens",
})  # fmt: skip


class GenerationView(APIView):
    """One POST. Its own dispatch, because REST framework's is not for asynchronous code."""

    fields: ClassVar[frozenset[str]]
    subject: ClassVar[str]

    async def post(self, request: HttpRequest) -> HttpResponseBase:
        credential = await sync_to_async(_admitted)(request)
        with scope_of(credential):
            return await self._written(request, credential)

    async def _written(self, request: HttpRequest, credential: Credential) -> HttpResponseBase:
        asked, wrong = self._read(request)
        spending = Spending(credential, asked)
        begun = await sync_to_async(_begin)(request, credential, spending, asked, wrong)
        if isinstance(begun, HttpResponse):
            return begun
        model, claim = begun
        try:
            response = await _answer(model, asked, spending)
            if claim is not None:
                await sync_to_async(claim.keep)(response)
        except ApplicationError:
            spending.refused()
            await _end(spending, claim)
            raise
        except BaseException:
            # The caller hung up, or a fault of ours: the engine may have written much.
            await _end(spending, claim)
            raise
        for name, value in spending.headers().items():
            response[name] = value
        return response

    def _read(self, request: HttpRequest) -> tuple[dict[str, Any], Exception | None]:
        """The body, or what is wrong with it: a request counts in either case."""
        try:
            return self.asked(request), None
        except Exception as error:
            return {}, error

    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **values: Any
    ) -> HttpResponseBase:
        try:
            if request.method != "POST":
                raise MethodNotAllowed(str(request.method))
            return await self.post(request)
        except Exception as error:
            answer = errors.plain_answer(error)
            if answer is None:
                raise
            return answer

    def asked(self, request: HttpRequest) -> dict[str, Any]:
        """The body with what the engine is to know; raises what is wrong with it, by name."""
        checked_query(request.GET)
        document = _document_of(request)
        given: dict[str, Any] = {}
        for name, value in document.items():
            if value is None:
                continue
            if name in self.fields:
                given[name] = value
            elif not any(_same(value, one) for one in _NOTHING_ASKED.get(name, ())):
                known = name in _KNOWN_AT_OPENAI
                raise errors.unsupported(name) if known else errors.unknown(name)
        for name in ("model", self.subject):
            if name not in given:
                raise errors.missing(name)
        if not isinstance(given["model"], str):
            raise errors.wrong("model", _("the name of a model"))
        if "user" in given and not isinstance(given["user"], str):
            raise errors.wrong("user", _("a text"))
        _check_stream_options(given.get("stream_options", {}))
        if given.get("stream") is True and HEADER in request.headers:
            raise errors.unsupported(HEADER, _("What was streamed cannot be told again."))
        return given


class ChatView(GenerationView):
    fields = _CHAT
    subject = "messages"


class CompletionView(GenerationView):
    fields = _COMPLETION
    subject = "prompt"


def _admitted(request: HttpRequest) -> Credential:
    found = ApiKeyAuthentication().authenticate(request)  # type: ignore[arg-type]
    if found is None:
        raise NotAuthenticated()
    credential = found[1]
    if not can_generate(credential):
        raise errors.scope_missing("generate")
    return credential


def _check_stream_options(options: Any) -> None:
    """They are read here: the engine is asked for the figures in any case."""
    if not isinstance(options, dict):
        raise errors.wrong("stream_options", _("an object"))
    for name, value in options.items():
        field = f"stream_options.{name}"
        if name not in ("include_usage", "include_obfuscation"):
            raise errors.unknown(field)
        if value is not None and not isinstance(value, bool):
            raise errors.wrong(field, _("true or false"))
        if name == "include_obfuscation" and value:
            raise errors.unsupported(field)


def _same(one: Any, other: Any) -> bool:
    """1 is neither true nor 1.0."""
    return type(one) is type(other) and one == other


def _document_of(request: HttpRequest) -> Mapping[str, Any]:
    if request.content_type != "application/json":
        raise UnsupportedMediaType(request.content_type or "")
    body = request.body
    if len(body) > MAX_BODY_BYTES:
        raise ApplicationError("too_large", _("The request is too large."), status_hint=413)
    document = loads(body)
    if not isinstance(document, dict):
        raise ApplicationError("invalid_body", _("The body must be a JSON object."))
    return document


def _begin(
    request: HttpRequest,
    credential: Credential,
    spending: Spending,
    asked: Mapping[str, Any],
    wrong: Exception | None,
) -> HttpResponse | tuple[ServedModel, Claim | None]:
    """Everything that the database is asked before an answer. It is let go of afterwards.

    Where the same was answered already, that answer; else the model, and the key that is held.
    """
    try:
        spending.take_request()
        if wrong is not None:
            raise wrong
        claim = claimed(request, credential, lease=longest_answer())
        if claim is not None and claim.is_done:
            return claim.told_again()
        with claim or nullcontext():
            model = _served(asked["model"])
            spending.begin()
        return model, claim
    finally:
        let_go()


async def _end(spending: Spending, claim: Claim | None = None) -> None:
    # Whoever is being cancelled still gives back what was taken.
    await asyncio.shield(sync_to_async(_given_back)(spending, claim))


def _given_back(spending: Spending, claim: Claim | None) -> None:
    try:
        if claim is not None:
            claim.free()
    finally:
        spending.end()


def _served(name: str) -> ServedModel:
    """Where the model that this name means is served."""
    try:
        found = model_called(name)
        served = client.served(found.name if isinstance(found, BaseModel) else found)
        served.engine  # noqa: B018  raises where none serves the base
    except EngineRefusedError as error:
        raise ApplicationError(
            "model_not_served",
            _("No engine serves the model “%(name)s” at the moment.") % {"name": name[:200]},
            field="model",
        ) from error
    return served


async def _answer(
    model: ServedModel, asked: Mapping[str, Any], spending: Spending
) -> HttpResponseBase:
    public = asked["model"]
    if asked.get("stream") is not True:
        # A wrong kind of `stream` is the engine's to refuse, like every other value.
        document = await client.arelay(model, asked)
        spending.hear(document)
        await _end(spending)
        return JsonResponse(document | {"model": public})
    wants_usage = asked.get("stream_options", {}).get("include_usage") is True
    # The figures are wanted here in any case.
    asked = {**asked, "stream_options": {"include_usage": True}}
    documents = client.arelay_stream(model, asked)
    # What fails before the first word is still an ordinary error.
    first = await anext(documents)
    events = _events(first, documents, public, wants_usage, spending)
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return in_scope_while_streaming(response)


async def _events(
    first: dict[str, Any],
    documents: AsyncGenerator[dict[str, Any], None],
    public: str,
    wants_usage: bool,
    spending: Spending,
) -> AsyncGenerator[bytes, None]:
    document: dict[str, Any] | None = first
    try:
        async with aclosing(documents):
            while document is not None:
                spending.hear(document)
                if document.get("choices") or wants_usage:
                    yield errors.event(document | {"model": public})
                document = await anext(documents, None)
        yield DONE
    except ApplicationError as error:
        answer = errors.as_answer(error)
        assert answer is not None
        yield errors.event(answer[1])
    finally:
        await _end(spending)
