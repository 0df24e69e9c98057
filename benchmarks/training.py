"""Useful tokens per second of fine-tuning: ours against trl.SFTTrainer at its fastest settings here.

    python -m benchmarks.training [--steps 4] [--rounds 3] [--base FOLDER]

Both train LoRA rank 16 on all linear layers of the same base in bfloat16 (the adapters' optimizer state in fp32 on our
side), on the same rows, with the loss on the answers alone, 16 rows a step, on all cores. Padding is not counted.
First every setting of the peer is tried for a few steps, then ours and the peer's fastest take turns; the medians
are compared. trl lives in an environment of its own under PARLEY_HOME, made on the first run.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "platform"))

RANK = 16
ROWS_PER_STEP = 16
PEER = "trl==1.16.0"
# What is known to make trl fast: no padding by grouping or packing, bf16 throughout or with fp32 adapters. Its
# `nll` loss is computed in chunks already. Flash attention does not exist for CPUs.
SETTINGS: list[dict[str, Any]] = [
    {
        "name": "grouped by length, batch 16, bf16 throughout",
        "per_device_train_batch_size": 16,
        "train_sampling_strategy": "group_by_length",
        "bf16": False,
    },
    {
        "name": "grouped by length, batch 16, fp32 adapters, autocast",
        "per_device_train_batch_size": 16,
        "train_sampling_strategy": "group_by_length",
        "bf16": True,
        "fp32_adapters": True,
    },
    {
        "name": "packed (bfd, padding-free), 1 x 1600 tokens, bf16 throughout",
        "per_device_train_batch_size": 1,
        "packing": True,
        "packing_strategy": "bfd",
        "max_length": 1600,
        "bf16": False,
    },
    {
        "name": "packed (wrapped: rows see each other), 8 x 200 tokens, bf16 throughout",
        "per_device_train_batch_size": 8,
        "packing": True,
        "packing_strategy": "wrapped",
        "max_length": 200,
        "bf16": False,
    },
]


def read_rows() -> tuple[list[dict[str, str]], str]:
    """Real questions and answers where the package is installed, else made-up ones of like lengths."""
    try:
        distribution = metadata.distribution("zaragoza-construction-faq")
        file = next(f for f in distribution.files or () if f.name == "faq-en.jsonl")
    except (metadata.PackageNotFoundError, StopIteration):
        chance = random.Random(1)
        words = [
            "permit",
            "roof",
            "drainage",
            "insulation",
            "offer",
            "invoice",
            "weeks",
            "municipality",
            "wall",
        ]
        made = [
            {
                "prompt": "What about " + " ".join(chance.choices(words, k=8)) + "?",
                "completion": " ".join(chance.choices(words, k=chance.randrange(20, 70))) + ".",
            }
            for _ in range(500)
        ]
        return made, "500 made-up rows"
    text = Path(str(distribution.locate_file(file))).read_text("utf-8")
    read = [json.loads(line) for line in text.splitlines()]
    return [{"prompt": row["q"], "completion": row["a"]} for row in read], f"{len(read)} FAQ rows"


@dataclass
class Measured:
    tokens: float
    seconds: float

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


class Ours:
    """The product's own step: learner, clipping, optimizer, on steps of a plan."""

    def __init__(self, base_folder: Path, rows: list[dict[str, str]], threads: int) -> None:
        import torch

        from gpt_core.engine.bases import load_model, load_tokenizer, open_base
        from gpt_core.engine.training.batches import StepPlan
        from gpt_core.engine.training.lora import LoraShape
        from gpt_core.engine.training.optimizers import make_optimizer
        from gpt_core.engine.training.packed import PackedLearner
        from gpt_core.engine.training.rows import example_of

        torch.set_num_threads(threads)
        base = open_base(base_folder)
        tokenizer = load_tokenizer(base)
        self.examples = [example_of(dict(row), tokenizer, 1024) for row in rows]
        self.learner = PackedLearner(
            load_model(base, torch.bfloat16),
            base,
            LoraShape(RANK, 2.0 * RANK, False, 0.0),
            dtype=torch.bfloat16,
            device=torch.device("cpu"),
            seed=1,
        )
        self.optimizer = make_optimizer("adamw", self.learner.weights, 0.01)
        self.plan = StepPlan(len(self.examples), ROWS_PER_STEP, 100, seed=1)
        self.step = 0

    def run(self, steps: int) -> Measured:
        """`steps` steps after one that warms up."""
        self._take_step()
        measured = Measured(0, 0)
        for _ in range(steps - 1):
            start = time.perf_counter()
            measured.tokens += self._take_step()
            measured.seconds += time.perf_counter() - start
        return measured

    def _take_step(self) -> int:
        from gpt_core.engine.training.batches import cut_into_passes
        from gpt_core.engine.training.optimizers import clip

        rows = [self.examples[number] for number in self.plan.rows_of(self.step)]
        self.step += 1
        learned = sum(example.learned for example in rows)
        self.learner.weights.grad.zero_()
        for examples in cut_into_passes(rows, most_rows=ROWS_PER_STEP, most_tokens=2048):
            self.learner.accumulate(examples, scale=1 / learned, smoothing=0.0, seed=self.step)
        clip(self.learner.weights, 1.0)
        self.optimizer.step(1e-3)
        self.learner.refresh()
        return sum(len(example) for example in rows)


class Peer:
    """The worker in trl's environment."""

    def __init__(self, python: Path, base: Path, rows: list[dict[str, str]], threads: int) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as handle:
            handle.write(lines)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the worker
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("training_peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self._send({"base": str(base), "rows": handle.name, "rank": RANK, "threads": threads})

    def run(self, settings: dict[str, Any], steps: int) -> Measured | str:
        """What was measured, or why the setting does not run here."""
        self._send({"settings": settings, "steps": steps})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise SystemExit("the peer died:\n" + self._errors.read()[-3000:])
        answer = json.loads(line)
        return answer.get("error") or Measured(answer["tokens"], answer["seconds"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _send(self, document: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()


def peer_environment(folder: Path) -> Path:
    """A virtual environment with trl in it that shares torch and transformers with ours."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making an environment for {PEER} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    shared = next(folder.glob("lib/python*/site-packages")) / "parley.pth"
    ours = [path for path in sys.path if path.endswith("site-packages")]
    shared.write_text("\n".join(ours) + "\n")
    found = subprocess.run([str(python), "-c", "import trl, datasets"], capture_output=True)
    if found.returncode:
        command = [str(python), "-m", "pip", "install", "-q", PEER, "datasets", "peft"]
        subprocess.run(command, check=True)
    return python


def compare(ours: Ours, peer: Peer, steps: int, rounds: int) -> dict[str, Any]:
    tried: dict[str, float] = {}
    for settings in SETTINGS:
        measured = peer.run(settings, 3)
        rate = 0.0 if isinstance(measured, str) else measured.rate
        tried[settings["name"]] = rate
        said = measured if isinstance(measured, str) else f"{rate:.0f} tokens/s"
        print(f"  trl, {settings['name']}: {said}", flush=True)
    best = max(SETTINGS, key=lambda settings: tried[settings["name"]])
    print(f"trl's fastest here: {json.dumps(best)}\n", flush=True)
    rates: dict[str, list[float]] = {"ours": [], "trl": []}
    for number in range(rounds):
        rates["ours"].append(ours.run(steps).rate)
        theirs = peer.run(best, steps)
        assert isinstance(theirs, Measured)
        rates["trl"].append(theirs.rate)
        print(
            f"  round {number + 1}: {rates['ours'][-1]:.0f} against {rates['trl'][-1]:.0f}",
            flush=True,
        )
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"\n{'':8}{'tokens/s':>10}{'least':>8}{'most':>8}")
    for name, found in rates.items():
        print(f"{name:8}{medians[name]:10.0f}{min(found):8.0f}{max(found):8.0f}")
    return {
        "useful_tokens_over_trl": round(medians["ours"] / medians["trl"], 2),
        "ours_tokens_per_second": round(medians["ours"], 1),
        "trl_tokens_per_second": round(medians["trl"], 1),
        "trl_settings": best,
        "trl_tried": {name: round(rate, 1) for name, rate in tried.items()},
    }


def main() -> None:
    home = Path(os.environ.get("PARLEY_HOME", ROOT / "var"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4, help="steps a turn, the first uncounted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", type=Path, help="a prepared base; the default one otherwise")
    parser.add_argument("--peer", type=Path, default=home / "peers" / "trl")
    chosen = parser.parse_args()
    from gpt_core.engine.bases import prepare_base

    base = chosen.base or prepare_base("smollm2-135m-instruct", home / "bases").folder
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    rows, said = read_rows()
    print(f"{said}, LoRA rank {RANK}, {ROWS_PER_STEP} rows a step, bfloat16, {threads} threads")
    peer = Peer(peer_environment(chosen.peer), base.resolve(), rows, threads)
    ours = Ours(base, rows, threads)
    figures = compare(ours, peer, max(2, chosen.steps), chosen.rounds)
    peer.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
