"""The pages of contacts: found, looked at, handed out, erased with their name typed."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chatbot.models import Contact, ConversationExport
from labeling import work
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import desk_scene
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of
from tests.factories import make_member
from tests.gpt_core.rows import make_checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Any) -> None:
    settings.PARLEY_HOME = tmp_path


@pytest.fixture
def desk(tenant: Tenant) -> desk_scene.Desk:
    return desk_scene.tell(tenant, make_member(tenant, "agent", name="李娜"))


def test_contacts_are_listed_and_found(tenant: Tenant, desk: desk_scene.Desk, door: Door) -> None:
    client = door("viewer")
    page = text_of(client.get(at(tenant, "contacts/")))
    assert "李雷" in page
    assert "Jane Öberg" in page
    assert "Export conversations" not in page
    found = text_of(client.get(at(tenant, "contacts/"), {"text": "li@example"}))
    assert "李雷" in found
    assert "Jane" not in found
    one = client.get(at(tenant, "contacts/"), {"text": str(desk.mine.contact_id)})
    assert "Jane Öberg" in text_of(one)
    assert "Nobody is like this" in text_of(client.get(at(tenant, "contacts/"), {"text": "没有"}))


def test_nobody_yet_says_what_will_be_here(tenant: Tenant, door: Door) -> None:
    assert "No contact yet." in text_of(door("viewer").get(at(tenant, "contacts/")))


def test_one_contact_stands_with_its_conversations(
    tenant: Tenant, desk: desk_scene.Desk, door: Door
) -> None:
    place = at(tenant, f"contacts/{desk.waiting.contact_id}/")
    page = door("agent").get(place)
    assert f"/desk/{desk.waiting.pk}/" in page.content.decode()
    assert "Erase this contact" not in text_of(page)
    assert "Erase this contact" in text_of(door("owner").get(place))


def test_a_contact_is_handed_out(tenant: Tenant, desk: desk_scene.Desk, door: Door) -> None:
    client = door("owner")
    place = at(tenant, f"contacts/{desk.waiting.contact_id}/")
    client.post(f"{place}export/", {"notes": "on"})
    assert "Waiting for a worker" in text_of(client.get(place))
    with tenant_scope(tenant):
        export = ConversationExport.objects.get()
        assert (export.form, export.with_notes) == ("archive", True)
        work.carry_out(export)
    page = client.get(place).content.decode()
    assert f"/exports/{export.pk}/download/" in page
    door("agent").get(place)
    refused = door("agent").post(f"{place}export/")
    assert refused.status_code == 403


def test_a_contact_is_erased_with_the_name_typed(
    tenant: Tenant, desk: desk_scene.Desk, door: Door
) -> None:
    client = door("admin")
    place = at(tenant, f"contacts/{desk.waiting.contact_id}/erase/")
    wrong = client.post(place, {"name": "韩梅梅"})
    assert wrong.status_code == 400
    assert "This is not the name" in text_of(wrong)
    assert door("agent").post(place, {"name": "李雷"}).status_code == 403
    done = client.post(place, {"name": " 李雷 "}, follow=True)
    assert "Nothing of this contact is kept" in text_of(done)
    with tenant_scope(tenant):
        assert not Contact.objects.filter(name="李雷").exists()
        assert Contact.objects.filter(name="韩梅梅").exists()


def test_conversations_are_written_into_a_file(
    tenant: Tenant, desk: desk_scene.Desk, door: Door
) -> None:
    client, place = door("owner"), at(tenant, "conversations/exports/")
    empty = client.get(place)
    assert "None yet." in text_of(empty)
    asked = {"form": "csv", "inbox": str(desk.mine.inbox_id), "since": "2020-01-01"}
    wrong = client.post(place, asked | {"with_notes": "on"})
    assert wrong.status_code == 400
    assert "Private notes go out as NDJSON alone" in text_of(wrong)
    backwards = client.post(place, asked | {"until": "2019-01-01"})
    assert "The end is before the beginning" in text_of(backwards)
    assert client.post(place, asked).status_code == 302
    assert 'hx-trigger="every 2s"' in client.get(place).content.decode()
    with tenant_scope(tenant):
        export = ConversationExport.objects.get()
        work.carry_out(export)
    assert "4 conversations" in text_of(client.get(at(tenant, "conversations/exports/live/")))
    file = client.get(at(tenant, f"conversations/exports/{export.pk}/download/"))
    assert file["Content-Disposition"].startswith("attachment")
    client.post(at(tenant, f"conversations/exports/{export.pk}/delete/"))
    assert "None yet." in text_of(client.get(place))
    assert door("agent").get(place).status_code == 403


def test_a_marked_checkpoint_says_what_to_do(tenant: Tenant, door: Door) -> None:
    from labeling.models import ErasedRows

    with tenant_scope(tenant):
        checkpoint = make_checkpoint(tenant)
    place = at(tenant, f"checkpoints/{checkpoint.pk}/")
    assert "Trained on erased data" not in text_of(door("owner").get(place))
    with tenant_scope(tenant):
        ErasedRows.objects.create(version=checkpoint.dataset_version, split="train", rows=2)
    page = text_of(door("owner").get(place))
    assert "Trained on erased data" in page
    assert "2 rows that it learned from were erased" in page
