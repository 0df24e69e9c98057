"""An export answers like its checkpoint, or it is no export."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from gpt_core.engine.bases import Base, load_model
from gpt_core.engine.checkpoint import publish
from gpt_core.engine.errors import EngineError
from gpt_core.engine.evaluation.events import EventLog
from gpt_core.engine.export import __main__ as program
from gpt_core.engine.export import procedure, proof
from gpt_core.engine.export.job import EVENTS, SPEC, ExportSpec
from tests.gpt_core.engine.test_checkpoint import manifest_for, write_work

ARCHITECTURES = ["llama", "mistral", "qwen2", "qwen3"]
MakeSpec = Callable[..., ExportSpec]


@pytest.fixture
def spec_of(tmp_path: Path, base_of: Callable[[str], Base]) -> MakeSpec:
    """`spec_of("merged", "llama")`: an order to export a checkpoint with random adapters."""

    def make(kind: str, architecture: str = "llama", precision: str = "float32") -> ExportSpec:
        base = base_of(architecture)
        work = write_work(tmp_path / f"work-{architecture}", base)
        published = publish(work, tmp_path / "store", manifest_for(base))
        return ExportSpec(
            kind, precision, base.folder, published.folder, tmp_path / "exports" / "one", 7
        )

    return make


def run(spec: ExportSpec) -> dict[str, Any]:
    spec.target.parent.mkdir(parents=True, exist_ok=True)
    return procedure.export(spec, EventLog(spec.target.parent / "events.jsonl", 7))


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "gpt2"])
@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_every_family_answers_the_same_after_the_export(
    spec_of: MakeSpec, kind: str, architecture: str
) -> None:
    spec = spec_of(kind, architecture)

    result = run(spec)

    assert result["proof"]["same_answers"] == result["proof"]["prompts"] == 16
    assert result["proof"]["max_difference"] < 1e-3
    assert {path.name for path in spec.target.iterdir()} == {result["file"], "result.json"}
    assert json.loads((spec.target / "result.json").read_text()) == result


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gguf_is_read_back_with_tied_and_untied_heads(
    spec_of: MakeSpec, base_of: Callable[[str], Base], architecture: str
) -> None:
    spec = spec_of("gguf", architecture)

    result = run(spec)

    assert result["proof"]["same_answers"] == 16
    assert result["proof"]["max_difference"] < 1e-3
    names = {tensor.name for tensor in gguf.GGUFReader(spec.target / result["file"]).tensors}
    tied = json.loads((base_of(architecture).folder / "config.json").read_text())
    assert ("output.weight" in names) is not tied["tie_word_embeddings"]


def test_gguf_says_template_ends_and_kinds_of_tokens(spec_of: MakeSpec) -> None:
    spec = spec_of("gguf", "llama", "float16")
    result = run(spec)

    fields = gguf.GGUFReader(spec.target / result["file"]).fields

    assert fields["general.architecture"].contents() == "llama"
    assert fields["tokenizer.ggml.model"].contents() == "gpt2"
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2"
    assert fields["tokenizer.ggml.eos_token_id"].contents() == 2
    assert fields["tokenizer.ggml.bos_token_id"].contents() == 1
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False
    assert "<|im_start|>" in fields["tokenizer.chat_template"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert kinds[:4] == [3, 3, 3, 1]
    assert result["file"].endswith("-f16.gguf")


@pytest.mark.parametrize(
    ("kind", "precision"), [("merged", "bfloat16"), ("gguf", "bfloat16"), ("gguf", "float16")]
)
def test_rounding_is_reported_and_never_more_than_rounding(
    spec_of: MakeSpec, kind: str, precision: str
) -> None:
    result = run(spec_of(kind, "llama", precision))
    proven = result["proof"]
    assert proven["same_answers"] + proven["near_ties"] == 16
    assert 0 < proven["share_of_spread"] <= proof.FARTHEST[precision]
    assert proven["precision"] == precision


def test_the_merged_archive_holds_what_transformers_needs(spec_of: MakeSpec) -> None:
    spec = spec_of("merged", "llama", "bfloat16")
    result = run(spec)
    with zipfile.ZipFile(spec.target / result["file"]) as packed:
        names = set(packed.namelist())
        config = json.loads(packed.read("config.json"))
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md"} <= names
    assert {"base.json", "manifest.json"}.isdisjoint(names)
    assert config["dtype"] == "bfloat16"
    assert result["size"] == (spec.target / result["file"]).stat().st_size


def test_the_adapter_archive_holds_the_published_files_and_how_to_load_them(
    spec_of: MakeSpec,
) -> None:
    spec = spec_of("adapter")
    result = run(spec)
    with zipfile.ZipFile(spec.target / result["file"]) as packed:
        weights = packed.read("adapter_model.safetensors")
        readme = packed.read("README.md").decode()
        manifest = json.loads(packed.read("manifest.json"))
    assert weights == (spec.checkpoint / "adapter_model.safetensors").read_bytes()
    assert manifest["name"] in readme
    assert result["proof"]["reader"].startswith("peft ")


def test_without_peft_our_own_reader_is_the_witness(
    spec_of: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda _name: None)
    assert run(spec_of("adapter"))["proof"]["reader"] == "parley"


def test_gpt_2_is_refused_as_gguf_by_name(spec_of: MakeSpec) -> None:
    with pytest.raises(EngineError) as refused:
        run(spec_of("gguf", "gpt2"))
    assert refused.value.code == "export_gguf_architecture"


def _break(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thing goes wrong between writing and reading, as exports of this world do."""
    reading = proof.read_merged

    def read(folder: Path) -> proof.Reading:
        found = reading(folder)
        if what == "weights":
            with torch.no_grad():
                found.model.model.layers[1].self_attn.q_proj.weight.mul_(-1.0)
        elif what == "template":
            found.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
        elif what == "end":
            found.model.generation_config.eos_token_id = [0, 2]
        return found

    monkeypatch.setattr(proof, "read_merged", read)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("weights", "export_logits_differ"),
        ("template", "export_tokenizer_differs"),
        ("end", "export_end_differs"),
    ],
)
def test_a_proof_that_fails_leaves_nothing_behind(
    spec_of: MakeSpec, monkeypatch: pytest.MonkeyPatch, what: str, code: str
) -> None:
    _break(what, monkeypatch)
    spec = spec_of("merged")
    with pytest.raises(EngineError) as failed:
        run(spec)
    assert failed.value.code == code
    assert not spec.target.exists()
    assert list((spec.target.parent / "tmp").iterdir()) == []


def test_an_adapter_left_out_of_the_merge_is_found(
    spec_of: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gpt_core.engine.export.source.Source._merged", lambda _self, _name, weight: weight
    )
    with pytest.raises(EngineError) as failed:
        run(spec_of("gguf", "llama", "bfloat16"))
    assert failed.value.code == "export_logits_differ"


def test_a_full_fine_tune_is_exported_whole_and_has_no_adapter(tmp_path: Path, llama: Base) -> None:
    work = tmp_path / "work"
    from gpt_core.engine.bases import describe_base, load_tokenizer, write_model_files
    from gpt_core.engine.files import dump_json

    model = load_model(llama, "float32")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.add_(0.01)
    work.mkdir()
    write_model_files(model, load_tokenizer(llama), work)
    described = describe_base(work, model, "tuned", {})
    (work / "base.json").write_bytes(dump_json(described))
    published = publish(work, tmp_path / "store", manifest_for(llama) | {"kind": "full"})
    spec = ExportSpec(
        "gguf", "float32", llama.folder, published.folder, tmp_path / "exports" / "one", 1
    )
    assert run(spec)["proof"]["same_answers"] == 16
    with pytest.raises(EngineError) as refused:
        run(replace(spec, kind="adapter"))
    assert refused.value.code == "export_no_adapter"


def test_the_process_says_what_it_made_and_how_it_failed(spec_of: MakeSpec, tmp_path: Path) -> None:
    spec = spec_of("merged")
    folder = tmp_path / "job"
    folder.mkdir()
    order = {
        "format": 1, "kind": "merged", "precision": "float32", "base": str(spec.base),
        "checkpoint": str(spec.checkpoint), "target": str(spec.target), "fencing_token": 3,
    }  # fmt: skip
    (folder / SPEC).write_text(json.dumps(order))
    assert program.main([str(folder)]) == 0
    events = [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]
    assert events[-1]["type"] == "finished"
    assert events[-1]["token"] == 3
    assert [one["done"] for one in events if one["type"] == "progress"][-1] == 100

    (folder / SPEC).write_text(json.dumps(order | {"checkpoint": str(tmp_path / "nowhere")}))
    assert program.main([str(folder)]) == 3
    (folder / SPEC).write_text(json.dumps(order | {"kind": "onnx"}))
    assert program.main([str(folder)]) == 3
