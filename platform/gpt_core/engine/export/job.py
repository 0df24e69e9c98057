"""An export's folder: what is asked (`export.json`), and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..files import read_json

SPEC = "export.json"
EVENTS = "export-events.jsonl"
RESULT = "result.json"
KINDS = ("adapter", "merged", "gguf")
#: How exactly weights are stored. An adapter keeps what it was published with.
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ExportSpec:
    """The content of `export.json`."""

    kind: str
    precision: str
    base: Path
    checkpoint: Path
    #: The folder to make: the file and result.json. Written aside and renamed once.
    target: Path
    fencing_token: int


def read_spec(folder: Path) -> ExportSpec:
    """The spec of a job folder; raises EngineError("export_spec_invalid") with a pointer."""
    try:
        document = read_json(folder / SPEC)
    except OSError as error:
        raise EngineError("export_spec_invalid", f"{SPEC}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != 1:
        raise _invalid("format", "expected an object of format 1")
    if document.get("kind") not in KINDS:
        raise _invalid("kind", f"expected one of {KINDS}")
    if document.get("precision") not in PRECISIONS:
        raise _invalid("precision", f"expected one of {PRECISIONS}")
    token = document.get("fencing_token")
    if type(token) is not int or token < 0:
        raise _invalid("fencing_token", "expected a whole number")
    return ExportSpec(
        kind=document["kind"],
        precision=document["precision"],
        base=_path(document, "base"),
        checkpoint=_path(document, "checkpoint"),
        target=_path(document, "target"),
        fencing_token=token,
    )


def _path(document: dict[str, Any], key: str) -> Path:
    value = document.get(key)
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise _invalid(key, "expected an absolute path")
    return Path(value)


def _invalid(key: str, detail: str) -> EngineError:
    return EngineError("export_spec_invalid", detail, pointer=f"/{key}")
