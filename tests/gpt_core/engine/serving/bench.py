"""A workbench for the server's tests: tiny models, adapters that matter, requests driven step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gpt_core.engine.bases import Base
from gpt_core.engine.checkpoint import Published, adapter_config, linear_shapes, publish
from gpt_core.engine.serving.constraints import Grammars
from gpt_core.engine.serving.engine import Model, Options
from gpt_core.engine.serving.requests import (
    Delta,
    Event,
    Failed,
    Finished,
    LoadedAdapter,
    Request,
    SamplingParameters,
)
from gpt_core.engine.serving.scheduler import Limits, Scheduler
from gpt_core.engine.serving.text import Detokenizer

Tensors = dict[str, tuple[Tensor, Tensor]]
GREEDY = SamplingParameters(temperature=0, max_tokens=12, ignore_eos=True)


@dataclass
class Heard:
    """What a request was told, in order."""

    events: list[Event] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        """The tokens of the first choice."""
        return self.of(0)

    def of(self, index: int) -> list[int]:
        """The tokens of one choice."""
        return [
            token
            for event in self.events
            if isinstance(event, Delta) and event.index == index
            for token in event.tokens
        ]

    @property
    def text(self) -> str:
        """The text of the first choice."""
        deltas = [event for event in self.events if isinstance(event, Delta)]
        return "".join(delta.text for delta in deltas if delta.index == 0)

    @property
    def end(self) -> Event:
        """The last event."""
        return self.events[-1]

    @property
    def failure(self) -> str | None:
        """The code of a failure."""
        return self.end.code if isinstance(self.end, Failed) else None

    @property
    def finished(self) -> bool:
        """Whether it ended well."""
        return isinstance(self.end, Finished)


class Bench:
    """A scheduler over a tiny model in float32, stepped by hand."""

    def __init__(self, base: Base, *, rows: int = 8, context: int = 256, **limits: int) -> None:
        self.model = Model.load(
            Options(base=base.folder, dtype="float32", context=context, verify=False)
        )
        self.base = base
        decoder = self.model.decoder
        end = self.model.tokenizer.eos_token_id
        self.left: list[Request] = []
        self.scheduler = Scheduler(
            decoder,
            decoder.make_slabs(8),
            Detokenizer(self.model.tokenizer),
            Grammars(self.model.tokenizer, decoder.vocabulary, end),
            set(self.model.ends),
            Limits(rows=rows, **limits),
            on_leave=self.left.append,
        )

    def adapter(self, tensors: Tensors, *, scaling: float = 2.0) -> LoadedAdapter:
        """Load an adapter and give it a name by its slot."""
        rank = next(iter(tensors.values()))[0].shape[0]
        place = self.scheduler.slabs.load(tensors, rank=rank, scaling=scaling)
        return LoadedAdapter(f"tenant{place.slot}.a@v1-00000000", "", place)

    def ask(
        self,
        prompt: str | list[int],
        sampling: SamplingParameters = GREEDY,
        *,
        adapter: LoadedAdapter | None = None,
        **more: Any,
    ) -> Heard:
        """Submit a request; step to hear more."""
        heard = Heard()
        ids = self.model.encoder.text_ids(prompt) if isinstance(prompt, str) else prompt
        group = adapter.name.partition(".")[0] if adapter else ""
        more.setdefault("group", group)
        request = Request(ids, heard.events.append, sampling, adapter=adapter, **more)
        self.last = request
        self.scheduler.add(request)
        return heard

    def run(self, *, steps: int | None = None) -> None:
        """Step until there is nothing to do, or `steps` times."""
        count = 0
        while not self.scheduler.idle and (steps is None or count < steps):
            self.scheduler.step()
            count += 1
            assert count < 5000, "the scheduler never comes to rest"

    def alone(self, prompt: str | list[int], *arguments: Any, **more: Any) -> Heard:
        """What a request hears when it is the only one."""
        heard = self.ask(prompt, *arguments, **more)
        self.run()
        return heard


def random_adapter(
    base: Base, seed: int, *, rank: int = 4, strength: float = 0.3, leave_out: Sequence[str] = ()
) -> Tensors:
    """LoRA weights on all linear layers (but those ending in `leave_out`), strong enough to change answers."""
    generator = torch.Generator().manual_seed(seed)
    return {
        module: (
            torch.randn(rank, inputs, generator=generator),
            torch.randn(outputs, rank, generator=generator) * strength,
        )
        for module, (inputs, outputs) in linear_shapes(base).items()
        if not module.endswith(tuple(leave_out) or ("nothing",))
    }


def publish_adapter(
    base: Base,
    folder: Path,
    store: Path,
    *,
    name: str = "acme.support@v1",
    seed: int = 0,
    rank: int = 4,
    change: Callable[[dict[str, Tensor]], None] | None = None,
) -> Published:
    """A random adapter as a published checkpoint; `change` may spoil its tensors first."""
    tensors: dict[str, Tensor] = {}
    for module, (a, b) in random_adapter(base, seed, rank=rank).items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
    if change is not None:
        change(tensors)
    work = folder / f"work-{name}-{seed}"
    work.mkdir(parents=True)
    save_file(tensors, work / "adapter_model.safetensors")
    targets = sorted({module.rpartition(".")[2] for module in linear_shapes(base)})
    config = adapter_config(
        base=base, rank=rank, alpha=2.0 * rank, rslora=False, targets=targets, dropout=0.0
    )
    (work / "adapter_config.json").write_text(json.dumps(config))
    manifest = {
        "kind": "adapter",
        "name": name,
        "base": {"name": base.name, "digest": base.digest},
        "rank": rank,
        "alpha": 2.0 * rank,
        "rslora": False,
        "targets": targets,
    }
    return publish(work, store, manifest)
