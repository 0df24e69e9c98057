"""safetensors files as they are offered: headers checked before any tensor is read."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Any

from .bases import Base
from .errors import EngineError
from .files import open_regular, parse_json

_HEADER_LIMIT = 16 * 1024 * 1024


def linear_shapes(base: Base) -> dict[str, tuple[int, int]]:
    """{module path: (in, out)} of every linear layer inside the blocks of a base, from its file headers."""
    shapes: dict[str, tuple[int, int]] = {}
    for path in sorted(base.folder.glob("*.safetensors")):
        for key, entry in read_header(path).items():
            # Only numbered blocks hold layers that adapters may touch; not the embeddings, not the head.
            if not re.search(r"\.\d+\.", key) or not key.endswith(".weight"):
                continue
            if len(entry["shape"]) == 2:
                first, second = entry["shape"]
                module = key.removesuffix(".weight")
                conv1d = base.architecture == "gpt2"
                shapes[module] = (first, second) if conv1d else (second, first)
    return shapes


def read_header(path: Path) -> dict[str, Any]:
    """{tensor: {"dtype", "shape", "data_offsets"}} of a safetensors file, checked before any tensor is read.

    A header that promises more than the file holds, overlaps or leaves holes is refused, in the memory of
    the header alone.
    """
    with os.fdopen(open_regular(path), "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        prefix = handle.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(_HEADER_LIMIT, size - 8):
            raise EngineError("checkpoint_unreadable", f"{path.name}: the header lies")
        try:
            header = parse_json(handle.read(length), what=path.name)
            entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
            spans = sorted(tuple(entry["data_offsets"]) for entry in entries.values())
            shaped = all(
                all(isinstance(side, int) and side >= 0 for side in entry["shape"])
                for entry in entries.values()
            )
        except (EngineError, AttributeError, KeyError, TypeError) as error:
            raise EngineError("checkpoint_unreadable", f"{path.name}: {error}") from error
    position = 0
    for start, end in spans:
        if start != position or end < start:
            raise EngineError(
                "checkpoint_unreadable", f"{path.name}: tensors overlap or leave holes"
            )
        position = end
    if not shaped or position != size - 8 - length:
        raise EngineError("checkpoint_unreadable", f"{path.name}: the header lies")
    return entries
