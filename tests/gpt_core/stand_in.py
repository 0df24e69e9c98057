"""A process in the engine's place that misbehaves on order: `python stand_in.py HOW MODULE ARGUMENTS...`.

The engine itself is tested with the real programs; this one is for the shapes of fault that a sound
program does not show.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STEPS = 4


def main() -> None:
    how, module, *arguments = sys.argv[1:]
    if module == "publication":
        publish(how, *(Path(one) for one in arguments))
    elif module == "evaluation":
        Process(how, Path(arguments[0]), "evaluation.json", "evaluation-events.jsonl").evaluate()
    elif module == "export":
        Process(how, Path(arguments[0]), "export.json", "export-events.jsonl").export()
    else:
        Process(how, Path(arguments[0]), "spec.json", "events.jsonl").train()


class Process:
    def __init__(self, how: str, folder: Path, spec: str, events: str) -> None:
        self.how = how
        self.folder = folder
        self.token = json.loads((folder / spec).read_text())["fencing_token"]
        self.events = folder / events

    def say(self, type_: str, **figures: Any) -> None:
        event = {"type": type_, "token": self.token, "t": time.time(), **figures}
        with self.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")

    def train(self) -> None:
        match self.how:
            case "crash":
                sys.exit("Traceback: 内存不足 out of memory")
            case "killed":
                import os

                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                grandchild = subprocess.Popen(
                    [sys.executable, "-c", "import time; time.sleep(600)"]
                )
                (self.folder / "grandchild.pid").write_text(str(grandchild.pid))
                time.sleep(600)
            case "lie":
                sys.exit(0)
            case "borrow":  # says the end in another attempt's name
                self.token -= 1
                self.say("finished", best_step=1, best_loss=0.1, steps=1)
                sys.exit(0)
            case "user":
                self.say(
                    "failed", code="row_without_labels", detail="没有标签", line=7,
                    pointer="/messages/1", whose="user",
                )  # fmt: skip
                sys.exit(2)
            case "system":
                self.say("failed", code="disk_full", detail="no space", whose="system")
                sys.exit(3)
            case "flood":
                line = b"x" * 100_000 + b"\n"
                with self.events.open("ab") as file:
                    while True:
                        file.write(line)
                        sys.stdout.buffer.write(line)
            case "nonsense":
                self.nonsense()
            case "slow":
                self.slow()
            case "steady":
                self.steady()
            case "progress-crash":
                done = self.folder / "attempts"
                number = len(done.read_text()) if done.exists() else 0
                done.write_text("x" * (number + 1))
                if number < STEPS:
                    self.say("saved", step=number + 1, folder="state", best=True)
                    sys.exit(1)
        self.finish()

    def slow(self) -> None:
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
        self.say("started", resumed_from_step=0)
        (self.folder / "runs.txt").open("a").write(f"{self.token}\n")
        for step in range(1, 601):
            self.say("train", step=step, loss=5.0 / step)
            self.say("progress", step=step, steps=600, tokens=step, eta_seconds=1.0)
            time.sleep(0.1)
            if stopped:
                self.say("saved", step=step, folder="state", best=True)
                self.say("stopped", step=step)
                sys.exit(4)

    def steady(self) -> None:
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
        for _tick in range(15):
            time.sleep(0.1)
            if stopped:
                self.say("stopped", step=0)
                sys.exit(4)

    def nonsense(self) -> None:
        with self.events.open("ab") as file:
            file.write(b'\xff\xfe no json\n{"type":\n[1,2]\n{"type": 3}\n\n')
            file.write(b'{"type": "train", "step": NaN, "loss": 1}\n')
            file.write(b'{"type": "train", "step": -4, "loss": 1, "token": 1}\n')
            file.write(b'{"type": "train", "step": 99999999999999999999999, "loss": 1}\n')
            file.write(b'{"type": "train", "step": 1, "loss": 1e999}\n')
            file.write(b'{"type": "progress", "step": "drop table", "steps": null, "token": 1}\n')
            file.write(b'{"type": "log", "level": "' + b"w" * 50_000 + b'", "code": "' + b"c" * 999)
            file.write(b'"}\n{"type": "parameters", "chosen": [], "reasons": "\\u0000"}\n')

    def finish(self) -> None:
        (self.folder / "runs.txt").open("a").write(f"{self.token}\n")
        best = self.folder / "best"
        best.mkdir(exist_ok=True)
        (best / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8}))
        self.say("parameters", chosen={"rank": 4}, reasons={"rank": "small_data"})
        for step in range(1, STEPS + 1):
            self.say("train", step=step, loss=1.0 / step, learning_rate=0.1, token_accuracy=0.5)
            self.say("progress", step=step, steps=STEPS, tokens=step * 10, tokens_per_second=5.0)
        self.say("validation", step=STEPS, loss=0.5, token_accuracy=0.6, best=True)
        self.say("saved", step=STEPS, folder="state", best=True)
        self.say("finished", best_step=STEPS, best_loss=0.5, steps=STEPS, trained_tokens=40)
        print("trained 完成")  # noqa: T201

    def evaluate(self) -> None:
        if self.how == "crash":
            sys.exit(1)
        self.say("progress", done=1, total=2, eta_seconds=1.0)
        figures = {"loss": 1.0, "overlong_share": 0.0, "repetition": 0.0, "copied_share": 0.0,
                   "empty_share": 0.0}  # fmt: skip
        report = {
            "format": 1,
            "n": 40,
            "models": {"base": figures | {"loss": 2.0}, "candidate": figures},
            "differences": {
                "candidate_minus_base": {"loss": {"mean": -1.0, "low": -1.2, "high": -0.8, "n": 40}}
            },
            "metrics": {"loss": {"better": "lower"}},
            "slices": {},
            "samples": [
                {"id": "1", "prompt": "退货？", "reference": "好", "base": "?", "candidate": "好"}
            ],
            "seconds": 1.0,
        }
        (self.folder / "report.json").write_text(json.dumps(report))
        self.say("progress", done=2, total=2, eta_seconds=0.0)
        self.say("finished")

    def export(self) -> None:
        if self.how == "crash":
            sys.exit(1)
        if self.how == "slow":
            return self.slow()
        if self.how == "user":
            self.say("failed", code="export_gguf_tokenizer", detail="Unigram", whose="user")
            sys.exit(2)
        self.say("progress", done=40, total=100, eta_seconds=2.0)
        target = Path(json.loads((self.folder / "export.json").read_text())["target"])
        target.mkdir(parents=True, exist_ok=True)
        content = "GGUF 出口".encode()
        (target / "it.gguf").write_bytes(content)
        result = {
            "format": 1,
            "file": "../it.gguf" if self.how == "misname" else "it.gguf",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "proof": {"prompts": 16, "same_answers": 16, "near_ties": 0, "max_difference": 0.0},
        }
        (target / "result.json").write_text(json.dumps(result))
        self.say("progress", done=100, total=100, eta_seconds=0.0)
        self.say("finished", **result)


def publish(how: str, best: Path, store: Path, manifest: Path, answer: Path) -> None:
    document = json.loads(manifest.read_text())
    weights = hashlib.sha256((best / "adapter_config.json").read_bytes()).hexdigest()
    document["name"] += f"-{weights[:8]}"
    content = json.dumps(document)
    digest = hashlib.sha256(content.encode()).hexdigest()
    (store / digest).mkdir(parents=True, exist_ok=True)
    (store / digest / "manifest.json").write_text(content)
    if how == "unpublished":
        sys.exit(0)
    name = "somebody.else@v1-00000000" if how == "misname" else document["name"]
    answer.write_text(json.dumps({"name": name, "digest": digest, "folder": str(store / digest)}))


main()
