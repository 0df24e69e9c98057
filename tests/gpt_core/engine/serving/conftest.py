"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from gpt_core.engine.bases import Base
from gpt_core.engine.serving.application import create_application
from gpt_core.engine.serving.engine import Engine, Options

from .bench import Bench


@pytest.fixture(autouse=True, scope="session")
def one_core() -> Iterator[None]:
    """Threads that wait for each other are slower than one where models are tiny and machines are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bench(llama: Base) -> Bench:
    return Bench(llama)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def options(llama: Base, store: Path) -> Options:
    return Options(
        base=llama.folder,
        store=store,
        dtype="float32",
        context=256,
        max_batch=8,
        max_adapters=4,
        max_waiting=4,
        verify=False,
    )


@pytest.fixture
def client(options: Options) -> Iterator[TestClient]:
    """A client of a running engine; its base is called by the tiny base's name."""
    with TestClient(create_application(Engine(options)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def model(llama: Base) -> str:
    return llama.name


@pytest.fixture
def ask(client: TestClient, model: str) -> Any:
    """POST a chat and return the answer's JSON."""

    def post(content: str = "When do you open?", **more: Any) -> Any:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": 8,
        }
        answer = client.post("/v1/chat/completions", json=body | more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post
