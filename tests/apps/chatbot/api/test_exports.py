"""Exports of conversations over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.chatbot.models import ConversationExport
from labeling import work
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.portal import desk_scene
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Any) -> None:
    settings.PARLEY_HOME = tmp_path


def test_an_export_is_asked_for_taken_and_deleted(api: Api, tenant: Tenant) -> None:
    desk_scene.tell(tenant, make_member(tenant, "agent"))
    made = api("post", "conversation-exports/", {"form": "csv"}, 201)
    place = f"conversation-exports/{made['id']}/"
    assert (made["state"], made["is_ready"]) == ("queued", False)
    assert api("get", f"{place}download/", status=409)["code"] == "export_not_ready"
    with tenant_scope(tenant):
        work.carry_out(ConversationExport.objects.get())
    told = api("get", place)
    assert (told["is_ready"], told["conversations"], told["messages"]) == (True, 4, 7)
    answer = api.client.get(f"/api/v1/{place}download/")
    assert answer["Content-Disposition"].startswith("attachment")
    content = b"".join(answer)  # type: ignore[arg-type]
    assert len(content) == told["size"]
    api("delete", place, status=204)
    api("get", place, status=404)
    with tenant_scope(tenant):
        said = AuditEntry.objects.filter(action__startswith="conversations.export")
        assert set(said.values_list("action", flat=True)) == {
            "conversations.export_asked",
            "conversations.export_taken",
            "conversations.export_deleted",
        }


def test_notes_are_for_who_may_answer(key_for: Callable[..., Api], tenant: Tenant) -> None:
    desk_scene.tell(tenant, make_member(tenant, "agent"))
    asked = {"form": "ndjson", "with_notes": True}
    may, may_not = key_for("manage", "view", "answer"), key_for("manage", "view")
    may_not("post", "conversation-exports/", asked, 403)
    made = may("post", "conversation-exports/", asked, 201)
    with tenant_scope(tenant):
        work.carry_out(ConversationExport.objects.get())
    may_not("get", f"conversation-exports/{made['id']}/download/", status=403)
    key_for("view", "answer")("post", "conversation-exports/", {"form": "csv"}, 403)
