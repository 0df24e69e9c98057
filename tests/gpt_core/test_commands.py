"""The main job from the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from gpt_core import client
from gpt_core.client import EngineUnavailableError, Piece
from gpt_core.models import BaseModel, Checkpoint, Deployment, Evaluation, FineTuningJob, State
from gpt_core.services import engines
from labeling.models import Dataset, DatasetVersion
from tenancy.models import Role, Tenant
from tests.factories import make_member
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]
COMMANDS = sorted(name for name, app in get_commands().items() if app == "gpt_core")


def run(name: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def dataset(in_tenant: Tenant) -> Dataset:
    make_base()
    return make_version().dataset


def test_the_commands_are_all_there() -> None:
    assert COMMANDS == [
        "chat", "collect_checkpoints", "evaluate", "fine_tune", "jobs", "prepare_base", "promote", "roll_back",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_what_the_command_does_and_what_every_argument_is(name: str) -> None:
    parser = load_command_class("gpt_core", name).create_parser("manage.py", name)
    assert len(parser.description or "") > 60
    undocumented = [one.dest for one in parser._actions if not one.help]
    assert undocumented == []


def test_a_job_is_tuned_here_and_evaluated(
    dataset: Dataset, engine_that: Any, in_tenant: Tenant
) -> None:
    engine_that("work")

    told = run("fine_tune", dataset.slug, "--dataset-version", "1", "--local", "--deployment", "support",
               "--set", "learning_rate=0.001", "--set", "rank=4", "--suffix", "第一")  # fmt: skip

    job = FineTuningJob.objects.get()
    assert (job.state, job.name, job.method["rank"]) == (State.SUCCEEDED, "第一", 4)
    assert job.hyperparameters["learning_rate"] == 0.001
    assert Checkpoint.objects.get().name in told
    assert Evaluation.objects.get().state == State.SUCCEEDED


def test_a_version_is_frozen_where_none_is_named(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpt_core.management.commands import fine_tune

    frozen = DatasetVersion.objects.get()
    monkeypatch.setattr(fine_tune, "freeze_version", lambda *, dataset: frozen)
    assert "Queued" in run("fine_tune", dataset.slug, "--detach")
    assert FineTuningJob.objects.get().dataset_version == frozen


def test_a_failed_job_ends_the_command_with_its_line_and_its_log(
    dataset: Dataset, engine_that: Any
) -> None:
    engine_that("user")
    with pytest.raises(CommandError, match=r"row_without_labels \(line 7\): 没有标签"):
        run("fine_tune", dataset.slug, "--dataset-version", "1", "--local")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "There are: support-"),
        (["{slug}", "--dataset-version", "9"], "no version 9"),
        (["{slug}", "--dataset-version", "1", "--base", "gpt-9"], "prepare_base gpt-9"),
        (["{slug}", "--dataset-version", "1", "--set", "epochs"], "NAME=VALUE"),
        (["{slug}", "--dataset-version", "1", "--set", "epochs=many"], "hyperparameters.epochs"),
        (["{slug}", "--dataset-version", "1", "--set", "speed=9"], "learning_rate"),
        (["{slug}", "--tenant", "nobody"], "No tenant 'nobody'"),
    ],
)
def test_a_wrong_argument_is_answered_with_what_there_is(
    dataset: Dataset, arguments: list[str], said: str
) -> None:
    with pytest.raises(CommandError) as refused:
        run("fine_tune", *[one.format(slug=dataset.slug) for one in arguments])
    assert said in str(refused.value)


def test_with_two_tenants_one_is_to_be_named(in_tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="--tenant"):
        run("jobs")
    assert run("jobs", "--tenant", in_tenant.slug)


def test_an_evaluation_is_shown_as_a_table_with_answers_and_verdict(
    in_tenant: Tenant, engine_that: Any
) -> None:
    engine_that("work")
    checkpoint = make_checkpoint(in_tenant)

    told = run("evaluate", "support", "--local")

    assert checkpoint.name in told
    assert "退货？" in told
    assert "candidate" in told
    assert Evaluation.objects.get().passed


def test_promote_and_roll_back(in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "load", lambda checkpoint: None)
    make_member(in_tenant, Role.OWNER)
    checkpoint = make_checkpoint(in_tenant)
    with pytest.raises(CommandError, match="not been evaluated"):
        run("promote", "support")
    assert checkpoint.name in run("promote", "support", "--override", "看过了")
    assert "smollm2-135m-instruct answers" in run("roll_back", "support")
    with pytest.raises(CommandError, match="There are: support"):
        run("roll_back", "news")


def test_jobs_are_listed_and_cancelled(in_tenant: Tenant) -> None:
    job = make_job(number=3)
    assert "support@v3" in run("jobs")
    assert "cancelled" in run("jobs", "cancel", "support@v3")
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert "cancelled" in run("jobs", "log", str(job.pk))
    with pytest.raises(CommandError, match=r"manage\.py jobs"):
        run("jobs", "cancel", "nothing")


def test_chat_streams_what_the_deployment_answers(
    in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint)
    Deployment.objects.create(
        name="support", base_model=checkpoint.base_model, checkpoint=checkpoint
    )
    asked: list[Any] = []

    def stream(**values: Any) -> Iterator[Piece]:
        asked.append(values)
        yield from (Piece("三到"), Piece("五天", "stop"))

    monkeypatch.setattr(client, "stream", stream)
    assert run("chat", "support", "退货？", "--system", "客服").strip() == "三到五天"
    assert asked[0]["model"] == checkpoint
    assert [one["content"] for one in asked[0]["messages"]] == ["客服", "退货？"]
    assert run("chat", "--base", "Hello").strip() == "三到五天"
    assert asked[1]["model"] == "smollm2-135m-instruct"


def test_chat_without_an_engine_says_how_to_start_one(
    in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(**values: Any) -> Iterator[Piece]:
        raise EngineUnavailableError
        yield

    monkeypatch.setattr(client, "stream", stream)
    with pytest.raises(CommandError, match="serve_base"):
        run("chat", "--base", "Hello")


def test_a_base_is_prepared_by_the_engine_s_own_program_and_registered(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gpt_core.management.commands import prepare_base

    base = {
        "name": "tiny", "digest": "a" * 64, "folder": str(home / "bases" / "tiny-aaaa"),
        "architecture": "llama", "parameters": 1000, "context": 256, "languages": ["en"],
    }  # fmt: skip
    lines = [{"progress": 0.5, "message": "converting"}, {"base": base}]
    program = tmp_path / "program.py"
    program.write_text("".join(f"print({json.dumps(json.dumps(line))})\n" for line in lines))
    started = prepare_base.subprocess.Popen
    monkeypatch.setattr(
        prepare_base.subprocess,
        "Popen",
        lambda command, **options: started([sys.executable, str(program)], **options),
    )

    assert "tiny" in run("prepare_base", "tiny")
    run("prepare_base", "tiny")

    row = BaseModel.objects.get()
    assert (row.name, row.folder_name, row.context) == ("tiny", "tiny-aaaa", 256)


def test_a_base_that_cannot_be_prepared_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gpt_core.management.commands import prepare_base

    program = tmp_path / "program.py"
    program.write_text('print(\'{"error": {"code": "base_offline", "detail": "no network"}}\')')
    started = prepare_base.subprocess.Popen
    monkeypatch.setattr(
        prepare_base.subprocess,
        "Popen",
        lambda command, **options: started([sys.executable, str(program)], **options),
    )
    with pytest.raises(CommandError, match="base_offline: no network"):
        run("prepare_base", "somebody/something")
