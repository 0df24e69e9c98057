"""The home: first steps for who begins, and for each role what waits for it and no more."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from accounts import services
from gpt_core.models import FineTuningJob
from labeling.models import Dataset, Example, ImportRun, LabelingTask, QueueItem
from tenancy.models import Invitation, Tenant
from tenancy.scope import tenant_scope
from tenancy.webhooks import services as webhooks
from tenancy.webhooks.models import WebhookEndpoint
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db


def text_of(page: object) -> str:
    html = page.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def home(door: Door, tenant: Tenant, role: str) -> str:
    return text_of(door(role).get(f"/t/{tenant.slug}/"))


def waiting(page: str) -> str:
    """What stands between the two headings."""
    return page.split("Waiting for you")[1].split("What changed")[0]


def test_who_begins_is_led_from_step_to_step(tenant: Tenant, door: Door) -> None:
    page = home(door, tenant, "owner")
    assert "Import examples" in page
    assert "Start a job" not in page, "one step at a time has a button"
    with tenant_scope(tenant):
        scenes.make_dataset()
    client = door("owner")
    html = client.get(f"/t/{tenant.slug}/").content.decode()
    assert len(re.findall(r'<li class="done"', html)) == 2
    assert "Start a job" in html


def test_a_viewer_who_begins_gets_no_buttons(tenant: Tenant, door: Door) -> None:
    page = home(door, tenant, "viewer")
    assert "Import what your company has answered" in page
    assert "Import examples" not in page


def test_who_has_promoted_needs_no_first_steps(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    assert "First steps" not in home(door, tenant, "owner")


def test_a_verdict_waits_for_who_may_promote(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        name = story.open.checkpoint.name
    assert name in waiting(home(door, tenant, "admin"))
    for role in ("viewer", "agent", "annotator"):
        assert name not in waiting(home(door, tenant, role))


def test_a_failure_that_can_be_mended_waits_until_it_is_started_again(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        lonely = scenes.make_failed(tenant, story.base, story.version, 9, timezone.now())
        FineTuningJob.objects.filter(pk=lonely.pk).update(deployment_name="offers")
        lonely.refresh_from_db()
        name = str(lonely)
    assert name in waiting(home(door, tenant, "admin"))
    assert name not in waiting(home(door, tenant, "annotator"))


def test_items_wait_for_who_labels_and_disputes_for_who_decides(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        task = LabelingTask.objects.create(dataset=story.dataset, name="询价 <b>分类</b>")
        examples = list(Example.objects.all()[:3])
        for example in examples[:2]:
            QueueItem.objects.create(task=task, example=example)
        QueueItem.objects.create(task=task, example=examples[2], state=QueueItem.State.DISPUTED)
    page = waiting(home(door, tenant, "annotator"))
    assert "询价 <b>分类</b>" in page
    assert "2 items" in page
    assert "dispute" not in page
    assert "1 dispute" in waiting(home(door, tenant, "owner"))
    assert "询价" not in waiting(home(door, tenant, "viewer"))
    with tenant_scope(tenant):
        LabelingTask.objects.update(state=LabelingTask.State.PAUSED)
    assert "询价" not in waiting(home(door, tenant, "annotator"))


def test_a_file_that_failed_waits_until_it_is_read_again(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        common = {"dataset": story.dataset, "filename": "历史.csv"}
        ImportRun.objects.create(
            state=ImportRun.State.FAILED,
            created_at=timezone.now() - timedelta(hours=1),
            **common,
        )
    assert "历史.csv" in waiting(home(door, tenant, "annotator"))
    assert "历史.csv" not in waiting(home(door, tenant, "viewer"))
    with tenant_scope(tenant):
        ImportRun.objects.create(state=ImportRun.State.DONE, **common)
    assert "历史.csv" not in waiting(home(door, tenant, "annotator"))


def test_what_only_managers_can_mend_waits_for_them(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        services.invite(email="late@example.com", role="viewer", by=None)
        Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))
        endpoint, _secret = webhooks.create_endpoint(url="https://hooks.example.com/x")
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=timezone.now())
    page = waiting(home(door, tenant, "admin"))
    assert "late@example.com" in page
    assert "https://hooks.example.com/x" in page
    assert "late@example.com" not in home(door, tenant, "annotator")


def test_long_work_is_shown_with_its_bar(tenant: Tenant, door: Door, story: scenes.Story) -> None:
    with tenant_scope(tenant):
        ImportRun.objects.create(
            dataset=Dataset.objects.get(),
            filename="大文件.jsonl",
            state=ImportRun.State.RUNNING,
            share=0.4,
            done=4000,
        )
    page = home(door, tenant, "viewer").split("Under way")[1].split("Waiting for you")[0]
    assert "reading 大文件.jsonl" in page
    assert "4,000 rows" in page


def test_changes_among_people_are_told_to_managers_alone(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    with tenant_scope(tenant):
        services.create_api_key(name="官网", scopes=["view"], by=None)
    assert "Made the key “官网”" in home(door, tenant, "admin")
    assert "官网" not in home(door, tenant, "viewer")
    assert "was frozen" in home(door, tenant, "viewer")
