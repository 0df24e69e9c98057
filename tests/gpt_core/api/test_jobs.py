"""/v1/fine_tuning/jobs without a trainer: what is asked for, refused, checked and told."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gpt_core import file_admission
from gpt_core.models import FineTuningJob, JobEvent, JobMetric, State
from labeling.models import Dataset, Example
from labeling.services import delete_file
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.gpt_core.rows import make_base, make_checkpoint, make_job
from tests.labeling.conftest import questions

from .conftest import Caller, MakeCaller, said
from .job_calls import BASE, admit, create, file_id, keep


@pytest.fixture(autouse=True)
def _quiet(home: Path, rings: list[int]) -> None:
    """A home of its own, and no broker."""


@pytest.fixture
def base(db: None) -> Any:
    return make_base(name=BASE)


@pytest.fixture
def training(tenant: Tenant) -> str:
    return file_id(keep(tenant, questions(40)))


def test_a_job_is_there_at_once_and_its_files_are_checked_later(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    validation = file_id(keep(tenant, questions(10, start=100), "验证.jsonl"))
    job = create(
        caller,
        training,
        validation_file=validation,
        suffix="客服 Support_1",
        seed=7,
        metadata={"team": "支持"},
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {
                    "n_epochs": 2,
                    "batch_size": "auto",
                    "learning_rate_multiplier": 0.5,
                    "lora": {"type": "rslora", "rank": 4},
                    "patience": 0,
                }
            },
        },
        integrations=[],
    )
    assert job["status"] == "validating_files"
    assert (job["training_file"], job["validation_file"]) == (training, validation)
    assert (job["seed"], job["metadata"]) == (7, {"team": "支持"})
    assert job["hyperparameters"] == {
        "n_epochs": 2,
        "batch_size": "auto",
        "learning_rate_multiplier": 0.5,
    }
    assert job["method"]["supervised"]["hyperparameters"]["lora"] == {"type": "rslora", "rank": 4}
    assert job["fine_tuned_model"] is job["trained_tokens"] is job["error"] is None

    admit()

    found = caller.get(f"fine_tuning/jobs/{job['id']}")[1]
    assert found["status"] == "queued"
    assert found == caller.get("fine_tuning/jobs")[1]["data"][0]
    with tenant_scope(tenant):
        row = FineTuningJob.objects.get()
        assert row.dataset_version is not None
        assert row.dataset_version.counts["validation"] == 10
        assert row.dataset_version.counts["test"] > 0
        assert row.deployment_name == "support-1"
    told = caller.get(f"fine_tuning/jobs/{job['id']}/events")[1]["data"]
    assert [event["data"]["code"] for event in told] == [
        "queued", "file_checked", "file_checked", "created",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": "nothing"}, "model_not_found", "model"),
        ({"model": 7}, "invalid_value", "model"),
        ({"model": "x" * 100_000}, "model_not_found", "model"),
        ({"training_file": None}, "missing_required_parameter", "training_file"),
        ({"training_file": "file-" + "0" * 32}, "not_found", "training_file"),
        ({"training_file": ["a"]}, "invalid_value", "training_file"),
        ({"validation_file": "nothing"}, "not_found", "validation_file"),
        ({"suffix": "x" * 65}, "invalid_value", "suffix"),
        ({"suffix": 5}, "invalid_value", "suffix"),
        ({"seed": -1}, "invalid_value", "seed"),
        ({"seed": "7"}, "invalid_value", "seed"),
        ({"seed": True}, "invalid_value", "seed"),
        ({"colour": "red"}, "unknown_parameter", "colour"),
        ({"integrations": [{"type": "wandb"}]}, "unsupported_parameter", "integrations"),
        ({"method": "supervised"}, "invalid_value", "method"),
        ({"method": {"type": "dpo"}}, "unsupported_parameter", "method.type"),
        ({"method": {"type": "magic"}}, "invalid_value", "method.type"),
        (
            {"method": {"type": "supervised", "supervised": {"x": 1}}},
            "unknown_parameter",
            "method.supervised.x",
        ),
        ({"hyperparameters": {"n_epochs": 0}}, "invalid_value", "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": "many"}}, "invalid_value", "hyperparameters.n_epochs"),
        ({"hyperparameters": {"epochs": 3}}, "unknown_parameter", "hyperparameters.epochs"),
        ({"hyperparameters": {"lora": {"rank": 0}}}, "invalid_value", "hyperparameters.lora.rank"),
        (
            {"hyperparameters": {"lora": {"depth": 1}}},
            "unknown_parameter",
            "hyperparameters.lora.depth",
        ),
        (
            {"hyperparameters": {"learning_rate": 0.1, "learning_rate_multiplier": 2}},
            "invalid_value",
            "hyperparameters.learning_rate_multiplier",
        ),
        ({"metadata": {"a": 1}}, "invalid_value", "metadata.a"),
        ({"metadata": {"a" * 65: ""}}, "invalid_value", "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "invalid_value", "metadata"),
        ({"metadata": []}, "invalid_value", "metadata"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    more: dict[str, Any], code: str, param: str, caller: Caller, base: Any, training: str
) -> None:
    status, document = caller.post(
        "fine_tuning/jobs", {"model": BASE, "training_file": training} | more
    )
    assert (status in (400, 404), said(document)) == (True, (code, param))


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "7", '{"model": NaN}', b"\xff", "null"])
def test_a_body_that_is_no_object_is_refused(body: str | bytes, caller: Caller) -> None:
    status, document = caller.post("fine_tuning/jobs", body or " ")
    assert status == 400
    said(document)


def test_every_fault_of_a_file_is_told_with_its_line_and_place(
    caller: Caller, base: Any, tenant: Tenant
) -> None:
    rows = questions(12).splitlines()
    rows[3] = '{"messages": [{"role": "客户", "content": "在吗"}]}'
    rows[7] = "{not json"
    job = create(caller, file_id(keep(tenant, "\n".join(rows))))

    admit()

    found = caller.get(f"fine_tuning/jobs/{job['id']}")[1]
    assert found["status"] == "failed"
    assert found["finished_at"] is not None
    assert (found["error"]["code"], found["error"]["param"]) == ("role_unknown", "training_file")
    assert "4" in found["error"]["message"]
    assert "/messages/0/role" in found["error"]["message"]
    event = caller.get(f"fine_tuning/jobs/{job['id']}/events")[1]["data"][0]
    assert (event["level"], event["data"]["fault_count"]) == ("error", 2)
    assert [(f["line"], f["code"]) for f in event["data"]["faults"]] == [
        (4, "role_unknown"),
        (8, "json_malformed"),
    ]
    with tenant_scope(tenant):
        # The rows that could be read taught nothing and are not kept.
        assert not Dataset.objects.exists()
        assert FineTuningJob.objects.get().failure_whose == "user"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (questions(5), "dataset_too_small"),
        ("\n\n", "file_empty"),
        (b"\x89PNG\r\n", "form_foreign"),
        ("hello", "form_unknown"),
    ],
)
def test_a_file_that_cannot_be_learned_from_fails_the_job(
    text: str | bytes, code: str, caller: Caller, base: Any, tenant: Tenant
) -> None:
    job = create(caller, file_id(keep(tenant, text, "rows")))
    admit()
    error = caller.get(f"fine_tuning/jobs/{job['id']}")[1]["error"]
    assert (error["code"], error["param"]) == (code, "training_file")
    assert error["message"]


def test_a_fault_in_the_validation_file_is_told_as_such(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    validation = file_id(keep(tenant, '{"prompt": ""}\n'))
    job = create(caller, training, validation_file=validation)
    admit()
    assert caller.get(f"fine_tuning/jobs/{job['id']}")[1]["error"]["param"] == "validation_file"


def test_a_file_deleted_meanwhile_fails_the_job(caller: Caller, base: Any, tenant: Tenant) -> None:
    file = keep(tenant, questions(20))
    job = create(caller, file_id(file))
    with tenant_scope(tenant):
        delete_file(file)
    admit()
    assert caller.get(f"fine_tuning/jobs/{job['id']}")[1]["error"]["code"] == "file_deleted"


def test_a_job_can_be_cancelled_while_its_files_are_read(
    caller: Caller, base: Any, training: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = create(caller, training)

    def cancel_first(self: Any, share: float) -> None:
        monkeypatch.undo()
        assert caller.post(f"fine_tuning/jobs/{job['id']}/cancel")[1]["status"] == "cancelled"
        self._renewed = 0.0
        self._renew(share)

    monkeypatch.setattr(file_admission._Admission, "_renew", cancel_first)
    admit()
    assert caller.get(f"fine_tuning/jobs/{job['id']}")[1]["status"] == "cancelled"
    with tenant_scope(tenant):
        assert not Example.objects.exists()


def test_what_a_dead_worker_began_another_finishes_without_a_row_twice(
    caller: Caller, base: Any, training: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(caller, training)

    class Killed(BaseException):
        pass

    def die(*_values: Any, **_options: Any) -> None:
        raise Killed

    monkeypatch.setattr(file_admission, "freeze_version", die)
    with pytest.raises(Killed):
        admit()
    monkeypatch.undo()
    with system_scope("test"):
        assert not file_admission.waits()
        FineTuningJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert file_admission.waits()
    admit()
    with tenant_scope(tenant):
        job = FineTuningJob.objects.get()
        assert (job.state, Example.objects.count()) == (State.QUEUED, 40)


def test_a_fault_of_ours_is_tried_again_and_given_up_in_the_end(
    caller: Caller, base: Any, training: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = create(caller, training)

    def break_down(*_values: Any, **_options: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(file_admission, "freeze_version", break_down)
    for _attempt in range(4):
        with system_scope("test"):
            FineTuningJob.objects.update(lease_until=None)
            assert file_admission.admit_next()
    found = caller.get(f"fine_tuning/jobs/{job['id']}")[1]
    assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


def test_the_tenant_with_least_under_way_goes_first(
    call: MakeCaller, base: Any, tenant: Tenant, other_tenant: Tenant
) -> None:
    ours, theirs = call(), call(tenant=other_tenant)
    first = [create(ours, file_id(keep(tenant, questions(20)))) for _ in range(3)]
    last = create(theirs, file_id(keep(other_tenant, questions(20))))
    with system_scope("test"):
        held = FineTuningJob.objects.get(pk=first[0]["id"].removeprefix("ftjob-"))
        assert file_admission._claim(held)
        assert str(file_admission._in_order()[0].pk.hex) == last["id"].removeprefix("ftjob-")


def test_jobs_are_listed_in_pages_and_by_their_metadata(
    caller: Caller, base: Any, training: str
) -> None:
    made = [
        create(caller, training, metadata={"team": team} if team else None)["id"]
        for team in ("a", "b", "", "a")
    ][::-1]
    first = caller.get("fine_tuning/jobs", limit=3)[1]
    rest = caller.get("fine_tuning/jobs", limit=3, after=first["data"][-1]["id"])[1]
    assert [job["id"] for job in first["data"] + rest["data"]] == made
    assert (first["has_more"], rest["has_more"]) == (True, False)
    of_a = caller.get("fine_tuning/jobs", **{"metadata[team]": "a"})[1]["data"]
    assert [job["id"] for job in of_a] == [made[0], made[3]]
    without = caller.get("fine_tuning/jobs", metadata="null")[1]["data"]
    assert [job["id"] for job in without] == [made[1]]
    assert caller.get("fine_tuning/jobs", **{"metadata[team__contains]": "a"})[1]["data"] == []
    assert said(caller.get("fine_tuning/jobs", colour="red")[1])[1] == "colour"


def test_events_and_figures_are_one_story_in_pages(caller: Caller, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        job = make_job(steps=40)
        now = timezone.now()
        for step in range(1, 21):
            JobMetric.objects.create(
                job=job, kind="train", step=step, loss=1 / step, created_at=now
            )
            JobEvent.objects.create(
                job=job, code="state_saved", data={"step": step}, created_at=now
            )
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = caller.get(f"fine_tuning/jobs/ftjob-{job.pk.hex}/events", limit=7, **after)[1]
        seen += [event["id"] for event in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["data"][-1]["id"]}
    assert len(seen) == len(set(seen)) == 40


def test_a_result_has_its_public_name_and_can_be_deleted_where_it_serves_nowhere(
    caller: Caller, tenant: Tenant, base: Any
) -> None:
    with tenant_scope(tenant):
        job = make_job(state=State.SUCCEEDED, name="客服", best_step=9, base_model=base)
        checkpoint = make_checkpoint(tenant, job=job)
        JobMetric.objects.create(job=job, kind="validation", step=9, loss=0.5)
    found = caller.get(f"fine_tuning/jobs/ftjob-{job.pk.hex}")[1]
    name = found["fine_tuned_model"]
    assert name == f"ft:{BASE}:{tenant.slug}:客服:{job.pk.hex[:10]}"
    kept = caller.get(f"fine_tuning/jobs/ftjob-{job.pk.hex}/checkpoints")[1]["data"]
    assert [one["fine_tuned_model_checkpoint"] for one in kept] == [f"{name}:ckpt-step-9"]
    assert kept[0]["metrics"]["full_valid_loss"] == 0.5
    for alias in (name, f"{name}:ckpt-step-9", checkpoint.name):
        status, model = caller.get(f"models/{alias}")
        assert (status, model["id"], model["owned_by"]) == (200, alias, tenant.slug)
    assert name in [model["id"] for model in caller.get("models")[1]["data"]]
    for wrong in (f"{name}x", f"{name}:ckpt-step-8", name.replace("客服", "客"), "ft:", "ft:::::"):
        assert caller.get(f"models/{wrong}")[0] == 404

    assert caller.delete(f"models/{name}") == (
        200,
        {"id": name, "object": "model", "deleted": True},
    )
    assert caller.get(f"models/{name}")[0] == 404
    assert said(caller.delete(f"models/{BASE}")[1])[0] == "model_not_yours"


def test_a_model_that_serves_is_not_deleted(caller: Caller, tenant: Tenant, base: Any) -> None:
    from gpt_core.models import Deployment

    with tenant_scope(tenant):
        checkpoint = make_checkpoint(tenant)
        Deployment.objects.create(name="support", base_model=base, checkpoint=checkpoint)
    status, document = caller.delete(f"models/{checkpoint.name}")
    assert (status, said(document)[0]) == (400, "checkpoint_serves")
    assert caller.get("models/support")[1]["id"] == "support"


def test_pause_and_resume_answer_with_the_job(caller: Caller, tenant: Tenant, base: Any) -> None:
    with tenant_scope(tenant):
        job = make_job()
    path = f"fine_tuning/jobs/ftjob-{job.pk.hex}"
    assert caller.post(f"{path}/pause")[1]["status"] == "paused"
    assert said(caller.post(f"{path}/pause")[1])[0] == "wrong_state"
    assert caller.post(f"{path}/resume")[1]["status"] == "queued"
    assert caller.post(f"{path}/cancel")[1]["status"] == "cancelled"
    assert said(caller.post(f"{path}/cancel", {"force": True})[1]) == (
        "unknown_parameter",
        "force",
    )


@pytest.mark.parametrize("verb", ["", "/cancel", "/pause", "/resume", "/events", "/checkpoints"])
def test_another_companys_job_is_unknown(
    verb: str, call: MakeCaller, tenant: Tenant, other_tenant: Tenant, base: Any
) -> None:
    with tenant_scope(tenant):
        job = make_job()
    stranger = call(tenant=other_tenant)
    ask = stranger.post if verb in ("/cancel", "/pause", "/resume") else stranger.get
    theirs, nobodys = f"ftjob-{job.pk.hex}", "ftjob-" + "0" * 32
    answers = [ask(f"fine_tuning/jobs/{name}{verb}") for name in (theirs, nobodys)]
    assert answers[0][0] == answers[1][0] == 404
    assert json.dumps(answers[0]).replace(theirs, "") == json.dumps(answers[1]).replace(nobodys, "")


def test_a_job_made_on_the_pages_is_told_in_the_same_shape(caller: Caller, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        job = make_job(state=State.FAILED, failure_code="diverged", failure_whose="user")
    found = caller.get(f"fine_tuning/jobs/ftjob-{job.pk.hex}")[1]
    assert found["training_file"] == f"dataset-version-{job.dataset_version_id}"
    assert found["error"]["code"] == "diverged"


def test_a_failed_job_of_files_is_retried_from_its_files(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    from gpt_core.services import retry_job

    job = create(caller, training, suffix="again")
    caller.post(f"fine_tuning/jobs/{job['id']}/cancel")
    with tenant_scope(tenant):
        again = retry_job(FineTuningJob.objects.get())
    admit()
    found = caller.get(f"fine_tuning/jobs/ftjob-{again.pk.hex}")[1]
    assert (found["status"], found["training_file"]) == ("queued", training)
