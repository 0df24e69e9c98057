"""From training to the gate on a tiny base: what was learned is measured, judged and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpt_core.engine.bases import Base
from gpt_core.engine.checkpoint import publish
from gpt_core.engine.evaluation.procedure import evaluate
from gpt_core.gate import judge
from gpt_core.verdict_text import sentence
from tests.tiny import tiny_base

from .engine.evaluation.stage import job_folder
from .engine.training.jobs import ROWS, make_job, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("base"))


def trained(base: Base, folder: Path, name: str, **hyperparameters: Any) -> Path:
    """A published checkpoint of an adapter trained on the little rows."""
    job = make_job(folder / name, base, method={"rank": 8}, **hyperparameters)
    ran = train(job)
    assert ran.returncode == 0, ran.stderr[-2000:]
    config = json.loads((job / "best" / "adapter_config.json").read_text())
    manifest = {
        "kind": "adapter",
        "name": f"acme.{name}@v1",
        "base": {"name": base.name, "digest": base.digest},
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "rslora": config["use_rslora"],
        "targets": config["target_modules"],
    }
    return publish(job / "best", folder / "checkpoints", manifest).folder


@pytest.fixture(scope="module")
def good(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    return trained(base, folder, "good", learning_rate=2e-2, epochs=6)


@pytest.fixture(scope="module")
def poor(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poor")
    return trained(base, folder, "poor", learning_rate=1e-3, epochs=1)


def measured(base: Base, candidate: Path, champion: Path | None, folder: Path) -> Any:
    rows = [{**row, "id": f"held-out-{row['id']}"} for row in ROWS]
    return evaluate(
        job_folder(folder / "job", base, candidate, rows, champion=champion, train_rows=ROWS)
    )


def test_a_trained_checkpoint_beats_its_base_and_may_serve(
    base: Base, good: Path, tmp_path: Path
) -> None:
    report = measured(base, good, None, tmp_path)
    # The head of a random base is frozen, so that an adapter can win half a nat and no more.
    assert report["models"]["candidate"]["loss"] < report["models"]["base"]["loss"] - 0.3
    verdict = judge(report)
    assert "better_than_base" in {reason.code for reason in verdict.in_favour}
    assert verdict.passed, [sentence(reason) for reason in verdict.against]


def test_a_poorer_checkpoint_does_not_replace_a_better_one(
    base: Base, good: Path, poor: Path, tmp_path: Path
) -> None:
    verdict = judge(measured(base, poor, good, tmp_path))
    assert not verdict.passed
    assert "worse_than_champion" in {reason.code for reason in verdict.against}


def test_a_better_checkpoint_replaces_a_poorer_one_and_its_equal(
    base: Base, good: Path, poor: Path, tmp_path: Path
) -> None:
    assert judge(measured(base, good, poor, tmp_path / "better")).passed
    assert judge(measured(base, good, good, tmp_path / "equal")).passed
