"""Adapter and merged weights as one zip file each: what peft and transformers load, and a README."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..bases import MANIFEST as BASE_MANIFEST
from ..checkpoint import ADAPTER_FILES
from ..checkpoint import MANIFEST as CHECKPOINT_MANIFEST
from ..errors import EngineError
from ..files import copy_file, dump_json, list_files, read_json, sync_file, write_whole
from .source import Source

Report = Callable[[float], None]
_KEPT = frozenset({"config.json", BASE_MANIFEST, CHECKPOINT_MANIFEST})
# A zip's own moment would make two exports of one checkpoint differ.
_MOMENT = (1980, 1, 1, 0, 0, 0)


def write_adapter(source: Source, folder: Path, report: Report) -> None:
    """The PEFT files as they were published, the manifest, and how to load them."""
    if source.adapter is None:
        raise EngineError("export_no_adapter", "a full fine-tune has no adapter")
    for name in sorted(ADAPTER_FILES | {CHECKPOINT_MANIFEST}):
        copy_file(source.checkpoint.folder / name, folder / name)
    write_whole(folder / "README.md", _adapter_readme(source).encode())
    report(1.0)


def write_merged(source: Source, folder: Path, precision: str, report: Report) -> None:
    """A folder that AutoModelForCausalLM loads: merged in float32, rounded once to `precision`."""
    dtype = getattr(torch, precision)
    shards = source.shards
    for done, shard in enumerate(shards, 1):
        tensors = {name: finite(name, tensor, dtype) for name, tensor in source.tensors_of(shard)}
        save_file(tensors, folder / shard.name, metadata={"format": "pt"})
        (folder / shard.name).chmod(0o644)
        sync_file(folder / shard.name)
        report(done / len(shards))
    for name in list_files(source.base.folder):
        if name not in _KEPT and not name.endswith(".safetensors"):
            copy_file(source.base.folder / name, folder / name)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        _correct_index(index, folder, shards)
    write_whole(folder / "config.json", dump_json(source.config | {"dtype": precision}))
    write_whole(folder / "README.md", _merged_readme(source, precision).encode())


def pack(folder: Path, archive: Path) -> None:
    """A folder's files as one zip, stored: weights do not shrink."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
        for name in list_files(folder):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = 0o644 << 16
            size = (folder / name).stat().st_size
            with (
                (folder / name).open("rb") as reader,
                packed.open(entry, "w", force_zip64=size >= 1 << 31) as writer,
            ):
                shutil.copyfileobj(reader, writer, 1 << 20)
    sync_file(archive)


def unpack(archive: Path, folder: Path) -> Path:
    """What a customer has after unpacking; only plain names of our own making are in it."""
    folder.mkdir()
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            if Path(entry.filename).name != entry.filename:
                raise EngineError("export_unreadable", entry.filename[:100])
            packed.extract(entry, folder)
    return folder


def finite(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The tensor as it is stored; a weight that the type cannot hold ends the export."""
    stored = tensor.to(dtype).contiguous()
    if not torch.isfinite(stored).all():
        raise EngineError("export_out_of_range", f"{name} does not fit {dtype}")
    return stored


def _correct_index(index: Path, folder: Path, shards: list[Path]) -> None:
    """The index of a model in several files says their size in bytes, which the precision changes."""
    document = read_json(index)
    size = sum((folder / shard.name).stat().st_size for shard in shards)
    document["metadata"] = dict(document.get("metadata") or {}) | {"total_size": size}
    write_whole(index, dump_json(document))


def _adapter_readme(source: Source) -> str:
    assert source.adapter is not None
    return f"""# {source.checkpoint.name}

A LoRA adapter (rank {source.adapter.rank}) in PEFT's format. It is exact on this base alone:

    {source.base.name}
    sha256 {source.base.digest}

Load it with PEFT:

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(BASE_FOLDER)
    model = PeftModel.from_pretrained(base, THIS_FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(BASE_FOLDER)

or with vLLM:

    vllm serve BASE_FOLDER --enable-lora --lora-modules {source.checkpoint.name}=THIS_FOLDER

manifest.json names the dataset, the job and the parameters that it was made with.
Licence of the base model: {source.base.licence or "unknown"}.
"""


def _merged_readme(source: Source, precision: str) -> str:
    return f"""# {source.checkpoint.name}

A whole model in the layout of Hugging Face: weights as safetensors ({precision}), tokenizer, chat template.
The adapter was added to the base model {source.base.name} in float32 and rounded once.

    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(THIS_FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(THIS_FOLDER)

Write prompts with tokenizer.apply_chat_template(messages, add_generation_prompt=True): it is the template that
the model was trained with. Licence of the base model: {source.base.licence or "unknown"}.
"""
