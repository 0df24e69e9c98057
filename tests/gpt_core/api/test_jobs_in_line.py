"""Jobs of files beside the month's tokens and in the queue of all: as jobs of datasets are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gpt_core.estimates import guess_tokens, tokens_of_text
from gpt_core.models import FineTuningJob, State
from tenancy.models import Quota, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.gpt_core.rows import make_base, make_job
from tests.labeling.conftest import json_lines, questions

from .conftest import Caller, MakeCaller, said
from .job_calls import BASE, admit, create, file_id, keep

ONE_EPOCH: Any = {"hyperparameters": {"n_epochs": 1}}


@pytest.fixture(autouse=True)
def _quiet(home: Path, rings: list[int]) -> None:
    """A home of its own, and no broker."""


@pytest.fixture
def base(db: None) -> Any:
    return make_base(name=BASE)


@pytest.fixture
def training(tenant: Tenant) -> str:
    return file_id(keep(tenant, questions(40), "客服.jsonl"))


def limit(tenant: Tenant, tokens: int) -> None:
    with tenant_scope(tenant):
        Quota.objects.update_or_create(key_id=None, defaults={"training_tokens_per_month": tokens})


def trained(tokens: int) -> None:
    """A job of this base that took as many seconds as it read thousands of tokens."""
    make_job(
        state=State.SUCCEEDED, estimated_tokens=tokens, trained_tokens=tokens,
        worked_seconds=tokens / 1000, heartbeat_at=timezone.now(), finished_at=timezone.now(),
    )  # fmt: skip


def refused(caller: Caller, training_file: str) -> tuple[Any, str]:
    status, document = caller.post(
        "fine_tuning/jobs", {"model": BASE, "training_file": training_file} | ONE_EPOCH
    )
    assert status == 429, document
    return said(document), document["error"]["type"]


def test_a_job_is_charged_by_its_letters_at_once_and_by_its_rows_once_they_are_frozen(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    create(caller, training, **ONE_EPOCH)
    with tenant_scope(tenant):
        by_head = FineTuningJob.objects.get().estimated_tokens
    # Forty rows of 24 Chinese letters and a question mark, of which four fifths are learned from.
    assert by_head == pytest.approx(40 * 0.8 * tokens_of_text("字" * 25), rel=0.4)

    admit()

    with tenant_scope(tenant):
        job = FineTuningJob.objects.get()
        assert job.dataset_version is not None
        assert job.estimated_tokens == guess_tokens(
            job.dataset_version, job.base_model, job.hyperparameters
        )
        assert job.estimated_tokens == pytest.approx(by_head, rel=0.3)


def test_a_job_beyond_the_month_is_refused_before_anything_is_done(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    limit(tenant, 100)
    assert refused(caller, training) == (("insufficient_quota", None), "insufficient_quota")
    with tenant_scope(tenant):
        assert not FineTuningJob.objects.exists()


def test_what_waits_to_be_checked_is_held_against_the_month_already(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    create(caller, training, **ONE_EPOCH)
    with tenant_scope(tenant):
        each = FineTuningJob.objects.get().estimated_tokens or 0
    limit(tenant, 3 * each)
    create(caller, training, **ONE_EPOCH)
    last = create(caller, training, **ONE_EPOCH)
    refused(caller, training)

    caller.post(f"fine_tuning/jobs/{last['id']}/cancel")

    create(caller, training, **ONE_EPOCH)


def test_another_tenants_jobs_take_nothing_of_the_month(
    call: MakeCaller, base: Any, training: str, tenant: Tenant, other_tenant: Tenant
) -> None:
    limit(tenant, 100)
    refused(call(), training)
    create(call(tenant=other_tenant), file_id(keep(other_tenant, questions(40))), **ONE_EPOCH)


def test_what_the_head_of_a_file_did_not_tell_fails_the_job_when_its_rows_are_known(
    caller: Caller, base: Any, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpt_core import file_estimates
    from gpt_core.services import retry_job

    monkeypatch.setattr(file_estimates, "MOST_ROWS", 10)
    # Short rows ahead in a piece that is read at once, long ones behind it.
    long = [{"question": f"第{n}问？", "answer": chr(0x4E00 + n) * 400} for n in range(40)]
    file = keep(tenant, questions(12) + json_lines(*long))
    limit(tenant, 5_000)
    job = create(caller, file_id(file), **ONE_EPOCH)

    admit()

    found = caller.get(f"fine_tuning/jobs/{job['id']}")[1]
    assert (found["status"], found["error"]["code"], found["error"]["param"]) == (
        "failed", "insufficient_quota", "training_file",
    )  # fmt: skip
    event = caller.get(f"fine_tuning/jobs/{job['id']}/events")[1]["data"][0]
    assert (event["level"], event["data"]["limit"]) == ("error", 5_000)
    limit(tenant, 1_000_000)
    with tenant_scope(tenant):
        failed = FineTuningJob.objects.get()
        # What was frozen is learned from when there is room.
        assert retry_job(failed).dataset_version_id == failed.dataset_version_id is not None


def test_a_job_does_not_stand_in_its_own_way(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    create(caller, training, **ONE_EPOCH)
    with tenant_scope(tenant):
        limit(tenant, round((FineTuningJob.objects.get().estimated_tokens or 0) * 1.4))
    admit()
    with tenant_scope(tenant):
        assert FineTuningJob.objects.get().state == State.QUEUED


def test_an_estimate_says_what_making_the_job_would_answer_also_where_no_engine_counts(
    caller: Caller, base: Any, training: str, tenant: Tenant
) -> None:
    asked = {"model": BASE, "training_file": training} | ONE_EPOCH
    told = caller.post("fine_tuning/jobs/estimate", asked)[1]
    assert (told["estimation_available"], told["allowed_to_proceed"]) == (False, True)
    limit(tenant, 100)
    told = caller.post("fine_tuning/jobs/estimate", asked)[1]
    assert (told["allowed_to_proceed"], told["user_limit"], told["user_limit_remaining"]) == (
        False, 100, 100,
    )  # fmt: skip
    refused(caller, training)


def test_a_job_that_waits_tells_its_place_and_when_it_ends(
    call: MakeCaller, base: Any, training: str, tenant: Tenant, other_tenant: Tenant
) -> None:
    ours, theirs = call(), call(tenant=other_tenant)
    with tenant_scope(tenant):
        trained(50_000)
    flood = [create(ours, training, **ONE_EPOCH)["id"] for _ in range(3)]
    calm = create(theirs, file_id(keep(other_tenant, questions(40))), **ONE_EPOCH)["id"]
    unchecked = ours.get(f"fine_tuning/jobs/{flood[0]}")[1]
    assert unchecked["queue_position"] is unchecked["estimated_finish"] is None

    admit()

    jobs = {job["id"]: job for job in ours.get("fine_tuning/jobs", limit=3)[1]["data"]}
    other = theirs.get(f"fine_tuning/jobs/{calm}")[1]
    # The company that has used least of the machine goes first; each of a flood behind the other.
    assert other["queue_position"] == 1
    assert [jobs[one]["queue_position"] for one in flood] == [2, 3, 4]
    ends = [other["estimated_finish"], *(jobs[one]["estimated_finish"] for one in flood)]
    assert ends == sorted(ends)
    with system_scope("test"):
        seconds = (
            sum(
                job.estimated_tokens or 0
                for job in FineTuningJob.objects.filter(state=State.QUEUED)
            )
            / 1000
        )
    assert ends[-1] - time.time() == pytest.approx(seconds, abs=3)


def test_no_end_is_told_where_nothing_was_measured(
    caller: Caller, base: Any, training: str
) -> None:
    job = create(caller, training)
    admit()
    found = caller.get(f"fine_tuning/jobs/{job['id']}")[1]
    assert (found["queue_position"], found["estimated_finish"]) == (1, None)
