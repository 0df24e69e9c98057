"""Loading and dropping adapters while serving."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from gpt_core.engine.bases import Base
from gpt_core.engine.checkpoint import Published

from .bench import publish_adapter

Publish = Callable[..., Published]


@pytest.fixture
def make(llama: Base, tmp_path: Path, store: Path) -> Publish:
    """Publish a random adapter into the engine's store."""
    return lambda **more: publish_adapter(llama, tmp_path, store, **more)


def load(client: TestClient, made: Published, **more: Any) -> Any:
    body = {"lora_name": made.name, "lora_path": str(made.folder)} | more
    return client.post("/v1/load_lora_adapter", json=body)


def text(client: TestClient, model: str) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "退货需要多久？"}],
        "temperature": 0,
        "max_tokens": 12,
        "ignore_eos": True,
    }
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_adapters_come_and_go_while_the_engine_serves(
    client: TestClient, make: Publish, model: str
) -> None:
    plain = text(client, model)
    first, second = make(seed=1), make(seed=2, name="globex.news@v7")
    for made in (first, second):
        assert load(client, made, digest=made.digest).status_code == 200
    texts = {text(client, name) for name in (model, first.name, second.name)}
    assert len(texts) == 3
    assert client.post("/v1/unload_lora_adapter", json={"lora_name": first.name}).status_code == 200
    gone = client.post("/v1/chat/completions", json={"model": first.name, "messages": []})
    assert gone.status_code in (400, 404)
    assert client.post("/v1/unload_lora_adapter", json={"lora_name": first.name}).status_code == 404
    assert text(client, model) == plain


def test_loading_twice_is_loading_once(client: TestClient, make: Publish) -> None:
    made = make()
    assert [load(client, made).status_code for _ in range(3)] == [200] * 3
    assert len(client.get("/v1/models").json()["data"]) == 2


def test_a_name_never_changes_its_meaning(client: TestClient, make: Publish) -> None:
    made = make()
    assert load(client, made).status_code == 200
    answer = load(client, made, digest="0" * 64)
    assert (answer.status_code, code(answer)) == (400, "adapter_name_taken")


def test_an_answer_names_the_digests_behind_it(
    client: TestClient, make: Publish, llama: Base
) -> None:
    made = make()
    load(client, made)
    body = {"model": made.name, "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["system_fingerprint"] == f"{llama.digest[:12]}-{made.digest[:12]}"


def test_more_adapters_than_fit_push_out_the_one_used_longest_ago(
    client: TestClient, make: Publish
) -> None:
    made = [make(seed=seed, name=f"tenant{seed}.a@v1") for seed in range(5)]
    for own in made[:4]:
        load(client, own)
    text(client, made[0].name)
    assert load(client, made[4]).status_code == 200
    names = {entry["id"] for entry in client.get("/v1/models").json()["data"]}
    assert made[1].name not in names
    assert {made[0].name, made[4].name} <= names


def test_the_bucket_of_a_rank_does_not_matter_to_others(
    client: TestClient, make: Publish, model: str
) -> None:
    plain = text(client, model)
    small, large = make(seed=1, rank=4), make(seed=2, rank=24, name="big.one@v1")
    load(client, small)
    alone = text(client, small.name)
    load(client, large)
    assert text(client, small.name) == alone
    assert text(client, model) == plain != text(client, large.name)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(
    client: TestClient, make: Publish, model: str, value: float
) -> None:
    plain = text(client, model)

    def poison(tensors: dict[str, torch.Tensor]) -> None:
        next(iter(tensors.values()))[0, 0] = value

    answer = load(client, make(change=poison))
    assert (answer.status_code, code(answer)) == (400, "checkpoint_not_finite")
    assert text(client, model) == plain


def test_a_changed_file_is_refused(client: TestClient, make: Publish) -> None:
    made = make()
    weights = made.folder / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    answer = load(client, made)
    assert (answer.status_code, code(answer)) == (400, "checkpoint_hash")


def test_a_wrong_digest_or_name_is_refused(client: TestClient, make: Publish) -> None:
    made = make()
    assert code(load(client, made, digest="0" * 64)) == "checkpoint_digest"
    assert code(load(client, made, lora_name="acme.other@v1-12345678")) == "adapter_name"


@pytest.mark.parametrize(
    "name", ["", "x", "../../etc@v1-12345678", "a.b@v1", "a.b@v1-1234567G", "名.b@v1-12345678", 3]
)
def test_a_name_that_is_no_name_is_refused(client: TestClient, store: Path, name: Any) -> None:
    answer = client.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(store)})
    assert answer.status_code == 400


def test_only_folders_below_the_store_are_read(
    client: TestClient, make: Publish, llama: Base, tmp_path: Path, store: Path
) -> None:
    outside = publish_adapter(llama, tmp_path, tmp_path / "elsewhere", seed=4)
    link = store / "link"
    link.symlink_to(outside.folder, target_is_directory=True)
    paths = [
        str(outside.folder),
        "/etc",
        "../elsewhere",
        str(link),
        str(store / ".." / "elsewhere" / outside.folder.name),
        "\0",
        str(store),
        str(store / "missing"),
        "x" * 10_000,
        str(make().folder / "manifest.json"),
    ]
    for path in paths:
        answer = client.post(
            "/v1/load_lora_adapter", json={"lora_name": outside.name, "lora_path": path}
        )
        assert answer.status_code in (400, 404), path
    assert len(client.get("/v1/models").json()["data"]) == 1


def test_an_adapter_of_another_base_is_refused(
    client: TestClient, base_of: Callable[[str], Base], tmp_path: Path, store: Path
) -> None:
    made = publish_adapter(base_of("qwen3"), tmp_path, store)
    assert code(load(client, made)) == "checkpoint_base"


def test_peft_switches_with_another_meaning_are_refused(client: TestClient, make: Publish) -> None:
    made = make()
    config = made.folder / "adapter_config.json"
    config.chmod(0o644)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_dora": True}))
    assert load(client, made).status_code == 400
