"""The operator's pages: everything to be seen, what is safe to press, and each press in the audit log."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts.services import create_api_key
from common.errors import ConflictError
from config.admin_words import THEME
from gpt_core import client as engines_client
from gpt_core import dispatch, sightings
from gpt_core.client import EngineUnavailableError
from gpt_core.client.answers import LoadedModel
from gpt_core.models import Checkpoint, FineTuningJob, JobEvent, State
from gpt_core.services import operating
from gpt_core.supervision.lease import Lease, LeaseLostError
from tenancy.models import AuditEntry, StoredBytes, Tenant
from tenancy.operating import OperatorAdmin
from tenancy.scope import system_scope, tenant_scope
from tenancy.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from tests.apps.portal import scenes
from tests.factories import make_member, make_user

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(make_user("operator@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def story(tenant: Tenant) -> scenes.Story:
    return scenes.tell(tenant)


def press(staff: Client, model: str, action: str, *rows: Any, confirmed: bool = True) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    if confirmed:
        data["confirmed"] = "yes"
    return staff.post(reverse(f"admin:{model}_changelist"), data)


def actions() -> list[str]:
    with system_scope("test"):
        return list(AuditEntry.objects.order_by("created_at").values_list("action", flat=True))


# --- What there is to be seen ----------------------------------------------------------------------


def test_the_first_page_says_how_it_stands(staff: Client, story: scenes.Story) -> None:
    sightings.note("worker@一号机", "default")
    page = staff.get(reverse("admin:index"))
    text = page.content.decode()
    assert page.status_code == 200
    for word in ("Tenants", "In the queue", "Workers", "Engines", "Failed webhooks", "Disk"):
        assert word in text
    assert {card["title"]: card["figure"] for card in page.context["cards"]}["Workers"] == 1


def test_an_empty_platform_has_a_first_page_too(staff: Client) -> None:
    text = staff.get(reverse("admin:index")).content.decode()
    assert "beat was never seen" in text
    assert "No job yet." in text
    assert staff.get(reverse("admin:parley_queues")).status_code == 200


@pytest.mark.parametrize(
    "page", ["index", "parley_queues", "parley_engines", "tenancy_tenant_changelist"]
)
def test_every_page_speaks_chinese_without_an_accident(
    page: str, staff: Client, story: scenes.Story, tenant: Tenant
) -> None:
    found = staff.get(reverse(f"admin:{page}"), headers={"Accept-Language": "zh-hans"})
    assert found.status_code == 200
    assert 'lang="zh-hans"' in found.content.decode()


def test_every_column_and_every_sentence_of_the_theme_is_called_in_chinese() -> None:
    with translation.override("zh-hans"):
        columns = {
            f"{model._meta.label}.{field.name}": str(field.verbose_name)
            for model in admin.site._registry
            for field in model._meta.fields
            if not field.primary_key
        }
        theme = {sentence: translation.gettext(sentence) for sentence in THEME}
    said = columns | theme
    assert [name for name, words in said.items() if not CHINESE.search(words)] == []


def test_a_list_of_the_admin_speaks_chinese(staff: Client, story: scenes.Story) -> None:
    address = reverse("admin:webhooks_webhookdelivery_changelist")
    page = staff.get(address, headers={"Accept-Language": "zh-hans"}).content.decode()
    assert "Created At" not in page
    assert "Select all rows" not in page


def test_tenants_are_listed_with_what_they_use(
    staff: Client, story: scenes.Story, tenant: Tenant
) -> None:
    make_member(tenant), make_member(tenant, "viewer")
    with tenant_scope(tenant):
        StoredBytes.objects.create(kind="files", bytes=3 * 1024**2)
        StoredBytes.objects.create(kind="checkpoints", bytes=1024**2)
    page = staff.get(reverse("admin:tenancy_tenant_changelist"))
    (row,) = page.context["cl"].result_list
    assert (row.people, row.running, row.kept, row.tokens) == (2, 1, 4 * 1024**2, 0)
    assert "4.0\xa0MB" in page.content.decode()


def test_queues_show_who_holds_what_and_who_waits(
    staff: Client, story: scenes.Story, tenant: Tenant
) -> None:
    sightings.note("worker@one", "default")
    page = staff.get(reverse("admin:parley_queues"))
    held = page.context["held"]
    assert story.running.pk in [one["row"].pk for one in held]
    (row,) = page.context["tenants"]
    assert (row["tenant"], row["running"], row["waiting"]) == (tenant, len(held), 1)
    assert "worker@one" in page.content.decode()
    # A trainer that is busy hears no bell: the job that it holds says that it is there.
    assert page.context["silent"] == ["long", "answers"]


def test_whoever_was_not_heard_from_lately_is_late(db: None) -> None:
    sightings.note("worker@one", "default")
    assert not sightings.is_late(sightings.beat_seen_at())
    for one in sightings.workers():
        one.seen_at = timezone.now() - 2 * sightings.LATE
        one.save()
    (worker,) = sightings.workers()
    assert sightings.is_late(worker.seen_at)
    assert sightings.is_late(None)


def test_a_worker_on_two_queues_is_seen_on_both(db: None) -> None:
    from gpt_core.tasks import hear

    for queue in ("default", "answers", "default"):
        hear(queue=queue)
    assert sorted(one.queue for one in sightings.workers()) == ["answers", "default"]


# --- Engines -----------------------------------------------------------------------------------


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, story: scenes.Story) -> list[str]:
    """An engine with the serving checkpoint, one with other weights, and one nobody knows; what it
    is told to forget."""
    with tenant_scope(story.deployment.tenant_id):
        serving = story.deployment.checkpoint
        assert serving is not None
        other = Checkpoint.objects.exclude(pk=serving.pk).first()
        assert other is not None
    base = story.base.name
    models = [
        LoadedModel(base, None, "parley", story.base.digest),
        LoadedModel(serving.name, base, "parley", serving.digest),
        LoadedModel(other.name, base, "parley", "f" * 64),
        LoadedModel("<img src=x onerror=alert(1)>", base, "parley"),
    ]
    told: list[str] = []
    monkeypatch.setattr(engines_client, "loaded_models", lambda *, base: models)
    monkeypatch.setattr(
        engines_client, "unload", lambda *, base, name: bool(told.append(name)) or True
    )
    return told


def test_engines_show_what_they_have_loaded_and_whose_it_is(
    staff: Client, engine: list[str], story: scenes.Story
) -> None:
    page = staff.get(reverse("admin:parley_engines"))
    (state,) = page.context["engines"]
    by_name = {one.name: one for one in state.adapters}
    serving = story.deployment.checkpoint
    assert serving is not None
    assert by_name[serving.name].serves == ["support"]
    assert [one.is_other for one in state.adapters].count(True) == 1
    text = page.content.decode()
    assert "not ours" in text
    assert "<img src=x" not in text


def test_an_engine_that_is_away_is_told_so(
    staff: Client, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    def away(*, base: str) -> Any:
        raise EngineUnavailableError(cause="nobody")

    monkeypatch.setattr(engines_client, "loaded_models", away)
    page = staff.get(reverse("admin:parley_engines"))
    assert page.status_code == 200
    assert page.context["engines"][0].fault


def test_an_adapter_is_dropped_and_it_is_logged(
    staff: Client, engine: list[str], story: scenes.Story
) -> None:
    serving = story.deployment.checkpoint
    assert serving is not None
    address = reverse("admin:parley_engine_drop")
    assert staff.get(address).status_code == 405
    assert engine == []
    staff.post(address, {"base": story.base.name, "name": serving.name})
    assert engine == [serving.name]
    with system_scope("test"):
        entry = AuditEntry.objects.get(action="engine.adapter_dropped")
    assert entry.target_id == str(serving.pk)
    assert entry.tenant_id == serving.tenant_id
    assert entry.actor_kind == "person"


def test_a_base_that_is_not_configured_drops_nothing(staff: Client) -> None:
    answer = staff.post(reverse("admin:parley_engine_drop"), {"base": "没有", "name": "x"})
    assert answer.status_code == 302
    assert "engine.adapter_dropped" not in actions()


# --- Jobs --------------------------------------------------------------------------------------


def test_a_running_job_that_is_begun_again_is_lost_to_its_worker(
    staff: Client, story: scenes.Story
) -> None:
    with tenant_scope(story.running.tenant_id):
        FineTuningJob.objects.filter(pk=story.running.pk).update(fencing_token=7)
        running = FineTuningJob.objects.get(pk=story.running.pk)
    lease = Lease(running)
    press(staff, "gpt_core_finetuningjob", "begin_again", running)
    with tenant_scope(running.tenant_id):
        running.refresh_from_db()
        assert (running.state, running.worker) == (State.QUEUED, "")
        with pytest.raises(LeaseLostError):
            lease.write(step=99)
        assert JobEvent.objects.filter(job=running, code="requeued").exists()
    assert "job.requeued" in actions()


def test_one_that_failed_is_asked_for_anew_and_the_old_one_stays(
    staff: Client, story: scenes.Story
) -> None:
    press(staff, "gpt_core_finetuningjob", "begin_again", story.failed)
    with tenant_scope(story.failed.tenant_id):
        assert FineTuningJob.objects.get(pk=story.failed.pk).state == State.FAILED
        assert FineTuningJob.objects.get(retry_of=story.failed).state == State.VALIDATING_FILES


def test_one_that_succeeded_is_left_alone(staff: Client, story: scenes.Story) -> None:
    answer = press(staff, "gpt_core_finetuningjob", "begin_again", story.serving)
    assert answer.status_code == 302
    with pytest.raises(ConflictError):
        operating.requeue(story.serving)
    with tenant_scope(story.serving.tenant_id):
        story.serving.refresh_from_db()
        assert story.serving.state == State.SUCCEEDED
    assert "job.requeued" not in actions()


def test_cancelling_asks_first(staff: Client, story: scenes.Story) -> None:
    asked = press(staff, "gpt_core_finetuningjob", "cancel", story.waiting, confirmed=False)
    assert asked.status_code == 200
    assert "Cancel these?" in asked.content.decode()
    with tenant_scope(story.waiting.tenant_id):
        story.waiting.refresh_from_db()
        assert story.waiting.state == State.QUEUED
    press(staff, "gpt_core_finetuningjob", "cancel", story.waiting)
    with tenant_scope(story.waiting.tenant_id):
        story.waiting.refresh_from_db()
        assert story.waiting.state == State.CANCELLED


# --- Tenants -----------------------------------------------------------------------------------


def test_a_suspended_tenant_gets_nothing_and_loses_nothing(
    staff: Client, story: scenes.Story, client: Client, tenant: Tenant
) -> None:
    client.force_login(make_member(tenant))
    with tenant_scope(tenant):
        _key, secret = create_api_key(name="k", scopes=["view"], by=None)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.get(f"/t/{tenant.slug}/").status_code == 200
    assert Client().get("/api/v1/datasets/", headers=bearer).status_code == 200

    asked = press(staff, "tenancy_tenant", "suspend", tenant, confirmed=False)
    assert "Suspend these?" in asked.content.decode()
    press(staff, "tenancy_tenant", "suspend", tenant)
    assert client.get(f"/t/{tenant.slug}/").status_code == 404
    assert Client().get("/api/v1/datasets/", headers=bearer).status_code == 401
    with system_scope("test"):
        story.running.refresh_from_db()
        assert story.running.state == State.QUEUED
        # Nothing of it is claimed, whoever looks.
        assert dispatch.claim_next("somebody") is None
        assert not dispatch.work_waits() or dispatch.claim_next("somebody") is None

    press(staff, "tenancy_tenant", "reactivate", tenant)
    assert client.get(f"/t/{tenant.slug}/").status_code == 200
    with system_scope("test"):
        claimed = dispatch.claim_next("somebody")
        assert claimed is not None
        assert claimed.tenant_id == tenant.pk
    assert [one for one in actions() if one.startswith("tenant.")] == [
        "tenant.suspended", "tenant.reactivated"
    ]  # fmt: skip


def test_suspending_twice_is_said_and_changes_nothing(staff: Client, tenant: Tenant) -> None:
    operating.suspend_tenant(tenant)
    page = press(staff, "tenancy_tenant", "suspend", tenant)
    assert page.status_code == 302
    assert [one for one in actions() if one.startswith("tenant.")] == ["tenant.suspended"]


def test_a_neighbour_of_a_suspended_tenant_is_served_on(
    story: scenes.Story, tenant: Tenant, other_tenant: Tenant
) -> None:
    neighbours = scenes.tell(other_tenant)
    operating.suspend_tenant(tenant)
    with system_scope("test"):
        claimed = dispatch.claim_next("somebody")
    assert claimed is not None
    assert claimed.pk == neighbours.waiting.pk


# --- Webhooks --------------------------------------------------------------------------------------


def test_a_failed_delivery_is_tried_again(staff: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        endpoint = WebhookEndpoint.objects.create(url="https://example.com/", sealed_secret="x")
        event = WebhookEvent.objects.create(type="job.failed")
        delivery = WebhookDelivery.objects.create(endpoint=endpoint, event=event, state="failed")
    page = staff.get(reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk]))
    assert page.status_code == 200
    press(staff, "webhooks_webhookdelivery", "deliver_again", delivery)
    with tenant_scope(tenant):
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
    assert "webhook.replayed" in actions()


# --- Rights and the trail ------------------------------------------------------------------------


def test_every_list_of_the_admin_keeps_its_changes_in_the_audit_log() -> None:
    assert [
        model._meta.label
        for model, shown in admin.site._registry.items()
        if not isinstance(shown, OperatorAdmin) and not model.__module__.startswith("allauth")
    ] == []


def test_a_change_by_form_is_logged_without_its_words(staff: Client, db: None) -> None:
    person = make_user("wang@example.com", name="王芳")
    form = {"email": person.email, "name": "李雷", "is_active": "on"}
    staff.post(reverse("admin:accounts_user_change", args=[person.pk]), form)
    with system_scope("test"):
        entry = AuditEntry.objects.get(action="admin.changed")
    assert entry.target_id == str(person.pk)
    assert entry.data == {"fields": ["Name"]}
    history = staff.get(reverse("admin:accounts_user_history", args=[person.pk]))
    assert history["Location"].endswith(f"?target_id={person.pk}")
    assert staff.get(history["Location"]).status_code == 200


def test_staff_with_the_right_to_look_cannot_press(story: scenes.Story, tenant: Tenant) -> None:
    looker = make_user(is_staff=True)
    looker.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_finetuningjob", "view_basemodel",
                                                 "view_tenant"])
    )  # fmt: skip
    client = Client()
    client.force_login(looker)
    assert client.get(reverse("admin:parley_queues")).status_code == 200
    assert client.get(reverse("admin:index")).status_code == 200
    press(client, "gpt_core_finetuningjob", "begin_again", story.running)
    press(client, "tenancy_tenant", "suspend", tenant)
    drop = {"base": story.base.name, "name": "x"}
    assert client.post(reverse("admin:parley_engine_drop"), drop).status_code == 403
    assert client.post(reverse("admin:parley_engines_reconcile")).status_code == 403
    with system_scope("test"):
        story.running.refresh_from_db()
        assert story.running.state == State.RUNNING
        assert Tenant.objects.get(pk=story.running.tenant_id).state == "active"


def test_staff_without_a_right_does_not_even_look(db: None) -> None:
    client = Client()
    client.force_login(make_user(is_staff=True))
    for page in ("parley_queues", "parley_engines", "tenancy_tenant_changelist"):
        assert client.get(reverse(f"admin:{page}")).status_code == 403
    assert client.get(reverse("admin:index")).status_code == 200


@pytest.mark.parametrize("page", ["index", "parley_queues", "parley_engines", "parley_engine_drop"])
def test_others_are_led_to_the_door(page: str, client: Client, tenant: Tenant) -> None:
    assert client.get(reverse(f"admin:{page}")).status_code == 302
    client.force_login(make_member(tenant))
    assert client.post(reverse(f"admin:{page}")).status_code == 302


# --- A host of its own -----------------------------------------------------------------------------


@pytest.fixture
def two_hosts(settings: Any) -> None:
    settings.ADMIN_HOST = "admin.example.com"
    settings.ALLOWED_HOSTS = ["admin.example.com", "parley.example.com"]


def test_the_admin_is_on_its_own_host_alone(two_hosts: None, staff: Client) -> None:
    elsewhere = {"Host": "parley.example.com"}
    there = {"Host": "admin.example.com"}
    assert staff.get("/admin/", headers=elsewhere).status_code == 404
    assert staff.get("/admin/", headers=there).status_code == 200
    assert "unsafe" in staff.get("/admin/", headers=there)["Content-Security-Policy"]


def test_the_admins_host_serves_nothing_of_a_company(
    two_hosts: None, client: Client, tenant: Tenant
) -> None:
    client.force_login(make_member(tenant))
    there = {"Host": "admin.example.com"}
    for path in (f"/t/{tenant.slug}/", "/api/v1/datasets/", "/v1/models", "/open/"):
        assert client.get(path, headers=there).status_code == 404
    assert client.get("/", headers=there)["Location"] == "/admin/"
    for path in ("/accounts/login/", "/health/live"):
        assert client.get(path, headers=there).status_code in (200, 302)
    assert (
        client.get(f"/t/{tenant.slug}/", headers={"Host": "parley.example.com"}).status_code == 200
    )


def test_without_the_setting_every_host_serves_the_admin(staff: Client) -> None:
    assert staff.get("/admin/").status_code == 200
