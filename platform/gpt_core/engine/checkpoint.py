"""Checkpoints: whole or absent, hashed, never overwritten, never pickle.

A published checkpoint is `store/<sha256 of its manifest.json>/`. An adapter is plain PEFT LoRA, so that peft
and vLLM load it too; a full fine-tune is a base folder of its own with a manifest beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bases import MANIFEST as BASE_MANIFEST
from .bases import Base, check_folder
from .errors import EngineError
from .files import (
    CHUNK,
    copy_file,
    describe_files,
    disk_faults,
    dump_json,
    folder_aside,
    hostile_key,
    list_files,
    open_regular,
    parse_json,
    read_json,
    rename_folder,
    sha256_of,
    write_whole,
)
from .tensors import linear_shapes, read_header

if TYPE_CHECKING:
    import torch

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
ADAPTER_FILES = frozenset({WEIGHTS, CONFIG})
NAME = re.compile(
    r"[a-z0-9][a-z0-9-]{0,62}\.[a-z0-9][a-z0-9-]{0,62}@v[0-9]{1,9}-[0-9a-f]{8}", re.ASCII
)
_UNHASHED_NAME = re.compile(
    r"[a-z0-9][a-z0-9-]{0,62}\.[a-z0-9][a-z0-9-]{0,62}@v[0-9]{1,9}", re.ASCII
)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_RANK = 512
# Switches of PEFT that would make the same tensors mean something else than plain LoRA.
_FOREIGN_SWITCHES = frozenset(
    {
        "auto_map",
        "trust_remote_code",
        "attn_implementation",
        "use_dora",
        "rank_pattern",
        "alpha_pattern",
        "modules_to_save",
        "trainable_token_indices",
        "layer_replication",
        "lora_bias",
        "use_qalora",
        "exclude_modules",
        "eva_config",
        "corda_config",
        "megatron_config",
    }
)


@dataclass(frozen=True)
class Published:
    """What `publish` made: an immutable name and the folder that carries it."""

    name: str
    digest: str
    folder: Path


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: every byte agreed with its manifest."""

    name: str
    digest: str
    folder: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Adapter:
    """LoRA weights: per module path A of shape (rank, in) and B of shape (out, rank).

    The layer adds `scaling * x @ A.T @ B.T` to its output.
    """

    name: str
    digest: str
    rank: int
    scaling: float
    tensors: dict[str, tuple[torch.Tensor, torch.Tensor]]


def publish(work: Path, store: Path, manifest: Mapping[str, Any]) -> Published:
    """Copy `work` into `store` as one checkpoint, or leave the store as it was.

    `manifest` needs every key but "files" and "format"; its "name" may come without the hash ("acme.support@v3"):
    the first eight digits of the weights' sha256 are appended. The same content published twice is one
    checkpoint. Raises EngineError: checkpoint_name, checkpoint_unknown_file, checkpoint_unusable, disk_full.
    """
    names = _files_to_publish(work, str(manifest.get("kind", "adapter")))
    store.mkdir(parents=True, exist_ok=True)
    with disk_faults(), folder_aside(store) as aside:
        for name in names:
            copy_file(work / name, aside / name)
        files = describe_files(aside, names)
        complete = dict(manifest) | {"format": FORMAT, "files": files}
        complete |= _adapter_figures(aside, complete)
        complete["name"] = _full_name(str(manifest.get("name", "")), weights_digest(files))
        content = dump_json(complete)
        digest = hashlib.sha256(content).hexdigest()
        write_whole(aside / MANIFEST, content)
        rename_folder(aside, store / digest)
    # Opening it again proves what the caller is about to promise to a database.
    checkpoint = open_checkpoint(store / digest, digest=digest)
    return Published(checkpoint.name, digest, checkpoint.folder)


def open_checkpoint(folder: Path, *, digest: str | None = None) -> Checkpoint:
    """A checkpoint whose every file agrees with its manifest.

    Raises EngineError with a code that starts with "checkpoint_"; nothing is executed and memory stays bounded
    whatever the folder holds.
    """
    folder = Path(folder)
    manifest, found = _read_manifest(folder)
    expected = digest or (folder.name if _DIGEST.fullmatch(folder.name) else None)
    if expected is not None and found != expected:
        raise EngineError("checkpoint_digest", f"manifest is {found[:12]}, not {expected[:12]}")
    try:
        present = set(list_files(folder)) - {MANIFEST}
    except EngineError as error:
        raise EngineError("checkpoint_unknown_file", error.detail) from error
    files = manifest["files"]
    for name in sorted(present - set(files)):
        raise EngineError("checkpoint_unknown_file", f"{name!r} is not in the manifest")
    for name in sorted(set(files) - present):
        raise EngineError("checkpoint_missing_file", name)
    _check_file_names(set(files), str(manifest["kind"]))
    for name, expected_file in files.items():
        # The size first: a short or endless file is refused before it is read.
        if (folder / name).stat(follow_symlinks=False).st_size != expected_file["size"]:
            raise EngineError("checkpoint_short_file", name)
        if sha256_of(folder / name)[0] != expected_file["sha256"]:
            raise EngineError("checkpoint_hash", f"{name} differs from its hash")
    if _full_name(manifest["name"], weights_digest(files)) != manifest["name"]:
        raise EngineError("checkpoint_name", manifest["name"])
    return Checkpoint(manifest["name"], found, folder, manifest)


def load_adapter(checkpoint: Checkpoint, base: Base) -> Adapter:
    """The adapter's tensors as they are stored, on the CPU, once they fit the base and are finite."""
    manifest = checkpoint.manifest
    if manifest["kind"] != "adapter":
        raise EngineError("checkpoint_kind", "a full fine-tune is a base of its own")
    if manifest["base"].get("digest") != base.digest:
        raise EngineError("checkpoint_base", f"made for base {manifest['base'].get('name')!r}")
    return read_adapter(
        checkpoint.folder, base, name=checkpoint.name, digest=checkpoint.digest, said=manifest
    )


def read_adapter(
    folder: Path, base: Base, *, name: str, digest: str, said: Mapping[str, Any] | None = None
) -> Adapter:
    """A PEFT LoRA folder as an Adapter; `said` is the manifest that its settings must agree with."""
    import safetensors.torch
    import torch

    rank, alpha, rslora = _read_adapter_config(folder)
    if said is not None and (rank, alpha, rslora) != (
        said.get("rank"),
        float(said.get("alpha", math.nan)),
        bool(said.get("rslora")),
    ):
        raise EngineError("checkpoint_config", "adapter_config.json contradicts the manifest")
    shapes = read_header(folder / WEIGHTS)
    linears = linear_shapes(base)
    with os.fdopen(open_regular(folder / WEIGHTS), "rb") as handle:
        try:
            stored = safetensors.torch.load(handle.read())
        except Exception as error:  # the Rust side raises its own kinds
            raise EngineError("checkpoint_unreadable", str(error)[:200]) from error
    tensors = {}
    for module in sorted({_module_of(key) for key in shapes}):
        a = stored.get(f"base_model.model.{module}.lora_A.weight")
        b = stored.get(f"base_model.model.{module}.lora_B.weight")
        if module not in linears or a is None or b is None:
            raise EngineError("checkpoint_shape", f"{module} is no linear layer of the base")
        inputs, outputs = linears[module]
        if tuple(a.shape) != (rank, inputs) or tuple(b.shape) != (outputs, rank):
            raise EngineError("checkpoint_shape", f"{module}: {tuple(a.shape)}, {tuple(b.shape)}")
        if not (a.is_floating_point() and b.is_floating_point()):
            raise EngineError("checkpoint_shape", f"{module}: not floating point")
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise EngineError("checkpoint_not_finite", module)
        tensors[module] = (a, b)
    scaling = alpha / math.sqrt(rank) if rslora else alpha / rank
    return Adapter(name, digest, rank, scaling, tensors)


def adapter_config(
    *, base: Base, rank: int, alpha: float, rslora: bool, targets: list[str], dropout: float
) -> dict[str, Any]:
    """The content of adapter_config.json, as peft and vLLM read it."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "use_rslora": rslora,
        "target_modules": sorted(targets),
        "bias": "none",
        # GPT-2 keeps its linear layers as (in, out).
        "fan_in_fan_out": base.architecture == "gpt2",
        "inference_mode": True,
    }


def weights_digest(files: Mapping[str, Any]) -> str:
    """The sha256 of the weights; of the list of shard hashes where there is more than one file."""
    digests = [files[name]["sha256"] for name in sorted(files) if name.endswith(".safetensors")]
    if not digests:
        raise EngineError("checkpoint_unusable", "no safetensors file")
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def sweep_unfinished(store: Path, *, older_than_seconds: float = 24 * 3600.0) -> int:
    """Remove what killed publications left in `store/tmp`; returns how many were removed."""
    removed = 0
    limit = time.time() - older_than_seconds
    for aside in (store / "tmp").glob("*"):
        if aside.stat(follow_symlinks=False).st_mtime < limit:
            shutil.rmtree(aside, ignore_errors=True)
            removed += 1
    return removed


def _files_to_publish(work: Path, kind: str) -> list[str]:
    try:
        names = [name for name in list_files(work) if name != MANIFEST]
    except EngineError as error:
        raise EngineError("checkpoint_unknown_file", error.detail) from error
    _check_file_names(set(names), kind)
    if kind == "full":
        check_folder(work)
    else:
        _read_adapter_config(work)
        read_header(work / WEIGHTS)
    return names


def _adapter_figures(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Rank, alpha and so on from the adapter itself; a manifest that says otherwise is refused."""
    if manifest.get("kind", "adapter") != "adapter":
        return {}
    rank, alpha, rslora = _read_adapter_config(folder)
    targets = read_json(folder / CONFIG).get("target_modules", [])
    figures = {"kind": "adapter", "rank": rank, "alpha": alpha, "rslora": rslora}
    for key, value in figures.items():
        if manifest.get(key, value) != value:
            raise EngineError("checkpoint_config", f"{key} is {value}, not {manifest[key]}")
    return figures | {"targets": sorted(targets) if isinstance(targets, list) else targets}


def _check_file_names(names: set[str], kind: str) -> None:
    if kind == "adapter":
        if names != ADAPTER_FILES:
            odd = sorted(names ^ ADAPTER_FILES)
            raise EngineError("checkpoint_unknown_file", f"unknown or missing: {odd[:5]}")
    elif kind == "full":
        if BASE_MANIFEST not in names:
            raise EngineError("checkpoint_missing_file", BASE_MANIFEST)
    else:
        raise EngineError("checkpoint_kind", kind[:40])


def _read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    try:
        with os.fdopen(open_regular(folder / MANIFEST), "rb") as handle:
            content = handle.read(CHUNK + 1)
    except (OSError, EngineError) as error:
        raise EngineError("checkpoint_missing_file", f"{MANIFEST}: {error}") from error
    if len(content) > CHUNK:
        raise EngineError("checkpoint_manifest", "larger than 1 MiB")
    try:
        manifest = parse_json(content, what=MANIFEST)
        sound = (
            manifest["format"] == FORMAT
            and isinstance(manifest["name"], str)
            and isinstance(manifest["base"], dict)
            and isinstance(manifest["kind"], str)
            and all(
                "/" not in name
                and _DIGEST.fullmatch(entry["sha256"])
                and isinstance(entry["size"], int)
                for name, entry in manifest["files"].items()
            )
        )
    except (EngineError, KeyError, TypeError, AttributeError) as error:
        raise EngineError("checkpoint_manifest", str(error)[:200]) from error
    if not sound:
        raise EngineError("checkpoint_manifest", "unknown format")
    return manifest, hashlib.sha256(content).hexdigest()


def _full_name(name: str, weights: str) -> str:
    """The name with the hash of its weights; a name that carries another hash is refused."""
    full = f"{name}-{weights[:8]}" if _UNHASHED_NAME.fullmatch(name) else name
    if not NAME.fullmatch(full) or not full.endswith(f"-{weights[:8]}"):
        raise EngineError("checkpoint_name", name[:200])
    return full


def _read_adapter_config(folder: Path) -> tuple[int, float, bool]:
    """(rank, alpha, rslora). Everything else in the file is for other programs and is not obeyed here."""
    try:
        config = read_json(folder / CONFIG)
    except (OSError, EngineError) as error:
        raise EngineError("checkpoint_config", str(error)[:200]) from error
    foreign = hostile_key(config, _FOREIGN_SWITCHES)
    if foreign:
        raise EngineError("checkpoint_config", f"{foreign} is not supported")
    try:
        rank, alpha, rslora = config["r"], config["lora_alpha"], config.get("use_rslora", False)
        plain = config["peft_type"] == "LORA" and config.get("bias", "none") == "none"
        sound = plain and type(rank) is int and 1 <= rank <= _MAX_RANK
        sound = sound and math.isfinite(float(alpha)) and isinstance(rslora, bool)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("checkpoint_config", f"{CONFIG}: {error}") from error
    if not sound:
        raise EngineError("checkpoint_config", json.dumps(config)[:200])
    return rank, float(alpha), rslora


def _module_of(key: str) -> str:
    match = re.fullmatch(r"base_model\.model\.(.+)\.lora_[AB]\.weight", key)
    if match is None:
        raise EngineError("checkpoint_shape", f"{key[:120]!r} is no LoRA weight")
    return match.group(1)
