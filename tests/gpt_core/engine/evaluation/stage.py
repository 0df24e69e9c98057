"""A stage for evaluations: tiny bases, adapters made of random numbers, job folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gpt_core.engine.bases import Base
from gpt_core.engine.checkpoint import adapter_config, linear_shapes, publish


def random_checkpoint(
    base: Base,
    folder: Path,
    *,
    seed: int = 1,
    size: float = 0.05,
    name: str = "acme.support@v1",
    spoil: float | None = None,
) -> Path:
    """A published adapter of rank 4 whose weights are random; `spoil` overwrites one number."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for module, (inputs, outputs) in linear_shapes(base).items():
        a = torch.randn(4, inputs, generator=generator) * size
        b = torch.randn(outputs, 4, generator=generator) * size
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
    if spoil is not None:
        next(iter(tensors.values()))[0, 0] = spoil
    work = folder / f"work-{seed}-{size}"
    work.mkdir(parents=True)
    save_file(tensors, work / "adapter_model.safetensors")
    targets = sorted({module.rpartition(".")[2] for module in linear_shapes(base)})
    config = adapter_config(
        base=base, rank=4, alpha=8.0, rslora=False, targets=targets, dropout=0.0
    )
    (work / "adapter_config.json").write_text(json.dumps(config))
    published = publish(
        work,
        folder / "checkpoints",
        {
            "kind": "adapter",
            "name": name,
            "base": {"name": base.name, "digest": base.digest},
            "rank": 4,
            "alpha": 8.0,
            "rslora": False,
            "targets": targets,
        },
    )
    return published.folder


def chat_row(number: int, question: str, answer: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"row-{number}",
        "line": number,
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
        **more,
    }


def label_row(number: int, text: str, *labels: str) -> dict[str, Any]:
    return {"id": f"row-{number}", "line": number, "text": text, "labels": list(labels)}


def job_folder(
    folder: Path,
    base: Base,
    candidate: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    champion: Path | None = None,
    train_rows: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Path:
    """A job folder ready for the evaluation process."""
    folder.mkdir(parents=True)
    for name, content in (("test.jsonl", rows), ("train.jsonl", train_rows)):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in content]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    spec = {
        "format": 1,
        "base": str(base.folder),
        "candidate": str(candidate),
        "champion": None if champion is None else str(champion),
        "rows": "test.jsonl",
        "train_rows": "train.jsonl",
        "max_new_tokens": "auto",
        "seed": 7,
        "samples": 20,
        "fencing_token": 3,
        **more,
    }
    (folder / "evaluation.json").write_text(json.dumps(spec))
    return folder


def events_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "evaluation-events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
