"""What happens to jobs and deployments is told to webhooks, once, and in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from gpt_core import admission, dispatch, services
from gpt_core.models import Checkpoint, Evaluation, FineTuningJob
from gpt_core.services import engines
from gpt_core.supervision import supervise
from tenancy.models import Role, Tenant
from tenancy.scope import system_scope
from tenancy.webhooks.models import WebhookEvent
from tenancy.webhooks.services import create_endpoint
from tenancy.webhooks.types import EVENT_TYPES
from tests.factories import make_member
from tests.gpt_core.rows import make_base, make_checkpoint, make_evaluation, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]


@pytest.fixture
def listened(in_tenant: Tenant) -> Tenant:
    create_endpoint(url="https://example.com/parley")
    return in_tenant


def told() -> list[tuple[str, dict[str, Any]]]:
    return list(WebhookEvent.objects.order_by("created_at", "pk").values_list("type", "data"))


def types() -> list[str]:
    return [event_type for event_type, _data in told()]


def start(**version: int) -> FineTuningJob:
    job = services.start_fine_tuning(
        dataset_version=make_version(**version),
        base_model=make_base(),
        deployment="support",
        suffix="第一",
    )
    with system_scope("test"):
        admission.admit_waiting()
    return job


def see_through() -> None:
    with system_scope("test"):
        row = dispatch.claim_next("worker-1")
    assert row is not None
    supervise(row)


def test_a_job_that_goes_well_is_told_from_its_beginning_to_its_verdict(
    listened: Tenant, engine_that: Callable[[str], None]
) -> None:
    engine_that("work")
    job = start()
    see_through()
    see_through()
    assert types() == [
        "job.created",
        "job.queued",
        "job.running",
        "job.succeeded",
        "checkpoint.published",
        "evaluation.succeeded",
    ]
    said = dict(told())
    checkpoint, evaluation = Checkpoint.objects.get(), Evaluation.objects.get()
    assert said["job.succeeded"] == {
        "id": str(job.pk),
        "name": "第一",
        "deployment": "support",
        "number": 1,
        "dataset_version": str(job.dataset_version_id),
        "retry_of": None,
        "state": "succeeded",
        "checkpoint": str(checkpoint.pk),
    }
    assert said["job.created"]["state"] == "validating_files"
    assert said["checkpoint.published"]["name"] == checkpoint.name
    assert said["evaluation.succeeded"] == {
        "id": str(evaluation.pk),
        "checkpoint": str(checkpoint.pk),
        "champion": None,
        "passed": True,
        "main_metric": evaluation.verdict["main_metric"],
    }


def test_a_job_that_is_tried_again_is_told_to_run_once_and_to_fail_once(
    listened: Tenant, engine_that: Callable[[str], None]
) -> None:
    engine_that("crash")
    start()
    for _attempt in range(3):
        see_through()
    assert types() == ["job.created", "job.queued", "job.running", "job.failed"]
    assert dict(told())["job.failed"]["failure"] == "process_ended"


def test_a_job_that_is_not_admitted_is_told_to_fail(listened: Tenant) -> None:
    start(train=0)
    assert types() == ["job.created", "job.failed"]
    assert dict(told())["job.failed"]["failure"] == "no_training_rows"


def test_what_people_do_to_a_job_is_told(listened: Tenant) -> None:
    job = start()
    services.pause_job(job)
    services.resume_job(job)
    services.cancel_job(job)
    assert types()[2:] == ["job.paused", "job.queued", "job.cancelled"]
    assert dict(told())["job.cancelled"]["state"] == "cancelled"


def test_promotions_and_roll_backs_are_told(
    listened: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "load", lambda checkpoint: None)
    owner: User = make_member(listened, Role.OWNER)
    checkpoint = make_checkpoint(listened)
    make_evaluation(checkpoint)
    slot = services.promote(checkpoint=checkpoint, actor=owner)
    services.promote(checkpoint=checkpoint, actor=owner)  # it serves already: no news
    services.roll_back(deployment=slot, actor=owner)
    said = [event for event in told() if event[0].startswith("deployment.")]
    assert [event_type for event_type, _data in said] == [
        "deployment.promoted",
        "deployment.rolled_back",
    ]
    assert said[0][1] == {
        "id": str(slot.pk),
        "name": "support",
        "model": checkpoint.name,
        "checkpoint": str(checkpoint.pk),
        "previous": None,
    }
    assert said[1][1]["previous"] == str(checkpoint.pk)


def test_where_nobody_listens_nothing_is_written(in_tenant: Tenant) -> None:
    start()
    assert told() == []


def test_every_type_that_is_promised_of_models_is_told_somewhere() -> None:
    from gpt_core import announcements

    promised = {event_type for event_type, _state in announcements._OF_A_JOB.values()}
    promised |= {"checkpoint.published", "evaluation.succeeded"}
    promised |= {"deployment.promoted", "deployment.rolled_back"}
    families = ("job.", "checkpoint.", "evaluation.", "deployment.")
    assert promised == {one for one in EVENT_TYPES if one.startswith(families)}
