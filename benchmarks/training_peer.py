"""trl.SFTTrainer as a worker: reads commands from standard input, answers in JSON lines.

Runs in an environment of its own (benchmarks/training.py makes it), because trl is no part of the product.
A command is {"settings": {...}, "steps": n}; the answer {"tokens", "seconds", "loss"} of the steps after the first,
tokens without padding.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

disable_progress_bars()
_LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Meter(TrainerCallback):
    """Counts useful tokens and the seconds of whole steps; the first step warms up."""

    def __init__(self) -> None:
        self.tokens = 0
        self.pending = 0
        self.seconds = 0.0
        self.started: float | None = None

    def on_step_end(self, *arguments: Any, **named: Any) -> None:
        now = time.perf_counter()
        if self.started is not None:
            self.tokens += self.pending
            self.seconds += now - self.started
        self.pending = 0
        self.started = now


class CountingTrainer(SFTTrainer):
    """SFTTrainer that tells the meter how many tokens of a batch are not padding."""

    meter: Meter

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        attention = inputs.get("attention_mask")
        counted = inputs["input_ids"].numel() if attention is None else int(attention.sum())
        self.meter.pending += counted
        return super().training_step(model, inputs, *rest, **named)


def make_trainer(job: dict[str, Any], settings: dict[str, Any], steps: int) -> CountingTrainer:
    settings = dict(settings)
    settings.pop("name", None)
    full_precision_adapters = settings.pop("fp32_adapters", False)
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.bfloat16)
    lora = LoraConfig(
        r=job["rank"], lora_alpha=2 * job["rank"], target_modules=_LINEARS, task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, lora, autocast_adapter_dtype=full_precision_adapters)
    rows = [json.loads(line) for line in Path(job["rows"]).read_text("utf-8").splitlines()]
    data = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in rows
        ]
    )
    config = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=steps,
        learning_rate=1e-3,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        gradient_checkpointing=False,
        completion_only_loss=True,
        disable_tqdm=True,
        dataloader_num_workers=0,
        seed=1,
        **settings,
    )
    trainer = CountingTrainer(
        model=model, args=config, train_dataset=data, processing_class=tokenizer
    )
    trainer.meter = Meter()
    trainer.add_callback(trainer.meter)
    trainer.remove_callback(PrinterCallback)
    return trainer


def main() -> None:
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print is no answer
    trainers: dict[str, CountingTrainer] = {}
    for line in sys.stdin:
        command = json.loads(line)
        name = command["settings"]["name"]
        try:
            if name not in trainers:
                trainers[name] = make_trainer(job, command["settings"], command["steps"])
            trainer = trainers[name]
            trainer.meter.__init__()  # type: ignore[misc]
            trainer.args.max_steps = command["steps"]
            trainer.train()
            answer: dict[str, Any] = {
                "tokens": trainer.meter.tokens,
                "seconds": trainer.meter.seconds,
            }
        except Exception as error:  # a setting that this machine cannot run is an answer too
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
