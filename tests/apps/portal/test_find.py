"""The palette's answers: what one may open, by name or by id, of one's own tenant alone."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import services
from apps.chatbot.models import Inbox
from apps.chatbot.services.knowledge import write_article
from labeling.models import Example
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def hits(client: Client, tenant: Tenant, asked: str) -> list[tuple[str, str, str]]:
    """(group, label, url) of everything found."""
    answer = client.get(
        f"/t/{tenant.slug}/find/", {"q": asked}, headers={"accept": "application/json"}
    )
    assert answer.status_code == 200
    groups: list[dict[str, Any]] = answer.json()["groups"]
    return [(one["label"], hit["label"], hit["url"]) for one in groups for hit in one["hits"]]


def test_articles_and_inboxes_are_found_by_their_names(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        write_article(title="退换货政策", body="七天内可以退货。", language="zh")
        Inbox.objects.create(name="退换货客服")
    found = {(group, label) for group, label, _url in hits(door("viewer"), tenant, "换货")}
    assert found == {("Knowledge", "退换货政策"), ("Inboxes", "退换货客服")}


def test_nothing_asked_lists_the_pages(tenant: Tenant, door: Door) -> None:
    found = hits(door("viewer"), tenant, "")
    assert {group for group, _label, _url in found} == {"Pages"}
    assert "Audit log" not in {label for _group, label, _url in found}
    assert "Audit log" in {label for _g, label, _u in hits(door("admin"), tenant, "  ")}


def test_everything_is_found_by_a_piece_of_its_name(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("owner")
    found = hits(client, tenant, "support")
    assert {group for group, _l, _u in found} >= {"Datasets", "Jobs", "Checkpoints", "Deployments"}
    # An area has as many pages as it has.
    kinds = [group for group, _l, _u in found if group != "Pages"]
    assert all(kinds.count(kind) <= 5 for kind in kinds)
    assert hits(client, tenant, "CUSTOMER quest")[0][1] == "Customer questions"
    assert hits(client, tenant, "没有这个") == []


def test_a_person_is_found_by_name_and_by_address(tenant: Tenant, door: Door) -> None:
    make_member(tenant, "viewer", name="王芳", email="wang@example.com")
    for asked in ("王", "wang@"):
        assert ("Members", "王芳") in [one[:2] for one in hits(door("viewer"), tenant, asked)]


def test_an_id_leads_to_its_row(tenant: Tenant, door: Door, story: scenes.Story) -> None:
    client = door("viewer")
    assert [one[0] for one in hits(client, tenant, str(story.open.pk))] == ["Jobs"]
    with tenant_scope(tenant):
        example = Example.objects.first()
        assert example
    assert [one[0] for one in hits(client, tenant, str(example.pk))] == ["Examples"]
    assert "Examples" in [one[0] for one in hits(client, tenant, example.external_id)]


def test_keys_are_found_by_who_manages_alone(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        services.create_api_key(name="官网", scopes=["view"], by=None)
    assert hits(door("admin"), tenant, "官网")
    assert not hits(door("annotator"), tenant, "官网")


def test_another_tenants_things_are_not_there(
    tenant: Tenant, other_tenant: Tenant, door: Door
) -> None:
    theirs = scenes.tell(other_tenant)
    client = door("owner")
    assert hits(client, tenant, str(theirs.open.pk)) == []
    assert hits(client, tenant, "Customer") == []


@pytest.mark.parametrize("odd", ["%", "_", "\\", "x" * 5000, "'; --", "0" * 40, "😀", "<b>"])
def test_odd_questions_are_questions(odd: str, tenant: Tenant, door: Door) -> None:
    hits(door("owner"), tenant, odd)


def test_without_script_it_is_a_page(tenant: Tenant, door: Door, story: scenes.Story) -> None:
    page = door("viewer").get(f"/t/{tenant.slug}/find/", {"q": "<b>customer"})
    assert "&lt;b&gt;customer" in page.content.decode()
    assert 'class="empty"' in page.content.decode()


def test_it_asks_the_database_a_few_times_only(
    tenant: Tenant, door: Door, story: scenes.Story
) -> None:
    client = door("owner")
    hits(client, tenant, "s")
    with CaptureQueriesContext(connection) as caught:
        hits(client, tenant, "s")
    assert len(caught) <= 14
