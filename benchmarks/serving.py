"""Serving: 32 streams over 8 adapters in one batch, beside PEFT and transformers on the same machine.

    python -m benchmarks.serving [--rounds 3] [--tokens 48] [--only SECTION ...]

Compared, all in bfloat16 where the processor has it, rank 8 on all linear layers, greedy, the same prompts:
  mixed    the engine with 8 and 16 adapters against PEFT's `adapter_names` and against itself without adapters
  single   one stream of the engine (packed bf16, and 8-bit weights) against transformers' `generate`
  parity   greedy tokens in the mixed batch against each tenant alone, in float32 and in bfloat16
  memory   resident memory with 64 adapters and keys and values for 32 sequences of 512 tokens
Decode speed counts the tokens after the first of each stream; peers and engine take turns, medians are given.
The base is the packaged SmolLM2-135M-Instruct under PARLEY_HOME, prepared if it is not there.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "platform"))

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from benchmarks.figures import print_figures, print_table  # noqa: E402
from gpt_core.engine.bases import Base, load_model, load_tokenizer, prepare_base  # noqa: E402
from gpt_core.engine.checkpoint import adapter_config, linear_shapes, read_adapter  # noqa: E402
from gpt_core.engine.formats import encoder_of  # noqa: E402
from gpt_core.engine.serving.attention import Scratch, Segment, causal_mask  # noqa: E402
from gpt_core.engine.serving.constraints import Grammars  # noqa: E402
from gpt_core.engine.serving.decoder import Step  # noqa: E402
from gpt_core.engine.serving.engine import Model, Options  # noqa: E402
from gpt_core.engine.serving.requests import (  # noqa: E402
    Delta,
    LoadedAdapter,
    Request,
    SamplingParameters,
)
from gpt_core.engine.serving.scheduler import Limits, Scheduler  # noqa: E402
from gpt_core.engine.serving.text import Detokenizer  # noqa: E402

STREAMS = 32
RANK = 8
SECTIONS = ("mixed", "single", "parity", "memory")
# Two candidates closer than this are a tie to bfloat16, whose steps at a logit of 16 are 0.125.
NEAR_TIE = 0.25
QUESTIONS = (
    "How do I return a pair of shoes that do not fit?",
    "请问退货需要多久？",
    "Write a short note to a customer whose parcel is two days late.",
    "What is the difference between a guarantee and a warranty? Explain it with one example.",
    "List three reasons why our opening hours changed.",
    "Is the battery of this phone replaceable?",
    "Tell me about the history of the town of Zaragoza.",
    "My order number is 18-2240. Where is it now, and when will it arrive?",
)


@dataclass
class Bench:
    """The engine's scheduler over the real base, without HTTP."""

    model: Model
    scheduler: Scheduler
    adapters: list[LoadedAdapter]

    @classmethod
    def make(
        cls, base: Base, folders: Sequence[Path], *, dtype: str, weights: Any = "auto"
    ) -> Bench:
        """Load the base and the adapters in `folders`."""
        model = Model.load(Options(base=base.folder, dtype=dtype, weights=weights, verify=False))
        decoder, end = model.decoder, model.tokenizer.eos_token_id
        scheduler = Scheduler(
            decoder,
            decoder.make_slabs(64),
            Detokenizer(model.tokenizer),
            Grammars(model.tokenizer, decoder.vocabulary, end),
            set(model.ends),
            # All prompts in one step, so that every stream decodes in every step that is timed.
            Limits(rows=STREAMS, chunk_beside_rows=4096, chunk_alone=4096),
        )
        adapters = []
        for folder in folders:
            own = read_adapter(folder, base, name=folder.name, digest=folder.name)
            place = scheduler.slabs.load(own.tensors, rank=own.rank, scaling=own.scaling)
            adapters.append(LoadedAdapter(folder.name, folder.name, place))
        return cls(model, scheduler, adapters)

    def decode(
        self, prompts: Sequence[list[int]], tokens: int, adapters: int
    ) -> tuple[float, list[list[int]]]:
        """(tokens per second after the first ones, the tokens of each stream)."""
        heard: list[list[Any]] = [[] for _ in prompts]
        sampling = SamplingParameters(temperature=0, max_tokens=tokens, ignore_eos=True)
        for place, prompt in enumerate(prompts):
            adapter = self.adapters[place % adapters] if adapters else None
            self.scheduler.add(Request(prompt, heard[place].append, sampling, adapter=adapter))
        scheduler, spent, written = self.scheduler, 0.0, 0
        while not scheduler.idle:
            read, before = scheduler.tally.read, scheduler.tally.written
            full = scheduler.store.used == len(prompts)
            started = time.perf_counter()
            scheduler.step()
            if full and scheduler.tally.read == read:
                spent += time.perf_counter() - started
                written += scheduler.tally.written - before
        found = [
            [token for event in own if isinstance(event, Delta) for token in event.tokens]
            for own in heard
        ]
        return written / spent, found


class Peft:
    """PEFT with all adapters as modules, rows told apart by `adapter_names`."""

    def __init__(self, base: Base, folders: Sequence[Path], dtype: torch.dtype) -> None:
        from peft import PeftModel

        model = load_model(base, dtype)
        self._plain = model
        self._model = PeftModel.from_pretrained(
            model, str(folders[0]), adapter_name=folders[0].name
        )
        for folder in folders[1:]:
            self._model.load_adapter(str(folder), adapter_name=folder.name)
        self._model.eval()
        self._names = [folder.name for folder in folders]

    def decode(self, prompts: Sequence[list[int]], tokens: int, adapters: int) -> float:
        """Tokens per second after the first ones."""
        names = [self._names[place % adapters] for place in range(len(prompts))]
        return generated_rate(self._model, prompts, tokens, adapter_names=names)


def generated_rate(model: Any, prompts: Sequence[list[int]], tokens: int, **more: Any) -> float:
    """Decode speed of a transformers-like `generate`: the time of `tokens` less the time of one."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[2] * (longest - len(own)) + own for own in prompts])
    mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in prompts])

    def seconds(count: int) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                min_new_tokens=count,
                max_new_tokens=count,
                pad_token_id=2,
                **more,
            )
        return time.perf_counter() - started

    first = seconds(1)
    return len(prompts) * (tokens - 1) / (seconds(tokens) - first)


def make_adapters(base: Base, folder: Path, count: int) -> list[Path]:
    """PEFT folders with random weights, strong enough that every tenant answers differently."""
    shapes = linear_shapes(base)
    targets = sorted({module.rpartition(".")[2] for module in shapes})
    config = adapter_config(
        base=base, rank=RANK, alpha=2.0 * RANK, rslora=False, targets=targets, dropout=0.0
    )
    folders = []
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        tensors = {}
        for module, (inputs, outputs) in shapes.items():
            key = f"base_model.model.{module}.lora_"
            tensors[f"{key}A.weight"] = torch.randn(RANK, inputs, generator=generator) / math.sqrt(
                inputs
            )
            tensors[f"{key}B.weight"] = torch.randn(outputs, RANK, generator=generator) * 0.02
        own = folder / f"tenant{number}"
        own.mkdir()
        save_file(
            {key: value.bfloat16() for key, value in tensors.items()},
            own / "adapter_model.safetensors",
        )
        (own / "adapter_config.json").write_text(json.dumps(config))
        folders.append(own)
    return folders


def prompts_for(base: Base, count: int) -> list[list[int]]:
    """Conversations of different lengths, in two languages."""
    encoder = encoder_of(load_tokenizer(base))
    texts = [f"{QUESTIONS[place % len(QUESTIONS)]} ({place})" for place in range(count)]
    return [encoder.conversation([{"role": "user", "content": text}]) for text in texts]


def median_rates(
    contestants: dict[str, Callable[[], float]], rounds: int, rare: Sequence[str] = ()
) -> dict[str, float]:
    """Medians of interleaved runs; those in `rare` are slow and run in the first round alone."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        for name, run in contestants.items():
            if turn == 0 or name not in rare:
                found[name].append(run())
                print(f"  round {turn + 1}  {name:<28} {found[name][-1]:8.1f} tokens/s", flush=True)
    return {name: statistics.median(rates) for name, rates in found.items()}


def measure_mixed(base: Base, folders: list[Path], rounds: int, tokens: int) -> dict[str, float]:
    """32 streams: without adapters, with 8, with 16; PEFT with 8."""
    bench, prompts = Bench.make(base, folders, dtype="auto"), prompts_for(base, STREAMS)
    peft = Peft(base, folders[:8], bench.model.decoder.dtype)
    bench.decode(prompts, 4, 8)
    rates = median_rates(
        {
            "engine, no adapters": lambda: bench.decode(prompts, tokens, 0)[0],
            "engine, 8 adapters": lambda: bench.decode(prompts, tokens, 8)[0],
            "engine, 16 adapters": lambda: bench.decode(prompts, tokens, 16)[0],
            "PEFT adapter_names, 8": lambda: peft.decode(prompts, min(tokens, 16), 8),
        },
        rounds,
    )
    plain, eight, sixteen, peer = rates.values()
    return {
        "base_tokens_per_second": plain,
        "mixed_tokens_per_second": eight,
        "mixed16_tokens_per_second": sixteen,
        "peft_tokens_per_second": peer,
        "mixed_over_peft": eight / peer,
        "mixed_over_base": eight / plain,
        "mixed16_over_base": sixteen / plain,
    }


def measure_single(base: Base, rounds: int, tokens: int) -> dict[str, float]:
    """One stream without adapters."""
    packed = Bench.make(base, [], dtype="auto")
    small = Bench.make(base, [], dtype="auto", weights="int8")
    plain = load_model(base, packed.model.decoder.dtype)
    prompts = prompts_for(base, 1)
    rates = median_rates(
        {
            "engine, packed bf16": lambda: packed.decode(prompts, tokens, 0)[0],
            "engine, 8-bit weights": lambda: small.decode(prompts, tokens, 0)[0],
            "transformers generate": lambda: generated_rate(plain, prompts, tokens),
        },
        rounds,
    )
    exact, short, peer = rates.values()
    losses = [mean_loss(bench, base) for bench in (packed, small)]
    return {
        "single_tokens_per_second": exact,
        "single_int8_tokens_per_second": short,
        "transformers_tokens_per_second": peer,
        "single_over_transformers": max(exact, short) / peer,
        "single_bf16_over_transformers": exact / peer,
        "single_int8_over_transformers": short / peer,
        "loss": losses[0],
        "loss_int8": losses[1],
        "loss_transformers": reference_loss(plain, base),
    }


@torch.inference_mode()
def mean_loss(bench: Bench, base: Base) -> float:
    """Mean negative log-likelihood of a text read token by token, as single-stream decoding computes it."""
    decoder, slabs = bench.model.decoder, bench.scheduler.slabs
    ids = _sample_text(base)
    scratch, total = Scratch(decoder.shape, len(ids)), 0.0
    for place in range(len(ids) - 1):
        segment = Segment(scratch, place, 1, causal_mask(1, place, decoder.dtype))
        here = torch.tensor([place])
        step = Step(
            torch.tensor([ids[place]]),
            here,
            [],
            slabs.step([]),
            [(segment, None)],
            torch.tensor([0]),
        )
        logits = decoder.forward(step, slabs)[0].float()
        total -= float(torch.log_softmax(logits, dim=-1)[ids[place + 1]])
    return total / (len(ids) - 1)


@torch.inference_mode()
def reference_loss(model: Any, base: Base) -> float:
    """The same figure by transformers."""
    ids = torch.tensor([_sample_text(base)])
    logits = model(ids).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:]))


def _sample_text(base: Base) -> list[int]:
    words = (ROOT / "README.md").read_text(encoding="utf-8")[:1200]
    return encoder_of(load_tokenizer(base)).text_ids(words)[:200]


def measure_parity(base: Base, folders: list[Path], tokens: int) -> dict[str, int]:
    """Greedy tokens of the mixed batch against each tenant alone."""
    prompts, figures = prompts_for(base, STREAMS), {}
    for dtype, key in (("float32", "parity_failures"), ("bfloat16", "parity_failures_bf16")):
        bench = Bench.make(base, folders[:8], dtype=dtype)
        _, mixed = bench.decode(prompts, tokens, 8)
        failures = ties = 0
        for place, prompt in enumerate(prompts):
            alone = _alone(bench, prompt, tokens, bench.adapters[place % 8])
            chosen = [token for token, _ in alone]
            differs = next((at for at in range(tokens) if chosen[at] != mixed[place][at]), None)
            if differs is not None:
                near = alone[differs][1].get(mixed[place][differs], -math.inf)
                tie = alone[differs][1][chosen[differs]] - near <= NEAR_TIE
                ties += tie and dtype == "bfloat16"
                failures += not tie or dtype == "float32"
        figures[key] = failures
        if dtype == "bfloat16":
            figures["near_ties_bf16"] = ties
        different = len({tuple(own) for own in mixed})
        print(f"  {dtype}: {failures} failures, {ties} near-ties, {different} different answers")
        del bench
        gc.collect()
    return figures


def _alone(
    bench: Bench, prompt: list[int], tokens: int, adapter: LoadedAdapter
) -> list[tuple[int, dict[int, float]]]:
    """Per token: itself, and the log-probabilities of the likeliest five."""
    heard: list[Any] = []
    sampling = SamplingParameters(temperature=0, max_tokens=tokens, ignore_eos=True, logprobs=5)
    bench.scheduler.add(Request(prompt, heard.append, sampling, adapter=adapter))
    while not bench.scheduler.idle:
        bench.scheduler.step()
    return [
        (own.token, dict(own.top))
        for event in heard
        if isinstance(event, Delta)
        for own in event.logprobs
    ]


def measure_memory() -> dict[str, float]:
    """Run the whole engine process's parts in a child and read its resident memory."""
    command = [sys.executable, "-m", "benchmarks.serving", "--fill-memory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@torch.inference_mode()
def fill_memory(base: Base, folders: list[Path]) -> dict[str, float]:
    """The engine with its web server, 64 adapters and 32 rows of 512 tokens; returns megabytes."""
    from gpt_core.engine.serving.application import create_application
    from gpt_core.engine.serving.engine import Engine

    engine = Engine(Options(base=base.folder))
    create_application(engine)
    slabs = engine.scheduler.slabs
    for number in range(64):
        own = read_adapter(folders[number % len(folders)], base, name="a", digest="a")
        slabs.load(own.tensors, rank=own.rank, scaling=own.scaling)
    ids = (prompts_for(base, 1)[0] * 40)[:511]
    # One prompt with 32 answers: each has keys and values of its own.
    sampling = SamplingParameters(n=STREAMS, max_tokens=64, ignore_eos=True)
    engine.scheduler.add(Request(ids, lambda event: None, sampling))
    while engine.scheduler.store.tokens() < STREAMS * 512:
        engine.scheduler.step()
    status = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if "kB" in line}
    return {
        "resident_mb": round(sizes["VmRSS"]),
        "peak_mb": round(sizes["VmHWM"]),
        "kv_tokens": engine.scheduler.store.tokens(),
        "adapters": 64,
    }


def main() -> None:
    """Measure, print the table and the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--fill-memory", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    home = Path(os.environ.get("PARLEY_HOME", ROOT / "var"))
    base = prepare_base("smollm2-135m-instruct", home / "bases")
    with tempfile.TemporaryDirectory() as folder:
        folders = make_adapters(base, Path(folder), 16)
        if chosen.fill_memory:
            print(json.dumps(fill_memory(base, folders)))
            return
        figures: dict[str, Any] = {
            "streams": STREAMS,
            "rank": RANK,
            "threads": torch.get_num_threads(),
        }
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "mixed": lambda: measure_mixed(base, folders, chosen.rounds, chosen.tokens),
            "single": lambda: measure_single(base, chosen.rounds, chosen.tokens),
            "parity": lambda: measure_parity(base, folders, min(chosen.tokens, 24)),
            "memory": measure_memory,
        }
        for name in SECTIONS:
            if name in chosen.only:
                print(name, flush=True)
                figures |= measures[name]()
    print_table(("figure", "value"), list(figures.items()))
    print_figures(figures)


if __name__ == "__main__":
    main()
