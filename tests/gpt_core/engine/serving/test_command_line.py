"""python -m gpt_core.engine.serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_core.engine.bases import Base
from gpt_core.engine.serving import __main__ as command


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been served, instead of serving it."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(command.uvicorn, "run", lambda app, **how: calls.append({"app": app} | how))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    return calls


def test_a_prepared_base_is_served_where_asked(
    llama: Base, served: list[dict[str, Any]], tmp_path: Path
) -> None:
    arguments = ["--base", str(llama.folder), "--store", str(tmp_path), "--port", "8199"]
    assert command.main([*arguments, "--dtype", "float32", "--context", "128"]) == 0
    assert (served[0]["host"], served[0]["port"]) == ("127.0.0.1", 8199)


def test_a_folder_that_is_no_base_ends_with_a_code(
    tmp_path: Path, served: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--base", str(tmp_path)]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"].startswith("base_")
    assert not served


@pytest.mark.parametrize("wrong", ["--max-batch=0", "--context=-1", "--dtype=int4", "--port=x"])
def test_a_wrong_option_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        command.parse(["--base", str(tmp_path), wrong])
