"""The whole evaluation on tiny bases: the report, the events, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpt_core.engine.bases import Base, open_base
from gpt_core.engine.checkpoint import publish
from gpt_core.engine.errors import EngineError
from gpt_core.engine.evaluation.__main__ import main
from gpt_core.engine.evaluation.metrics import METRICS
from gpt_core.engine.evaluation.procedure import evaluate
from tests.tiny import tiny_base

from .stage import chat_row, events_of, job_folder, label_row, random_checkpoint

CHAT = [
    *(chat_row(n, f"When do you open on day {n}?", "We open at nine. " * (n % 4 + 1)) for n in range(14)),
    *(chat_row(50 + n, f"第{n}个订单怎么退货？", "退货需要三到五天。" * (n % 3 + 1)) for n in range(12)),
]  # fmt: skip
LABELLED = [
    label_row(100 + n, f"My parcel {n} is late", "shipping" if n % 2 else "退款") for n in range(24)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def candidate(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(base, tmp_path_factory.mktemp("candidate"), size=0.2)


@pytest.fixture(scope="module")
def whole(base: Base, candidate: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One evaluation of everything at once: chat, labels, Chinese, a champion."""
    folder = tmp_path_factory.mktemp("whole")
    champion = random_checkpoint(base, folder, seed=2, size=0.2, name="acme.support@v2")
    job = job_folder(
        folder / "job",
        base,
        candidate,
        CHAT + LABELLED,
        champion=champion,
        train_rows=CHAT + LABELLED,
    )
    return job, evaluate(job)


def test_the_report_has_every_metric_of_every_model_and_both_differences(whole: Any) -> None:
    _, report = whole
    assert report["n"] == 50
    assert set(report["metrics"]) == set(METRICS)
    for name in ("base", "candidate", "champion"):
        assert set(report["models"][name]) == set(METRICS)
    for other in ("base", "champion"):
        for figures in report["differences"][f"candidate_minus_{other}"].values():
            assert figures["low"] <= figures["high"]
    assert report["differences"]["candidate_minus_base"]["loss"]["n"] == 50
    assert report["differences"]["candidate_minus_base"]["label_accuracy"]["n"] == 24
    assert report["names"]["candidate"].startswith("acme.support@v1-")


def test_the_report_on_disk_is_the_report_and_strict_json(whole: Any) -> None:
    job, report = whole
    assert json.loads((job / "report.json").read_text(encoding="utf-8")) == report


def test_slices_by_label_length_and_language_hold_ten_rows_or_more(whole: Any) -> None:
    _, report = whole
    assert set(report["slices"]) == {"label", "length", "language"}
    assert set(report["slices"]["label"]) == {"shipping", "退款"}
    assert report["slices"]["language"]["zh"]["n"] >= 12
    for values in report["slices"].values():
        for figures in values.values():
            assert figures["n"] >= 10
            assert "loss" in figures["differences"]["candidate_minus_base"]


def test_the_samples_are_spread_over_length_and_the_same_every_time(
    whole: Any, base: Base, candidate: Path, tmp_path: Path
) -> None:
    _, report = whole
    samples = report["samples"]
    assert len(samples) == len({sample["id"] for sample in samples}) == 20
    lengths = [len(sample["reference"]) for sample in samples]
    assert min(lengths) < 10
    assert max(lengths) > 40
    assert all({"base", "candidate", "champion"} <= set(sample) for sample in samples)
    again = evaluate(job_folder(tmp_path / "job", base, candidate, CHAT + LABELLED))
    assert [sample["id"] for sample in again["samples"]] == [sample["id"] for sample in samples]


def test_every_figure_can_be_traced_to_the_rows(whole: Any) -> None:
    job, report = whole
    lines = (job / "evaluation-rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [row["id"] for row in CHAT + LABELLED]
    rouge = [row["candidate"]["rouge_l"] for row in rows]
    assert sum(rouge) / 50 == pytest.approx(report["models"]["candidate"]["rouge_l"])
    tokens = sum(row["base"]["tokens"] for row in rows)
    loss = sum(row["base"]["loss"] * row["base"]["tokens"] for row in rows) / tokens
    assert loss == pytest.approx(report["models"]["base"]["loss"])


def test_the_same_job_gives_the_same_figures(base: Base, candidate: Path, tmp_path: Path) -> None:
    first, second = (
        evaluate(job_folder(tmp_path / name, base, candidate, CHAT, train_rows=CHAT))
        for name in ("first", "second")
    )
    for key in ("models", "differences", "slices", "samples"):
        assert first[key] == second[key]


def test_progress_grows_to_its_total_with_an_estimate(whole: Any) -> None:
    job, _ = whole
    progress = [event for event in events_of(job) if event["type"] == "progress"]
    assert all(event["token"] == 3 for event in progress)
    assert [event["done"] for event in progress] == sorted(event["done"] for event in progress)
    assert progress[-1]["done"] == progress[-1]["total"]
    assert progress[-1]["eta_seconds"] == 0


def test_without_labels_there_are_no_label_metrics(
    base: Base, candidate: Path, tmp_path: Path
) -> None:
    report = evaluate(job_folder(tmp_path / "job", base, candidate, CHAT[:3], train_rows=CHAT))
    assert "label_accuracy" not in report["metrics"]
    assert "label_accuracy" not in report["models"]["base"]


def test_one_row_gives_figures_but_no_interval(base: Base, candidate: Path, tmp_path: Path) -> None:
    report = evaluate(job_folder(tmp_path / "job", base, candidate, CHAT[:1]))
    assert report["n"] == 1
    assert report["differences"]["candidate_minus_base"] == {}


def test_an_untouched_copy_of_the_base_differs_by_nothing(base: Base, tmp_path: Path) -> None:
    nothing = random_checkpoint(base, tmp_path, size=0.0)
    report = evaluate(job_folder(tmp_path / "job", base, nothing, CHAT))
    assert report["models"]["candidate"] == report["models"]["base"]
    difference = report["differences"]["candidate_minus_base"]["loss"]
    assert difference["mean"] == 0
    assert abs(difference["low"]) < 1e-12


def test_a_full_fine_tune_stands_beside_the_base_it_was_made_from(
    base: Base, tmp_path: Path
) -> None:
    other = tiny_base(tmp_path, seed=5)
    work = tmp_path / "work"
    work.mkdir()
    for file in other.folder.iterdir():
        (work / file.name).write_bytes(file.read_bytes())
    published = publish(
        work,
        tmp_path / "checkpoints",
        {
            "kind": "full",
            "name": "acme.support@v9",
            "base": {"name": base.name, "digest": base.digest},
        },
    )
    champion = random_checkpoint(base, tmp_path, size=0.2)
    job = job_folder(tmp_path / "job", base, published.folder, CHAT, champion=champion)
    report = evaluate(job)
    assert set(report["models"]) == {"base", "candidate", "champion"}
    assert report["models"]["candidate"]["loss"] != report["models"]["base"]["loss"]
    assert open_base(published.folder).digest == other.digest


def test_a_row_that_teaches_nothing_is_told_of_and_left_out(
    base: Base, candidate: Path, tmp_path: Path
) -> None:
    silent = chat_row(77, "退货？" * 300, "The question alone fills the context.")
    job = job_folder(tmp_path / "job", base, candidate, [*CHAT, silent])
    report = evaluate(job)
    assert report["n"] == len(CHAT)
    assert report["rows_skipped"] == 1
    log = [event for event in events_of(job) if event["type"] == "log"]
    assert log[0]["code"] == "row_without_labels"
    assert log[0]["line"] == 77


def test_more_rows_than_asked_for_are_drawn_by_the_seed(
    base: Base, candidate: Path, tmp_path: Path
) -> None:
    report = evaluate(job_folder(tmp_path / "job", base, candidate, CHAT, max_rows=5))
    assert report["n"] == 5
    assert report["rows_available"] == len(CHAT)


def test_an_empty_test_split_fails_with_a_code(base: Base, candidate: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        evaluate(job_folder(tmp_path / "job", base, candidate, []))
    assert caught.value.code == "evaluation_without_rows"


def test_a_loss_that_is_not_finite_fails_with_a_code_and_no_report(
    base: Base, tmp_path: Path
) -> None:
    # Finite weights, so that the checkpoint opens, and activations that overflow float32.
    broken = random_checkpoint(base, tmp_path, size=1e30)
    job = job_folder(tmp_path / "job", base, broken, CHAT)
    (job / "report.json").write_text('{"of": "an earlier run"}')
    assert main([str(job)]) == 2
    failed = events_of(job)[-1]
    assert failed["type"] == "failed"
    assert failed["code"] == "evaluation_loss_not_finite"
    assert failed["whose"] == "user"
    assert not (job / "report.json").exists()


def test_a_checkpoint_of_another_base_is_refused(base: Base, tmp_path: Path) -> None:
    stranger = random_checkpoint(tiny_base(tmp_path, seed=9), tmp_path)
    job = job_folder(tmp_path / "job", base, stranger, CHAT)
    assert main([str(job)]) == 3
    assert events_of(job)[-1]["code"] == "checkpoint_base"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"rows": "../secret.jsonl"}, "/rows"),
        ({"max_new_tokens": 0}, "/max_new_tokens"),
        ({"samples": True}, "/samples"),
        ({"base": ""}, "/base"),
        ({"format": 2}, "/format"),
    ],
)
def test_a_wrong_spec_is_refused_with_a_pointer(
    change: dict[str, Any], pointer: str, base: Base, candidate: Path, tmp_path: Path
) -> None:
    job = job_folder(tmp_path / "job", base, candidate, CHAT)
    spec = json.loads((job / "evaluation.json").read_text())
    (job / "evaluation.json").write_text(json.dumps(spec | change))
    with pytest.raises(EngineError) as caught:
        evaluate(job)
    assert caught.value.code == "evaluation_spec_invalid"
    assert caught.value.pointer == pointer


def test_the_process_finishes_with_zero_and_a_finished_event(
    base: Base, candidate: Path, tmp_path: Path
) -> None:
    job = job_folder(tmp_path / "job", base, candidate, CHAT)
    ran = _process(job)
    assert ran.wait(timeout=60) == 0
    types = [event["type"] for event in events_of(job)]
    assert types[0] == "started"
    assert types[-1] == "finished"
    assert (job / "report.json").exists()


def test_a_second_process_in_the_same_folder_does_nothing(
    base: Base, candidate: Path, tmp_path: Path
) -> None:
    import fcntl

    job = job_folder(tmp_path / "job", base, candidate, CHAT)
    with (job / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main([str(job)]) == 3
    assert not (job / "evaluation-events.jsonl").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "the supervisor dies"])
def test_a_killed_evaluation_leaves_no_report(
    how: Any, base: Base, candidate: Path, tmp_path: Path
) -> None:
    many = [{**row, "id": f"{row['id']}-{n}"} for n in range(30) for row in CHAT]
    job = job_folder(tmp_path / "job", base, candidate, many, max_new_tokens=128)
    ran = _process(job)
    deadline = time.monotonic() + 60
    while not (job / "evaluation-events.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if how == "the supervisor dies":
        assert ran.stdin is not None
        ran.stdin.close()
    else:
        ran.send_signal(how)
    code = ran.wait(timeout=60)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 4)
    assert not (job / "report.json").exists()
    if how == signal.SIGTERM:
        assert events_of(job)[-1]["type"] == "stopped"


def _process(job: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PARLEY_SUPERVISED": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "gpt_core.engine.evaluation", str(job)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
