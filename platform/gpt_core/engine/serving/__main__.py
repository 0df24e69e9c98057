"""python -m gpt_core.engine.serving --base FOLDER [--store DIR] [--host HOST] [--port PORT]"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
import uvicorn

from ..errors import EngineError
from . import logs
from .application import create_application
from .embeddings import open_embedder
from .engine import Engine, Options


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m gpt_core.engine.serving",
        description="Serve a prepared base model and many adapters over the OpenAI protocol. "
        "GPT_ENGINE_KEY in the environment is the bearer key that callers must show.",
    )
    parser.add_argument("--base", type=Path, required=True, help="folder of a prepared base")
    parser.add_argument(
        "--store", type=Path, help="adapters are loaded from below this folder alone"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument(
        "--weights",
        choices=("auto", "int8", "bf16"),
        default="auto",
        help="int8 serves a single request from 8-bit weights: a little faster, a little less exact",
    )
    parser.add_argument("--max-batch", type=int, default=32, help="sequences written at once")
    parser.add_argument("--max-adapters", type=int, default=64)
    parser.add_argument("--max-waiting", type=int, default=256, help="beyond it callers get 429")
    parser.add_argument("--context", type=int, default=1024, help="longest sequence in tokens")
    parser.add_argument("--threads", type=int, help="processor cores to use; all by default")
    parser.add_argument(
        "--embedder", help="a packaged model that /v1/embeddings answers with; none by default"
    )
    parser.add_argument("--no-verify", action="store_true", help="trust the base's hashes")
    options = parser.parse_args(arguments)
    for name in ("max_batch", "max_adapters", "max_waiting", "context"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop."""
    options = parse(arguments)
    logs.start()
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    try:
        engine = Engine(
            Options(
                base=options.base,
                store=options.store.resolve() if options.store else None,
                dtype=options.dtype,
                weights=options.weights,
                context=options.context,
                max_batch=options.max_batch,
                max_adapters=options.max_adapters,
                max_waiting=options.max_waiting,
                verify=not options.no_verify,
            )
        )
        embedder = open_embedder(options.embedder) if options.embedder else None
    except EngineError as error:
        print(json.dumps({"error": error.as_dict()}), file=sys.stderr)
        return 2
    key = os.environ.get("GPT_ENGINE_KEY") or None
    application = create_application(engine, key=key, embedder=embedder)
    uvicorn.run(
        application,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
        # Longer than clients keep what is idle: whoever closes first loses what is just being sent.
        timeout_keep_alive=75,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
