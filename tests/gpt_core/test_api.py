"""The native API of gpt_core: shapes, faults by field, and who may do what."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from accounts import services as accounts
from accounts.access import credential_of
from accounts.permissions import SCOPES_OF_KEYS
from gpt_core.models import FineTuningJob, JobMetric, State
from gpt_core.services import engines
from tenancy.models import Membership, Role, Tenant
from tests.factories import make_member
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_job, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]


@pytest.fixture
def owner(in_tenant: Tenant) -> Client:
    client = Client(HTTP_X_TENANT=in_tenant.slug)
    client.force_login(make_member(in_tenant, Role.OWNER))
    return client


@pytest.fixture
def viewer(in_tenant: Tenant) -> Client:
    client = Client(HTTP_X_TENANT=in_tenant.slug)
    client.force_login(make_member(in_tenant, Role.VIEWER))
    return client


@pytest.fixture
def key(in_tenant: Tenant) -> Client:
    """Made by an owner, with everything that a key may do."""
    owner = Membership.objects.get(user=make_member(in_tenant, Role.OWNER))
    _key, secret = accounts.create_api_key(name="k", scopes=SCOPES_OF_KEYS, by=credential_of(owner))
    return Client(HTTP_AUTHORIZATION=f"Bearer {secret}")


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(f"/api/v1/{path}", body or {}, content_type="application/json")


def test_a_job_is_started_listed_and_looked_at(key: Client) -> None:
    make_base()
    version = make_version()

    made = post(
        key,
        "jobs/",
        {
            "dataset_version": str(version.pk),
            "deployment": "support",
            "suffix": "第一",
            "hyperparameters": {"epochs": 2},
        },
    )

    assert made.status_code == 201, made.json()
    job = made.json()
    assert (job["state"], job["name"], job["base_model"]) == (
        "validating_files", "第一", "smollm2-135m-instruct",
    )  # fmt: skip
    assert job["hyperparameters"]["epochs"] == 2
    assert [one["id"] for one in key.get("/api/v1/jobs/").json()["items"]] == [job["id"]]
    FineTuningJob.objects.filter(pk=job["id"]).move(State.QUEUED)
    assert key.get(f"/api/v1/jobs/{job['id']}/").json()["queue_position"] == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "dataset_version"),
        ({"dataset_version": "7"}, 400, "dataset_version"),
        ({"dataset_version": str(uuid.uuid4())}, 404, "dataset_version"),
        ({"base_model": "gpt-9"}, 404, "base_model"),
        ({"deployment": "../x"}, 400, "deployment"),
        ({"hyperparameters": {"epochs": "many"}}, 400, "hyperparameters.epochs"),
        ({"hyperparameters": 3}, 400, "hyperparameters"),
        ({"method": {"type": "dora"}}, 400, "method.type"),
        ({"seed": 1.5}, 400, "seed"),
        ({"learning_rate": 1}, 400, "learning_rate"),
    ],
)
def test_a_wrong_field_is_named(key: Client, body: dict[str, Any], status: int, field: str) -> None:
    make_base()
    right = {"dataset_version": str(make_version().pk), "deployment": "support"}

    answer = post(key, "jobs/", (right | body) if body else {"deployment": "support"})

    assert answer.status_code == status, answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert not FineTuningJob.objects.exists()


def test_a_job_is_cancelled_and_then_retried(key: Client) -> None:
    job = make_job()
    assert post(key, f"jobs/{job.pk}/cancel/").json()["state"] == "cancelled"
    assert post(key, f"jobs/{job.pk}/cancel/").status_code == 409
    again = post(key, f"jobs/{job.pk}/retry/")
    assert (again.status_code, again.json()["retry_of"]) == (201, str(job.pk))


def test_a_job_is_paused_and_resumed(key: Client) -> None:
    job = make_job()
    assert post(key, f"jobs/{job.pk}/pause/").json()["state"] == "paused"
    assert post(key, f"jobs/{job.pk}/resume/").json()["state"] == "queued"


def test_the_story_is_read_from_where_one_stopped(key: Client) -> None:
    job = make_job()
    for code in ("created", "queued", "cancelled"):
        job.events.create(job=job, code=code)
    first = key.get(f"/api/v1/jobs/{job.pk}/events/").json()
    assert [one["code"] for one in first["items"]] == ["created", "queued", "cancelled"]
    again = key.get(f"/api/v1/jobs/{job.pk}/events/", {"after": first["after"]}).json()
    assert again == {"items": [], "after": first["after"]}
    assert key.get(f"/api/v1/jobs/{job.pk}/events/", {"after": "x"}).status_code == 400
    assert key.get(f"/api/v1/jobs/{job.pk}/events/", {"after": "９"}).status_code == 400


def test_a_long_curve_is_thinned_and_keeps_its_newest_point(key: Client) -> None:
    job = make_job()
    JobMetric.objects.bulk_create(
        JobMetric(job=job, kind="train", step=step, loss=1 / step) for step in range(1, 5002)
    )
    curves = key.get(f"/api/v1/jobs/{job.pk}/metrics/").json()
    steps = curves["train"]["step"]
    assert 1000 < len(steps) <= 2000
    assert steps[-1] == 5001
    assert curves["validation"]["step"] == []
    newest = key.get(f"/api/v1/jobs/{job.pk}/metrics/", {"after_step": 4999}).json()
    assert newest["train"]["step"] == [5000, 5001]


def test_a_failure_is_told_with_its_line(key: Client) -> None:
    job = make_job(
        state=State.FAILED,
        failure_code="row_without_labels",
        failure_whose="user",
        failure_line=7,
        failure_detail="没有",
    )
    failure = key.get(f"/api/v1/jobs/{job.pk}/").json()["failure"]
    assert (failure["code"], failure["whose"], failure["line"]) == ("row_without_labels", "user", 7)


def test_a_verdict_comes_with_its_sentences(key: Client, in_tenant: Tenant) -> None:
    evaluation = make_evaluation(make_checkpoint(in_tenant), passed=False)
    verdict = key.get(f"/api/v1/evaluations/{evaluation.pk}/").json()["verdict"]
    assert verdict["passed"] is False
    assert "3" in verdict["sentences"][0]
    assert verdict["summary"]


def test_a_checkpoint_is_evaluated_promoted_and_rolled_back(
    key: Client, in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "load", lambda checkpoint: None)
    checkpoint = make_checkpoint(in_tenant)
    asked = post(key, f"checkpoints/{checkpoint.pk}/evaluate/")
    assert (asked.status_code, asked.json()["state"]) == (201, "queued")
    refused = post(key, "deployments/promote/", {"checkpoint": str(checkpoint.pk)})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_evaluated")
    make_evaluation(checkpoint)

    slot = post(key, "deployments/promote/", {"checkpoint": str(checkpoint.pk)}).json()

    assert (slot["name"], slot["model"]) == ("support", checkpoint.name)
    assert post(key, f"deployments/{slot['id']}/roll-back/").json()["checkpoint"] is None
    kinds = [
        one["kind"] for one in key.get(f"/api/v1/deployments/{slot['id']}/changes/").json()["items"]
    ]
    assert kinds == ["roll_back", "promote"]


def test_a_key_of_an_owner_cannot_overrule_the_gate_but_the_owner_can(
    key: Client, owner: Client, in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "load", lambda checkpoint: None)
    checkpoint = make_checkpoint(in_tenant)
    make_evaluation(checkpoint, passed=False)
    body = {"checkpoint": str(checkpoint.pk), "override_reason": "我知道"}

    refused = post(key, "deployments/promote/", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "owner_needed")
    assert post(owner, "deployments/promote/", body).status_code == 200


def test_a_viewer_may_look_and_not_touch(viewer: Client, in_tenant: Tenant) -> None:
    job = make_job()
    checkpoint = make_checkpoint(in_tenant)
    for path in (
        "bases/",
        "jobs/",
        f"jobs/{job.pk}/",
        "checkpoints/",
        "evaluations/",
        "deployments/",
    ):
        assert viewer.get(f"/api/v1/{path}").status_code == 200
    for path in (
        "jobs/",
        f"jobs/{job.pk}/cancel/",
        f"jobs/{job.pk}/retry/",
        f"checkpoints/{checkpoint.pk}/evaluate/",
        "deployments/promote/",
    ):
        assert post(viewer, path).status_code == 403


def test_the_bases_say_whether_an_engine_serves_them(key: Client, settings: Any) -> None:
    make_base(name="served")
    make_base(name="idle")
    settings.GPT_ENGINES = {"served": "http://127.0.0.1:1"}
    found = {one["name"]: one["served"] for one in key.get("/api/v1/bases/").json()["items"]}
    assert found == {"served": True, "idle": False}
