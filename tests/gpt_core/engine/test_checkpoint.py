"""A checkpoint is whole or absent, and nothing that lies about itself is loaded."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gpt_core.engine.bases import Base, load_model
from gpt_core.engine.checkpoint import (
    CONFIG,
    NAME,
    WEIGHTS,
    Published,
    adapter_config,
    linear_shapes,
    load_adapter,
    open_checkpoint,
    publish,
    sweep_unfinished,
)
from gpt_core.engine.errors import EngineError
from gpt_core.engine.tensors import read_header
from tests.gpt_core.engine.faults import Faults

_unpickled: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":
        _unpickled.append(str(arguments))


sys.addaudithook(_watch)


@pytest.fixture
def nothing_unpickled() -> Iterator[None]:
    before = len(_unpickled)
    yield
    assert _unpickled[before:] == []


def write_work(folder: Path, base: Base, *, rank: int = 2, seed: int = 0) -> Path:
    """The folder a training run leaves: random adapters on every linear layer."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    shapes = linear_shapes(base)
    for module, (inputs, outputs) in shapes.items():
        prefix = f"base_model.model.{module}"
        tensors[f"{prefix}.lora_A.weight"] = torch.randn(rank, inputs, generator=generator)
        tensors[f"{prefix}.lora_B.weight"] = torch.randn(outputs, rank, generator=generator)
    save_file(tensors, folder / WEIGHTS)
    targets = sorted({module.rsplit(".", 1)[-1] for module in shapes})
    config = adapter_config(
        base=base, rank=rank, alpha=4.0, rslora=False, targets=targets, dropout=0.0
    )
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


def manifest_for(base: Base, name: str = "acme.support@v3") -> dict[str, Any]:
    return {
        "kind": "adapter",
        "name": name,
        "base": {"name": base.name, "digest": base.digest},
        "dataset": {"id": "d", "digest": "e"},
        "job": "客户支持",
        "parameters": {},
        "code_version": "0",
        "step": 8,
        "metrics": {},
        "fencing_token": 1,
    }


@pytest.fixture
def published(tmp_path: Path, llama: Base) -> Published:
    work = write_work(tmp_path / "work", llama)
    return publish(work, tmp_path / "store", manifest_for(llama))


def test_what_is_published_opens_and_loads(published: Published, llama: Base) -> None:
    checkpoint = open_checkpoint(published.folder, digest=published.digest)
    weights = checkpoint.manifest["files"][WEIGHTS]["sha256"]
    assert checkpoint.name == f"acme.support@v3-{weights[:8]}"
    assert published.folder.name == published.digest
    adapter = load_adapter(checkpoint, llama)
    assert (adapter.rank, adapter.scaling) == (2, 2.0)
    assert adapter.tensors["model.layers.0.self_attn.k_proj"][1].shape == (16, 2)
    assert checkpoint.manifest["job"] == "客户支持"


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "qwen3", "mistral"])
def test_peft_loads_the_same_adapter_and_computes_the_same(
    tmp_path: Path, base_of: Callable[[str], Base], architecture: str
) -> None:
    from peft import PeftModel

    from gpt_core.engine.training.lora import LoraShape, key_a
    from gpt_core.engine.training.padded import PaddedLearner

    base = base_of(architecture)
    work = write_work(tmp_path / "work", base)
    published = publish(work, tmp_path / "store", manifest_for(base))
    adapter = load_adapter(open_checkpoint(published.folder), base)
    ids = torch.tensor([[5, 9, 33, 80]])
    theirs = PeftModel.from_pretrained(load_model(base, "float32"), str(published.folder))
    learner = PaddedLearner(
        load_model(base, "float32"),
        base,
        LoraShape(2, 4.0, False, 0.0),
        dtype=torch.float32,
        device=torch.device("cpu"),
        seed=0,
    )
    for module, (a, b) in adapter.tensors.items():
        learner.weights.master_of(key_a(module)).copy_(a)
        learner.weights.master_of(key_a(module).replace("lora_A", "lora_B")).copy_(b)
    with torch.no_grad():
        expected = theirs(input_ids=ids).logits
        assert torch.allclose(learner.model.eval()(input_ids=ids).logits, expected, atol=1e-4)


def test_publishing_the_same_twice_is_one_checkpoint(
    tmp_path: Path, published: Published, llama: Base
) -> None:
    again = publish(tmp_path / "work", tmp_path / "store", manifest_for(llama))
    assert again == published
    assert [p.name for p in (tmp_path / "store").iterdir() if p.name != "tmp"] == [published.digest]


@pytest.mark.parametrize(
    "name",
    [
        "acme.support",
        "Acme.support@v1",
        "acme.support@v1-00000000",
        "../acme.support@v1",
        "客户.support@v1",
        "acme.support@v٣",
        "acme.support@v1\n",
        "",
        "a" * 64 + ".b@v1",
    ],
)
def test_a_name_that_is_not_one_is_refused(tmp_path: Path, llama: Base, name: str) -> None:
    work = write_work(tmp_path / "work", llama)
    with pytest.raises(EngineError, match="checkpoint_name"):
        publish(work, tmp_path / "store", manifest_for(llama, name))
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


# --- Faults -------------------------------------------------------------------------------------


def whole_checkpoints(store: Path) -> set[str]:
    """The digests in a store; whatever stands there must open."""
    folders = [path for path in store.iterdir() if path.name != "tmp"]
    return {open_checkpoint(folder).digest for folder in folders}


def count_requests(tmp_path: Path, llama: Base) -> int:
    shutil.copytree(tmp_path / "store", tmp_path / "counted")
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(0, kill=False)
        faults.install(patch)
        publish(tmp_path / "new", tmp_path / "counted", manifest_for(llama, "acme.support@v4"))
    return faults.count


def test_publication_survives_a_failure_at_every_request(
    tmp_path: Path, llama: Base, published: Published
) -> None:
    """Old or whole new, for every open, write, fsync, mkdir, close and rename in turn."""
    write_work(tmp_path / "new", llama, seed=1)
    manifest = manifest_for(llama, "acme.support@v4")
    requests = count_requests(tmp_path, llama)
    assert requests > 25
    wanted = publish(tmp_path / "new", tmp_path / "counted", manifest).digest
    for at in range(1, requests + 1):
        store = tmp_path / f"store-{at}"
        shutil.copytree(tmp_path / "store", store)
        with pytest.MonkeyPatch.context() as patch:
            Faults(at, kill=False).install(patch)
            with contextlib.suppress(OSError, EngineError):
                publish(tmp_path / "new", store, manifest)
        assert whole_checkpoints(store) in ({published.digest}, {published.digest, wanted})
        assert list((store / "tmp").glob("*")) == [], f"request {at} left something behind"
        assert publish(tmp_path / "new", store, manifest).digest == wanted


def test_publication_survives_a_kill_after_every_request(
    tmp_path: Path, llama: Base, published: Published
) -> None:
    write_work(tmp_path / "new", llama, seed=1)
    manifest = manifest_for(llama, "acme.support@v4")
    requests = count_requests(tmp_path, llama)
    killed = 0
    for at in range(1, requests + 1):
        store = tmp_path / f"store-{at}"
        shutil.copytree(tmp_path / "store", store)
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                Faults(at, kill=True).install(patch)
                publish(tmp_path / "new", store, manifest)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed += os.WIFSIGNALED(status)
        found = whole_checkpoints(store)
        assert published.digest in found
        publish(tmp_path / "new", store, manifest)
        assert len(whole_checkpoints(store)) == 2
        sweep_unfinished(store, older_than_seconds=-1)
        assert list((store / "tmp").iterdir()) == []
    assert killed == requests


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, llama: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = write_work(tmp_path / "work", llama)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(EngineError, match="disk_full"):
        publish(work, tmp_path / "store", manifest_for(llama))
    assert [p.name for p in (tmp_path / "store").rglob("*")] == ["tmp"]


def test_a_thousand_flipped_bits_are_a_thousand_refusals(published: Published) -> None:
    chance = random.Random(7)
    refused = 0
    for name in (WEIGHTS, CONFIG, "manifest.json"):
        path = published.folder / name
        original = path.read_bytes()
        for _ in range(1000 if name == WEIGHTS else 200):
            flipped = bytearray(original)
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            try:
                open_checkpoint(published.folder)
            except EngineError as error:
                refused += error.code.startswith("checkpoint_")
        path.write_bytes(original)
    assert refused == 1400
    open_checkpoint(published.folder)


# --- Hostile content ----------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_unpickled")
@pytest.mark.parametrize(
    "name",
    [
        "adapter_model.bin",
        "optimizer.pt",
        "rng_state.pth",
        "header_lies.safetensors",
        "overlap.safetensors",
        "adapter_config_auto_map.json",
    ],
)
def test_hostile_files_are_refused_and_run_nothing(
    tmp_path: Path, llama: Base, hostile_files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    work = write_work(tmp_path / "work", llama)
    if name.endswith(".safetensors"):
        shutil.copy(hostile_files / name, work / WEIGHTS)
    elif name.endswith(".json"):
        shutil.copy(hostile_files / name, work / CONFIG)
    else:
        shutil.copy(hostile_files / name, work / name)
    with pytest.raises(EngineError) as caught:
        publish(work, tmp_path / "store", manifest_for(llama))
    assert caught.value.code.startswith("checkpoint_")
    assert not list(tmp_path.glob("PICKLE_RAN*"))


def test_a_header_that_promises_exabytes_costs_nothing(hostile_files: Path) -> None:
    tracemalloc.start()
    for name in ("header_lies.safetensors", "overlap.safetensors"):
        with pytest.raises(EngineError, match="checkpoint_unreadable"):
            read_header(hostile_files / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_no_hostile_name_becomes_a_checkpoint(
    tmp_path: Path, llama: Base, hostile_files: Path
) -> None:
    """Thousands of path traversals and naughty strings: none is a name, none leaves a file."""
    lists = hostile_files.parent
    names = json.loads((lists / "lists" / "path_traversal_mit.json").read_text("utf-8"))
    names += json.loads((lists / "blns" / "blns.json").read_text("utf-8"))
    assert len(names) > 1900
    assert not [name for name in names if NAME.fullmatch(name)]
    work = write_work(tmp_path / "work", llama)
    for name in names[::40]:
        with pytest.raises(EngineError, match="checkpoint_name"):
            publish(work, tmp_path / "store", manifest_for(llama, f"{name}@v1"))
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["tmp"]


@pytest.mark.usefixtures("nothing_unpickled")
@pytest.mark.parametrize("name", ["adapter_model.bin", "model.pkl", "更多.json"])
def test_a_file_that_the_manifest_does_not_name_is_refused(published: Published, name: str) -> None:
    (published.folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(EngineError, match="checkpoint_unknown_file"):
        open_checkpoint(published.folder)


def test_missing_short_and_linked_files_are_refused(published: Published, tmp_path: Path) -> None:
    weights = published.folder / WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    with pytest.raises(EngineError, match="checkpoint_short_file"):
        open_checkpoint(published.folder)
    weights.unlink()
    with pytest.raises(EngineError, match="checkpoint_missing_file"):
        open_checkpoint(published.folder)
    (tmp_path / "outside").write_bytes(content)
    weights.symlink_to(tmp_path / "outside")
    with pytest.raises(EngineError, match="checkpoint_unknown_file"):
        open_checkpoint(published.folder)


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(EngineError, match="checkpoint_missing_file"):
            open_checkpoint(folder)


def test_another_digest_than_expected_is_refused(published: Published) -> None:
    with pytest.raises(EngineError, match="checkpoint_digest"):
        open_checkpoint(published.folder, digest="0" * 64)


def tampered(tmp_path: Path, base: Base, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    work = write_work(tmp_path / "tampered", base)
    tensors = load_file(work / WEIGHTS)
    change(tensors)
    save_file(tensors, work / WEIGHTS)
    return work


KEY = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("checkpoint_not_finite", lambda t: t[KEY].fill_(float("nan"))),
        ("checkpoint_not_finite", lambda t: t[KEY].view(-1)[:1].fill_(float("inf"))),
        ("checkpoint_shape", lambda t: t.update({KEY: torch.zeros(3, 32)})),
        ("checkpoint_shape", lambda t: t.update({KEY: torch.zeros(2, 31)})),
        ("checkpoint_shape", lambda t: t.pop(KEY)),
        ("checkpoint_shape", lambda t: t.update({KEY: torch.zeros(2, 32, dtype=torch.long)})),
        ("checkpoint_shape", lambda t: t.update({"lm_head.weight": torch.zeros(2, 2)})),
        (
            "checkpoint_shape",
            lambda t: t.update({KEY.replace("up_proj", "evil"): torch.zeros(2, 32)}),
        ),
    ],
)
def test_weights_that_do_not_fit_or_are_not_numbers_are_refused(
    tmp_path: Path, llama: Base, code: str, change: Callable[[dict[str, torch.Tensor]], None]
) -> None:
    work = tampered(tmp_path, llama, change)
    published = publish(work, tmp_path / "store", manifest_for(llama))
    with pytest.raises(EngineError, match=code):
        load_adapter(open_checkpoint(published.folder), llama)


def test_an_adapter_of_another_base_is_refused(
    published: Published, base_of: Callable[[str], Base]
) -> None:
    with pytest.raises(EngineError, match="checkpoint_base"):
        load_adapter(open_checkpoint(published.folder), base_of("mistral"))


@pytest.mark.parametrize(
    "change",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 9}},
        {"r": 0},
        {"r": 10**9},
        {"r": "8"},
        {"lora_alpha": "much"},
        {"peft_type": "PREFIX"},
        {"auto_map": {"AutoModel": "evil.Model"}},
    ],
)
def test_settings_that_mean_something_else_are_refused(
    tmp_path: Path, llama: Base, change: dict[str, Any]
) -> None:
    work = write_work(tmp_path / "work", llama)
    config = json.loads((work / CONFIG).read_text()) | change
    (work / CONFIG).write_text(json.dumps(config))
    with pytest.raises(EngineError, match="checkpoint_config"):
        publish(work, tmp_path / "store", manifest_for(llama))


def test_a_manifest_that_contradicts_the_adapter_is_refused(tmp_path: Path, llama: Base) -> None:
    work = write_work(tmp_path / "work", llama)
    with pytest.raises(EngineError, match="checkpoint_config"):
        publish(work, tmp_path / "store", manifest_for(llama) | {"rank": 64})
