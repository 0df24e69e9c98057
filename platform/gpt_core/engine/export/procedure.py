"""One export from its spec to its folder: write, hash, read anew, prove, rename."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..checkpoint import sweep_unfinished
from ..errors import EngineError
from ..evaluation.events import EventLog, Progress
from ..files import disk_faults, dump_json, folder_aside, rename_folder, sha256_of, write_whole
from . import proof
from .archives import pack, unpack, write_adapter, write_merged
from .gguf_file import write_gguf
from .job import RESULT, ExportSpec
from .source import Source

_TOTAL = 100.0
# Writing is quick beside two models' answers.
_WRITING = 0.3


def export(spec: ExportSpec, events: EventLog) -> dict[str, Any]:
    """Make `spec.target`, whole or not at all; returns the content of its result.json.

    Raises EngineError: of opening, of writing (export_..., disk_full) and of the proof.
    """
    source = Source.open(spec.base, spec.checkpoint)
    progress = Progress(events, _TOTAL)
    told = [0.0]

    def report(share: float) -> None:
        progress.add(max(0.0, share * _TOTAL - told[0]))
        told[0] = max(told[0], share * _TOTAL)

    spec.target.parent.mkdir(parents=True, exist_ok=True)
    sweep_unfinished(spec.target.parent)
    with disk_faults(), folder_aside(spec.target.parent) as aside:
        path, read = _written(spec, source, aside, lambda share: report(share * _WRITING))
        digest, size = sha256_of(path)
        found = proof.prove(
            source,
            read,
            "float32" if spec.kind == "adapter" else spec.precision,
            lambda share: report(_WRITING + share * (1 - _WRITING)),
        )
        result = {
            "format": 1,
            "file": path.name,
            "size": size,
            "sha256": digest,
            "proof": found | {"precision": spec.precision},
        }
        for part in aside.iterdir():
            if part != path:
                shutil.rmtree(part)
        write_whole(aside / RESULT, dump_json(result))
        # An earlier attempt that was lost after its rename was never offered.
        shutil.rmtree(spec.target, ignore_errors=True)
        if not rename_folder(aside, spec.target):
            raise EngineError("export_exists", spec.target.name)
    report(1.0)
    return result


def _written(
    spec: ExportSpec, source: Source, aside: Path, report: Callable[[float], None]
) -> tuple[Path, Callable[[], proof.Reading]]:
    """The file, and how to read it as its receiver would."""
    name = source.checkpoint.name
    if spec.kind == "gguf":
        path = aside / f"{name}-{_SHORT[spec.precision]}.gguf"
        write_gguf(source, path, spec.precision, report)
        return path, lambda: proof.read_gguf(path)
    folder = aside / "files"
    folder.mkdir()
    if spec.kind == "adapter":
        write_adapter(source, folder, report)
        path = aside / f"{name}-adapter.zip"
    else:
        write_merged(source, folder, spec.precision, report)
        path = aside / f"{name}-merged-{_SHORT[spec.precision]}.zip"
    pack(folder, path)
    shutil.rmtree(folder)
    if spec.kind == "adapter":
        return path, lambda: proof.read_adapter_folder(unpack(path, aside / "read"), source)
    return path, lambda: proof.read_merged(unpack(path, aside / "read"))


_SHORT = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
