"""The routes of OpenAI and vLLM, and /v1/score."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..checkpoint import NAME
from ..errors import EngineError
from ..files import parse_json
from . import embeddings, logs, protocol
from .answers import (
    DONE,
    ChatShape,
    CompletionShape,
    Heading,
    error_document,
    scores,
    sse,
    usage,
)
from .calls import Calls
from .embeddings import Embedder
from .engine import Engine
from .metrics import Metrics
from .protocol import Fields, GenerationCall, ProtocolError
from .requests import Delta, Event, Failed, Finished
from .streams import EventStream, unless_gone

log = logging.getLogger(__name__)
MAX_BODY = 8 * 1024 * 1024
# For whom a request is, as the gateway that holds our key says: turns are taken by it. vLLM ignores it.
CALLER = "x-parley-tenant"
MOST_CALLER = 64
Handler = Callable[[HttpRequest], Awaitable[Response]]
# The engine's codes that are not the caller's fault, or not found, with their status.
_STATUS = {
    "model_unknown": 404,
    "queue_full": 429,
    "adapters_full": 503,
    "engine_stopped": 503,
    "engine_failed": 500,
    "step_failed": 500,
    "not_started": 500,
    "not_finite": 500,
    "out_of_memory": 503,
    "cancelled": 499,
}


def create_application(
    engine: Engine, *, key: str | None = None, embedder: Embedder | None = None
) -> Starlette:
    """The server of an engine. `key` is the bearer key that every route but /health asks for."""
    routes = Routes(engine, embedder)

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await asyncio.to_thread(engine.stop)

    application = Starlette(
        routes=[
            Route("/health", routes.health, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/v1/models", routes.models, methods=["GET"]),
            Route("/v1/chat/completions", routes.chat, methods=["POST"]),
            Route("/v1/completions", routes.completions, methods=["POST"]),
            Route("/v1/score", routes.score, methods=["POST"]),
            Route("/v1/embeddings", routes.embeddings, methods=["POST"]),
            Route("/tokenize", routes.tokenize, methods=["POST"]),
            Route("/v1/load_lora_adapter", routes.load_adapter, methods=["POST"]),
            Route("/v1/unload_lora_adapter", routes.unload_adapter, methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={
            ProtocolError: routes.refuse,
            EngineError: routes.refuse,
            HTTPException: routes.refuse,
            Exception: routes.refuse,
        },
    )
    application.add_middleware(BearerKey, key=key)
    application.add_middleware(logs.RequestLog)
    return application


class BearerKey:
    """Asks for the bearer key, compared in constant time."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._expected is not None and scope["path"] != "/health":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                error = ProtocolError(
                    "The bearer key is wrong.", code="invalid_api_key", status=401
                )
                answer = JSONResponse(error_document(error), 401, {"WWW-Authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Routes:
    """The handlers, one per route."""

    def __init__(self, engine: Engine, embedder: Embedder | None = None) -> None:
        self._engine = engine
        self._embedder = embedder
        self._calls = Calls(engine)
        self._metrics = Metrics(engine)

    async def health(self, request: HttpRequest) -> Response:
        """200 while the engine's thread runs."""
        return Response(status_code=200 if self._engine.healthy else 503)

    async def metrics(self, request: HttpRequest) -> Response:
        """Prometheus."""
        return PlainTextResponse(self._metrics.page(), media_type="text/plain; version=0.0.4")

    async def models(self, request: HttpRequest) -> Response:
        """The base and the adapters that may be named."""
        base = self._engine.model.base
        entries = [self._model(base.name, base.digest, None)]
        entries += [
            self._model(adapter.name, adapter.digest, base.name)
            for adapter in self._engine.adapters()
        ]
        return JSONResponse({"object": "list", "data": entries})

    async def chat(self, request: HttpRequest) -> Response:
        """Continue a conversation."""
        document = await read_json_body(request)
        call = protocol.read_chat(document, max_rows=self._engine.options.max_batch)
        return await self._generate(request, call, ChatShape(self._engine.detokenizer))

    async def completions(self, request: HttpRequest) -> Response:
        """Continue a text."""
        document = await read_json_body(request)
        call = protocol.read_completion(
            document, max_rows=self._engine.options.max_batch, vocabulary=self._vocabulary
        )
        return await self._generate(request, call, CompletionShape(self._engine.detokenizer))

    async def score(self, request: HttpRequest) -> Response:
        """Log-probabilities of a closed set of completions."""
        document = await read_json_body(request)
        call = protocol.read_score(document, vocabulary=self._vocabulary)
        logs.note(request.scope, model=call.model)
        make = await self._calls.scoring(call, _caller_of(request))
        *_, end = await collect(request, self._engine.serve(make))
        finished = _successful(end)
        _note_usage(request, finished)
        return JSONResponse(
            {
                "object": "list",
                "model": call.model,
                "scores": scores(call.model, call.completions, finished.scores),
                "usage": usage(finished),
            }
        )

    async def embeddings(self, request: HttpRequest) -> Response:
        """Texts as vectors of meaning, by the small model beside the base."""
        call = embeddings.read_embedding(await read_json_body(request))
        logs.note(request.scope, model=call.model)
        if self._embedder is None or call.model != self._embedder.name:
            raise EngineError("model_unknown", f"No embedder is called {call.model[:100]!r}.")
        vectors, tokens = await asyncio.to_thread(self._embedder.embed, call.texts)
        logs.note(request.scope, prompt_tokens=tokens)
        return JSONResponse(embeddings.embedding_document(call, vectors, tokens))

    async def tokenize(self, request: HttpRequest) -> Response:
        """Tokens of a text or a conversation, and how many fit."""
        document = await read_json_body(request)
        model, prompt = protocol.read_tokenize(document, vocabulary=self._vocabulary)
        if model is not None:
            self._calls.check_model(model)
        tokens = await asyncio.to_thread(self._calls.tokens, prompt)
        return JSONResponse(
            {"count": len(tokens), "max_model_len": self._engine.context, "tokens": tokens}
        )

    async def load_adapter(self, request: HttpRequest) -> Response:
        """Load a published adapter from a folder below the store."""
        fields = Fields(await read_json_body(request), {"lora_name", "lora_path", "digest"})
        name = _adapter_name(fields)
        folder = self._calls.folder(fields.text("lora_path"))
        digest = fields.text("digest") if "digest" in fields else None
        await self._engine.load(name, folder, digest)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    async def unload_adapter(self, request: HttpRequest) -> Response:
        """Forget an adapter; answers that use it are finished first."""
        fields = Fields(await read_json_body(request), {"lora_name"})
        name = fields.text("lora_name")
        await self._engine.unload(name)
        return PlainTextResponse("Success: LoRA adapter removed successfully.")

    async def refuse(self, request: HttpRequest, fault: Exception) -> Response:
        """Every error in OpenAI's shape."""
        error = as_protocol_error(fault)
        logs.note(request.scope, refused=error.code)
        self._metrics.collector.refuse(error.code)
        headers = {}
        if error.status in (429, 503):
            headers["Retry-After"] = str(1 + self._engine.waiting // self._engine.options.max_batch)
        return JSONResponse(error_document(error), error.status, headers)

    @property
    def _vocabulary(self) -> int:
        return self._engine.model.decoder.vocabulary

    async def _generate(
        self, request: HttpRequest, call: GenerationCall, shape: ChatShape | CompletionShape
    ) -> Response:
        logs.note(request.scope, model=call.model, stream=call.stream)
        self._engine.check_room()
        make = await self._calls.generation(call, _caller_of(request))
        heading = Heading(shape.kind, call.model, self._calls.fingerprint(call.model))
        events = self._engine.serve(make)
        if call.stream:
            return await stream(request, events, call, shape, heading)
        found = await collect(request, events)
        finished = _successful(found[-1])
        _note_usage(request, finished)
        deltas = sorted(
            (event for event in found if isinstance(event, Delta)), key=lambda delta: delta.index
        )
        choices = [shape.whole(delta) for delta in deltas]
        return JSONResponse(heading.document(choices) | {"usage": usage(finished)})

    def _model(self, name: str, digest: str, parent: str | None) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self._calls.started,
            "owned_by": "parley",
            "root": parent or name,
            "parent": parent,
            "digest": digest,
            "max_model_len": self._engine.context,
        }


async def stream(
    request: HttpRequest,
    events: AsyncGenerator[Event, None],
    call: GenerationCall,
    shape: ChatShape | CompletionShape,
    heading: Heading,
) -> Response:
    """An answer as server-sent events. What fails before the first token is still an ordinary error."""
    try:
        first = await unless_gone(request.receive, anext(events))  # type: ignore[arg-type]
    except BaseException:
        await events.aclose()
        raise
    if isinstance(first, Failed):
        raise _as_error(first)

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(events):
            for index in range(call.sampling.n):
                opening = shape.opening(index)
                if opening is not None:
                    yield sse(heading.document([opening], piece=True))
            event: Event = first
            while isinstance(event, Delta):
                yield sse(heading.document([shape.piece(event)], piece=True))
                event = await anext(events)
            if isinstance(event, Failed):
                logs.note(request.scope, failed=event.code)
                yield sse(error_document(_as_error(event)))
                yield DONE
                return
            _note_usage(request, event)
            if call.include_usage:
                yield sse(heading.document([], piece=True) | {"usage": usage(event)})
            yield DONE

    return EventStream(pieces(), events)


async def collect(request: HttpRequest, events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events of a request; raises ClientDisconnect and cancels it when the client goes away."""

    async def gather() -> list[Event]:
        async with contextlib.aclosing(events):
            return [event async for event in events]

    return await unless_gone(request.receive, gather())


async def read_json_body(request: HttpRequest) -> Any:
    """The body as JSON, at most MAX_BODY bytes. Raises ProtocolError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ProtocolError("The body is too large.", code="body_too_large", status=413)
    try:
        return parse_json(bytes(body), what="body")
    except (EngineError, RecursionError) as error:
        raise ProtocolError(
            f"The body is not valid JSON: {error}"[:300], code="invalid_json"
        ) from error


def as_protocol_error(fault: Exception) -> ProtocolError:
    """Any exception as the error that is answered."""
    if isinstance(fault, ProtocolError):
        return fault
    if isinstance(fault, EngineError):
        param = "model" if fault.code == "model_unknown" else None
        return ProtocolError(
            fault.detail or fault.code,
            param=param,
            code=fault.code,
            status=_STATUS.get(fault.code, 400),
        )
    if isinstance(fault, HTTPException):
        return ProtocolError(
            fault.detail, code=f"http_{fault.status_code}", status=fault.status_code
        )
    if isinstance(fault, ClientDisconnect):
        return ProtocolError("The client went away.", code="cancelled", status=499)
    log.error("a route failed", exc_info=fault)
    return ProtocolError("The engine failed.", code="internal", status=500)


def _caller_of(request: HttpRequest) -> str:
    return request.headers.get(CALLER, "")[:MOST_CALLER]


def _note_usage(request: HttpRequest, finished: Finished) -> None:
    logs.note(
        request.scope,
        prompt_tokens=finished.prompt_tokens,
        completion_tokens=finished.completion_tokens,
    )


def _adapter_name(fields: Fields) -> str:
    name = fields.text("lora_name")
    if not NAME.fullmatch(name):
        raise ProtocolError(
            "'lora_name' must be like acme.support@v3-1f2e3d4c.",
            param="lora_name",
            code="adapter_name",
        )
    return name


def _successful(event: Event) -> Finished:
    if isinstance(event, Failed):
        raise _as_error(event)
    assert isinstance(event, Finished)
    return event


def _as_error(event: Failed) -> ProtocolError:
    return as_protocol_error(EngineError(event.code, event.detail))
