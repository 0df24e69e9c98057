"""A prepared base: its identity, its files checked, its model and tokenizer read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..files import describe_files, list_files, read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMAT = 1
MANIFEST = "base.json"


@dataclass(frozen=True)
class Base:
    """A prepared base model. `digest` pins every byte of it; adapters are bound to that digest."""

    name: str
    folder: Path
    digest: str
    architecture: str
    parameters: int
    context: int
    languages: tuple[str, ...]
    hidden_size: int = 0
    layers: int = 0
    source: str = ""
    licence: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The base as JSON, for logs and for the database."""
        document = dict(self.__dict__)
        return document | {"folder": str(self.folder), "languages": list(self.languages)}


def open_base(folder: Path, *, verify: bool = True) -> Base:
    """A prepared base from its folder; `verify` hashes every byte (about 0.3 s for 270 MB)."""
    folder = Path(folder)
    try:
        manifest = read_json(folder / MANIFEST)
        files: dict[str, Any] = manifest["files"]
        base = Base(
            name=str(manifest["name"]),
            folder=folder,
            digest=str(manifest["digest"]),
            architecture=str(manifest["architecture"]),
            parameters=int(manifest["parameters"]),
            context=int(manifest["context"]),
            languages=tuple(manifest["languages"]),
            hidden_size=int(manifest["hidden_size"]),
            layers=int(manifest["layers"]),
            source=str(manifest.get("source", "")),
            licence=str(manifest.get("licence", "")),
        )
        supported = manifest["format"] == FORMAT
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise EngineError("base_unusable", f"{folder}: {error}") from error
    if not supported:
        raise EngineError("base_unusable", f"{folder}: unknown format {manifest['format']!r}")
    present = set(list_files(folder)) - {MANIFEST, "manifest.json"}
    if present != set(files):
        odd = sorted(present ^ set(files))
        raise EngineError("base_damaged", f"unknown or missing files: {odd[:5]}")
    if verify and (describe_files(folder, list(files)), digest_of(files)) != (files, base.digest):
        raise EngineError("base_damaged", f"{folder}: a file differs from its hash")
    return base


def load_model(base: Base, dtype: str | torch.dtype = "bfloat16") -> PreTrainedModel:
    """The frozen transformers model of a base, in eval mode, nothing asking for gradients."""
    import torch

    wanted = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    model = read_model(base.folder, wanted)
    return model.eval().requires_grad_(False)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer of a base, from its own files alone."""
    return read_tokenizer(base.folder)


def digest_of(files: dict[str, Any]) -> str:
    """sha256 over the sorted (file, sha256) list: the identity of a base."""
    lines = (f"{name}\0{files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    with quiet_transformers():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                str(folder),
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
        except Exception as error:  # whatever a broken folder makes transformers raise
            raise EngineError("base_unusable", str(error)[:500]) from error
    if any(parameter.is_meta for parameter in model.parameters()):
        raise EngineError("base_unusable", "some weights are missing")
    return model


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # whatever a broken folder makes transformers raise
            raise EngineError("base_unusable", str(error)[:500]) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence progress bars and advice meant for people at a terminal, then put things back."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
