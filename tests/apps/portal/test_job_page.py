"""The page of one job: where it stands, what it says, and what may be done with it."""

from unittest.mock import patch

import pytest
from django.test import Client

from gpt_core.models import Deployment, DeploymentChange, FineTuningJob, JobMetric
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _engine_that_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine answers is the client's test; here it takes what it is given."""
    monkeypatch.setattr("gpt_core.services.engines.load", lambda checkpoint: None)


def page_of(client: Client, tenant: Tenant, job: FineTuningJob, rest: str = "") -> object:
    return client.get(at(tenant, f"jobs/{job.pk}/{rest}"))


def test_a_running_job_shows_its_step_and_how_long_it_still_takes(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    page = text_of(page_of(door("viewer"), tenant, story.running))
    assert "Step 204 of 480 · 42 %" in page
    assert "about 4 min 12 s left" in page


def test_a_waiting_job_shows_its_place_in_the_queue(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    assert "Next in the queue" in text_of(page_of(door("viewer"), tenant, story.waiting))


def test_a_finished_job_shows_the_verdict_the_figures_and_the_samples(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    page = text_of(page_of(door("viewer"), tenant, story.open))
    assert "The gate is open" in page
    assert "2.148" in page
    assert "1.438" in page
    assert "−33 %" in page
    assert "−0.785 to −0.624" in page
    assert page.count("你们提供免费报价吗？") == 4


def test_a_failed_job_says_why_in_which_line_and_with_which_code(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    page = text_of(page_of(door("owner"), tenant, story.failed))
    assert "An example has no answer to learn from." in page
    assert "In line 118 of the file as it was imported." in page
    assert "row_without_labels" in page
    assert "Start again" in page


def test_the_live_part_is_empty_while_nothing_changed(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("viewer")
    first = page_of(client, tenant, story.running).content.decode()  # type: ignore[attr-defined]
    seen = first.split("?seen=")[1].split("&")[0]
    assert page_of(client, tenant, story.running, f"live/?seen={seen}").status_code == 204  # type: ignore[attr-defined]
    with tenant_scope(tenant):
        FineTuningJob.objects.filter(pk=story.running.pk).update(step=205)
    changed = page_of(client, tenant, story.running, f"live/?seen={seen}&stage=running")
    assert "Step 205 of 480" in text_of(changed)
    html = changed.content.decode()  # type: ignore[attr-defined]
    assert 'hx-trigger="every 2s"' in html
    assert 'id="job-outcome"' not in html, "what did not change is not sent again"


def test_a_page_of_a_finished_job_does_not_poll(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    for job in (story.open, story.refused, story.failed, story.serving):
        assert b"hx-get" not in page_of(door("viewer"), tenant, job).content  # type: ignore[attr-defined]


def test_the_live_part_brings_the_outcome_when_the_stage_changed(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    answer = page_of(door("viewer"), tenant, story.open, "live/?seen=x&stage=comparing")
    html = answer.content.decode()  # type: ignore[attr-defined]
    assert 'id="job-outcome"' in html
    assert "hx-get" not in html, "the last piece ends the polling"


def test_the_curve_has_both_losses_and_the_step_that_was_kept(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("viewer")
    curve = page_of(client, tenant, story.open, "curve/").json()  # type: ignore[attr-defined]
    assert len(curve["train"]) == 480
    assert len(curve["validation"]) == 12
    assert curve["kept"] == min(curve["validation"], key=lambda point: point[1])
    assert curve["live"] is False
    same = page_of(client, tenant, story.open, f"curve/?seen={curve['mark']}")
    assert same.status_code == 204  # type: ignore[attr-defined]


def test_the_curve_of_a_long_job_is_thinned_and_keeps_its_last_step(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        JobMetric.objects.filter(job=story.running).delete()
        JobMetric.objects.bulk_create(
            JobMetric(job=story.running, kind="train", step=step, loss=1.0)
            for step in range(1, 5001)
        )
    curve = page_of(door("viewer"), tenant, story.running, "curve/").json()  # type: ignore[attr-defined]
    assert 400 < len(curve["train"]) <= 800
    assert curve["train"][-1][0] == 5000


def test_an_admin_promotes_what_the_gate_lets_pass_and_rolls_it_back(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("admin")
    with tenant_scope(tenant):
        checkpoint = story.open.checkpoint
        before = story.serving.checkpoint
    answer = client.post(at(tenant, f"checkpoints/{checkpoint.pk}/promote/"), follow=True)
    assert "serves now" in text_of(answer)
    with tenant_scope(tenant):
        slot = Deployment.objects.get(name="support")
        assert (slot.checkpoint_id, slot.previous_id) == (checkpoint.pk, before.pk)
    answer = client.post(at(tenant, f"deployments/{slot.pk}/roll-back/"), follow=True)
    assert before.name in text_of(answer)
    with tenant_scope(tenant):
        slot.refresh_from_db()
        assert slot.checkpoint_id == before.pk


def test_the_gate_holds_in_the_page_as_well(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        checkpoint = story.refused.checkpoint
    answer = door("admin").post(at(tenant, f"checkpoints/{checkpoint.pk}/promote/"), follow=True)
    assert "gate_closed" in text_of(answer)
    with tenant_scope(tenant):
        assert Deployment.objects.get(name="support").checkpoint_id != checkpoint.pk


def test_an_owner_overrules_the_gate_with_a_reason_that_is_kept(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        checkpoint = story.refused.checkpoint
    address = at(tenant, f"checkpoints/{checkpoint.pk}/promote/")
    reason = "展会明天开始，先用这个版本。"
    owner = door("owner")
    short = owner.post(address, {"override": "yes", "reason": "因为"}, follow=True)
    assert "at least ten characters" in text_of(short)
    owner.post(address, {"override": "yes", "reason": reason})
    with tenant_scope(tenant):
        change = DeploymentChange.objects.get(after=checkpoint)
        assert change.override_reason == reason


def test_an_admin_may_not_overrule_the_gate(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    admin = door("admin")
    assert "Promote against" not in text_of(page_of(admin, tenant, story.refused))
    with tenant_scope(tenant):
        checkpoint = story.refused.checkpoint
    address = at(tenant, f"checkpoints/{checkpoint.pk}/promote/")
    answer = admin.post(address, {"override": "yes", "reason": "because I want it"}, follow=True)
    assert "Only an owner may overrule the gate." in text_of(answer)
    with tenant_scope(tenant):
        assert not DeploymentChange.objects.filter(after=checkpoint).exists()


@pytest.mark.parametrize("act", ["cancel", "pause", "resume", "retry"])
def test_a_viewer_sees_a_job_and_changes_nothing(
    act: str, tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    viewer = door("viewer")
    html = page_of(viewer, tenant, story.running).content.decode()  # type: ignore[attr-defined]
    assert "<button" not in html.split('id="job-status"')[1].split('class="phases"')[0]
    answer = viewer.post(at(tenant, f"jobs/{story.running.pk}/{act}/"))
    assert answer.status_code == 403
    assert "permission_denied" in answer.content.decode()


def test_a_job_is_cancelled_once_and_the_second_time_says_why_not(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    admin = door("admin")
    address = at(tenant, f"jobs/{story.waiting.pk}/cancel/")
    assert "stops within a step" in text_of(admin.post(address, follow=True))
    assert "wrong_state" in text_of(admin.post(address, follow=True))


def test_a_failed_job_is_started_again_as_a_new_one(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with patch("gpt_core.dispatch.ring"):
        answer = door("admin").post(at(tenant, f"jobs/{story.failed.pk}/retry/"), follow=True)
    with tenant_scope(tenant):
        again = FineTuningJob.objects.get(retry_of=story.failed)
    assert str(again.pk) in answer.redirect_chain[-1][0]


def test_a_change_by_get_is_refused(tenant: Tenant, door: Door, story: scenes.Story) -> None:
    assert door("owner").get(at(tenant, f"jobs/{story.running.pk}/cancel/")).status_code == 405


def test_a_job_page_asks_the_database_a_bounded_number_of_times(
    tenant: Tenant, door: Door, story: scenes.Story, django_assert_max_num_queries: object
) -> None:
    client = door("owner")
    with django_assert_max_num_queries(16):  # type: ignore[operator]
        page_of(client, tenant, story.open)
