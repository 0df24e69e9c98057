"""A checkpoint on trial on its page: begun, watched beside what serves, stopped."""

from __future__ import annotations

import pytest

from apps.chatbot.models import CandidateTrial, Inbox, TrialPlace
from gpt_core.models import Checkpoint, Deployment
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import answered, visit
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_knowledge_pages import text_of
from tests.gpt_core.rows import make_checkpoint, make_evaluation

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(tenant: Tenant) -> Checkpoint:
    with tenant_scope(tenant):
        found = make_checkpoint(tenant)
        make_evaluation(found)
    return found


@pytest.fixture
def inbox(tenant: Tenant, candidate: Checkpoint) -> Inbox:
    with tenant_scope(tenant):
        slot = Deployment.objects.create(name="support", base_model=candidate.base_model)
        return make_inbox(name="官网", deployment=slot)


def at(tenant: Tenant, inbox: Inbox) -> str:
    return f"/t/{tenant.slug}/inboxes/{inbox.pk}/trial/"


def test_a_trial_is_begun_watched_and_stopped(
    tenant: Tenant, inbox: Inbox, candidate: Checkpoint, door: Door
) -> None:
    client = door("admin")
    given = {"checkpoint": str(candidate.pk), "share": "20"}
    page = client.post(at(tenant, inbox), given, follow=True)
    assert "On trial, for conversations that begin from now on." in text_of(page)
    with tenant_scope(tenant):
        answered(visit(inbox), "可以退货吗？", "七天内可以。")
        TrialPlace.objects.update(is_candidate=True)
        trial = CandidateTrial.objects.get()
    text = text_of(client.get(at(tenant, inbox)))
    assert "Handed to people – nothing to count yet 0 % 0 of 1 · 0–79 % · still few" in text
    assert candidate.name in text_of(client.get(f"/t/{tenant.slug}/numbers/"))
    page = client.post(f"/t/{tenant.slug}/trials/{trial.pk}/stop/", follow=True)
    assert "Stopped." in text_of(page)
    with tenant_scope(tenant):
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"trial.started", "trial.stopped"} <= actions


@pytest.mark.parametrize("odd", [{"share": "0"}, {"share": "无"}, {"checkpoint": "x"}, {}])
def test_what_makes_no_sense_is_said_beside_its_field(
    odd: dict[str, str], tenant: Tenant, inbox: Inbox, candidate: Checkpoint, door: Door
) -> None:
    given = {"checkpoint": str(candidate.pk), "share": "20"} | odd if odd else {}
    page = door("admin").post(at(tenant, inbox), given)
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()


def test_who_may_not_promote_watches(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client = door("annotator")
    assert "Begin the trial" not in text_of(client.get(at(tenant, inbox)))
    assert client.post(at(tenant, inbox), {}).status_code == 403


def test_an_inbox_without_a_model_says_what_a_trial_needs(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        bare = make_inbox()
    assert "A trial needs a model" in text_of(door("admin").get(at(tenant, bare)))
