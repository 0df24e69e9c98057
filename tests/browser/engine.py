"""An engine in small: the protocol over loopback HTTP, and answers that everybody can foresee.

The real engine has its own tests; here a page needs something that streams, at a pace that one can
stop, and that can be told to go away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

BASE = "smollm2-135m-instruct"
ANSWERS = {
    "base": "A question is something that is asked. <b>There</b> are many kinds of questions.",
    "tuned": "Yes. We measure first, at no cost, and send a written offer within two days. 谢谢！",
}
PAUSE_SECONDS = 0.04

adapters: dict[str, str] = {}


async def health(request: Request) -> Response:
    return Response(status_code=200)


async def models(request: Request) -> Response:
    data = [{"id": BASE, "object": "model", "owned_by": "parley", "parent": None}]
    data += [
        {"id": name, "object": "model", "owned_by": "parley", "parent": BASE} for name in adapters
    ]
    return JSONResponse({"object": "list", "data": data})


async def load(request: Request) -> Response:
    asked = await request.json()
    adapters[asked["lora_name"]] = asked["lora_path"]
    return Response("Success")


async def unload(request: Request) -> Response:
    adapters.pop((await request.json())["lora_name"], None)
    return Response("Success")


async def tokenize(request: Request) -> Response:
    asked = await request.json()
    text = asked.get("prompt") or "".join(turn["content"] for turn in asked.get("messages", []))
    tokens = list(range(len(text.split())))
    return JSONResponse({"count": len(tokens), "max_model_len": 2048, "tokens": tokens})


async def chat(request: Request) -> Response:
    asked = await request.json()
    model = asked["model"]
    if model != BASE and model not in adapters:
        fault = {
            "message": f"no model {model}",
            "type": "NotFoundError",
            "param": "model",
            "code": "model_not_found",
        }
        return JSONResponse({"error": fault}, status_code=404)
    words = ANSWERS["base" if model == BASE else "tuned"].split(" ")
    if not asked.get("stream"):
        return JSONResponse(_whole(model, " ".join(words), len(words)))
    return StreamingResponse(_chunks(model, words), media_type="text/event-stream")


async def _chunks(model: str, words: list[str]) -> AsyncIterator[str]:
    for at, word in enumerate(words):
        await asyncio.sleep(PAUSE_SECONDS)
        yield _event(model, {"content": word if at == 0 else f" {word}"}, None)
    yield _event(model, {}, "stop", usage=_usage(len(words)))
    yield "data: [DONE]\n\n"


def _event(model: str, delta: dict[str, str], reason: str | None, **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model}
    return f"data: {json.dumps(body | {'choices': [choice]} | more)}\n\n"


def _whole(model: str, text: str, tokens: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(tokens),
    }


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens}


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/v1/models", models),
        Route("/v1/load_lora_adapter", load, methods=["POST"]),
        Route("/v1/unload_lora_adapter", unload, methods=["POST"]),
        Route("/tokenize", tokenize, methods=["POST"]),
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ]
)
