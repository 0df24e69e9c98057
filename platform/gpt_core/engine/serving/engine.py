"""The thread that owns the model, and the way in and out of it for asyncio.

Only this thread touches weights, slabs and rows. Requests and adapter changes reach it through a queue, between
two steps; what it has to tell leaves once per step.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..bases import Base, load_tokenizer, open_base
from ..checkpoint import Adapter, load_adapter, open_checkpoint
from ..errors import EngineError
from ..formats import RowEncoder, encoder_of
from .constraints import Grammars
from .decoder import Decoder
from .kernels import Weights, has_fast_bfloat16
from .requests import Event, Failed, Finished, LoadedAdapter, Request
from .scheduler import Limits, Scheduler
from .text import Detokenizer

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """How an engine is set up. `context` is the longest sequence, `waiting` the longest queue."""

    base: Path
    store: Path | None = None
    dtype: str = "auto"
    weights: Weights = "auto"
    context: int = 1024
    max_batch: int = 32
    max_adapters: int = 64
    max_waiting: int = 256
    verify: bool = True


@dataclass(frozen=True)
class Model:
    """A base model with all that belongs to it, loaded."""

    base: Base
    decoder: Decoder
    tokenizer: Any
    encoder: RowEncoder
    ends: frozenset[int]

    @classmethod
    def load(cls, options: Options) -> Model:
        """Read a prepared base. Raises EngineError: base_*."""
        from transformers import AutoConfig

        base = open_base(options.base, verify=options.verify)
        tokenizer = load_tokenizer(base)
        config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
        with torch.inference_mode():
            decoder = Decoder(
                config,
                StoredTensors(base.folder),
                dtype=resolve_dtype(options.dtype),
                context=options.context,
                weights=options.weights,
            )
        return cls(base, decoder, tokenizer, encoder_of(tokenizer), _ends(base, config, tokenizer))


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a folder's safetensors files, read one by one when asked for."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._files = [
            safe_open(path, framework="pt") for path in sorted(folder.glob("*.safetensors"))
        ]
        self._places = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Tensor:
        return self._places[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass
class _Outbox:
    """Events on their way to asyncio, delivered together once per step."""

    loop: asyncio.AbstractEventLoop
    events: list[tuple[asyncio.Queue[Event], Event]] = field(default_factory=list)

    def put(self, inbox: asyncio.Queue[Event], event: Event) -> None:
        self.events.append((inbox, event))

    def deliver(self) -> None:
        if self.events:
            events, self.events = self.events, []
            self.loop.call_soon_threadsafe(_hand_over, events)


class Engine:
    """A running model. Its coroutines may be called from one event loop."""

    def __init__(self, options: Options, model: Model | None = None) -> None:
        self.options = options
        self.model = model or Model.load(options)
        decoder, tokenizer = self.model.decoder, self.model.tokenizer
        self.detokenizer = Detokenizer(tokenizer)
        end = min(self.model.ends) if self.model.ends else 0
        self.grammars = Grammars(tokenizer, decoder.vocabulary, tokenizer.eos_token_id or end)
        self.scheduler = Scheduler(
            decoder,
            decoder.make_slabs(options.max_adapters),
            self.detokenizer,
            self.grammars,
            set(self.model.ends),
            Limits(rows=options.max_batch),
            on_leave=self._let_go,
        )
        self._adapters: dict[str, LoadedAdapter] = {}
        self._loading = asyncio.Lock()
        self._lock = threading.Lock()
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._outbox: _Outbox | None = None
        self._thread: threading.Thread | None = None
        self._open = 0
        self.step_seconds = 0.0

    @property
    def context(self) -> int:
        """The longest sequence, prompt and answer together, in tokens."""
        return self.model.decoder.context

    @property
    def healthy(self) -> bool:
        """Whether the thread is there to serve."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many requests are not yet being served."""
        return max(self._open - self.scheduler.running, 0)

    def adapters(self) -> list[LoadedAdapter]:
        """The adapters that may be named now."""
        with self._lock:
            return sorted(self._adapters.values(), key=lambda adapter: adapter.name)

    def start(self) -> None:
        """Start the thread; call from the event loop that will use the engine."""
        self._outbox = _Outbox(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every request and the thread."""
        self._commands.put(None)
        if self._thread is not None:
            self._thread.join(timeout=30)

    def acquire(self, name: str) -> LoadedAdapter:
        """Hold an adapter for a request, which lets it go when it ends. Raises EngineError("model_unknown")."""
        with self._lock:
            adapter = self._adapters.get(name)
            if adapter is None:
                raise EngineError("model_unknown", name[:200])
            adapter.users += 1
            adapter.last_used = time.monotonic()
            return adapter

    def check_room(self) -> None:
        """Raises EngineError("queue_full") when too many wait already."""
        if not self.healthy:
            raise EngineError("engine_stopped", "the engine is not running")
        if self._open >= self.options.max_waiting + self.options.max_batch:
            raise EngineError("queue_full", f"{self._open} requests are waiting or running")

    async def serve(
        self, make: Callable[[Callable[[Event], None]], Request]
    ) -> AsyncGenerator[Event, None]:
        """Submit the request that `make(sink)` returns and yield its events; leaving early cancels it."""
        # Checked here as well, where nothing comes between the check and the count.
        self.check_room()
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        outbox = self._outbox
        assert outbox is not None
        request = make(lambda event: outbox.put(inbox, event))
        self._open += 1
        self._commands.put(lambda: self.scheduler.add(request))
        try:
            while True:
                event = await inbox.get()
                yield event
                if isinstance(event, Finished | Failed):
                    return
        finally:
            request.cancelled = True
            self._open -= 1

    async def load(self, name: str, folder: Path, digest: str | None) -> LoadedAdapter:
        """Load a published adapter under its own name, checked against its manifest, its base and for NaN.

        Raises EngineError: checkpoint_*, adapter_*.
        """
        # One at a time: the second of two callers finds what the first has loaded.
        async with self._loading:
            known = self._already(name, digest)
            if known is not None:
                return known
            adapter = await asyncio.to_thread(self._read, name, folder, digest)
            return await self._call(lambda: self._place(adapter))

    async def unload(self, name: str) -> None:
        """Forget an adapter; requests that hold it are served to their end. Raises EngineError("model_unknown")."""
        with self._lock:
            adapter = self._adapters.pop(name, None)
            if adapter is None:
                raise EngineError("model_unknown", name[:200])
            adapter.dropped = True
        await self._call(lambda: self._free(adapter))

    def _already(self, name: str, digest: str | None) -> LoadedAdapter | None:
        with self._lock:
            known = self._adapters.get(name)
        if known is not None and digest is not None and known.digest != digest:
            raise EngineError("adapter_name_taken", f"{name} is loaded with another digest")
        return known

    def _read(self, name: str, folder: Path, digest: str | None) -> Adapter:
        checkpoint = open_checkpoint(folder, digest=digest)
        if checkpoint.name != name:
            raise EngineError("adapter_name", f"the checkpoint is called {checkpoint.name!r}")
        return load_adapter(checkpoint, self.model.base)

    def _place(self, adapter: Adapter) -> LoadedAdapter:
        """Copy an adapter into the slab, in the engine's thread."""
        with self._lock:
            if len(self._adapters) >= self.options.max_adapters:
                self._drop_idle()
        place = self.scheduler.slabs.load(
            adapter.tensors, rank=adapter.rank, scaling=adapter.scaling
        )
        loaded = LoadedAdapter(adapter.name, adapter.digest, place, last_used=time.monotonic())
        with self._lock:
            self._adapters[adapter.name] = loaded
        return loaded

    def _drop_idle(self) -> None:
        """Make room by forgetting the adapter that was used longest ago; held ones stay."""
        idle = [adapter for adapter in self._adapters.values() if not adapter.users]
        if not idle:
            raise EngineError("adapters_full", f"{len(self._adapters)} adapters are in use")
        oldest = min(idle, key=lambda adapter: adapter.last_used)
        del self._adapters[oldest.name]
        self.scheduler.slabs.unload(oldest.place)

    def _free(self, adapter: LoadedAdapter) -> None:
        with self._lock:
            unused = adapter.dropped and not adapter.users and not adapter.freed
            adapter.freed = adapter.freed or unused
        if unused:
            self.scheduler.slabs.unload(adapter.place)

    def _let_go(self, request: Request) -> None:
        """A request is over: in the engine's thread, as everything that frees slots."""
        adapter = request.adapter
        if adapter is not None:
            with self._lock:
                adapter.users -= 1
            self._free(adapter)

    async def _call(self, work: Callable[[], Result]) -> Result:
        """Do something in the engine's thread between two steps."""
        if not self.healthy:
            raise EngineError("engine_stopped", "the engine is not running")
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        self._commands.put(run)
        return await asyncio.wrap_future(done)

    def _serve(self) -> None:
        """The thread: commands, a step, news; until it is told to stop."""
        assert self._outbox is not None
        while True:
            try:
                if not self._obey():
                    break
                started = time.perf_counter()
                self.scheduler.step()
                self.step_seconds += time.perf_counter() - started
            except Exception as error:
                log.exception("the engine's loop failed")
                self.scheduler.fail_everything(EngineError("engine_failed", str(error)[:200]))
            self._outbox.deliver()
        self.scheduler.fail_everything(EngineError("engine_stopped", "the engine was stopped"))
        self._outbox.deliver()

    def _obey(self) -> bool:
        """Carry out what has been asked; waits while there is nothing to do. False means stop."""
        while True:
            try:
                command = self._commands.get(block=self.scheduler.idle)
            except queue.Empty:
                return True
            if command is None:
                return False
            command()


def resolve_dtype(name: str) -> torch.dtype:
    """ "auto" is bfloat16 where the processor multiplies it in hardware, else float32."""
    if name == "auto":
        return torch.bfloat16 if has_fast_bfloat16() else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


def _ends(base: Base, config: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer, by every file that names them."""
    from ..files import read_json

    try:
        named = [read_json(base.folder / "generation_config.json").get("eos_token_id")]
    except (OSError, EngineError):
        named = []
    named += [getattr(config, "eos_token_id", None), tokenizer.eos_token_id]
    flat = [token for entry in named for token in (entry if isinstance(entry, list) else [entry])]
    return frozenset(token for token in flat if isinstance(token, int))


def _hand_over(events: list[tuple[asyncio.Queue[Event], Event]]) -> None:
    for inbox, event in events:
        inbox.put_nowait(event)
