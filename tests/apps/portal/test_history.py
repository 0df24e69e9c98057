"""The history pages: a file is taken, looked at, mapped, read in and mined; and everything in it by role."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.chatbot.models import HistoryRun, PastConversation, RedactionRules
from labeling.models import LabelingTask
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.history.files import ANSWER, QUESTION, ticket, zendesk
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

FILE = zendesk(
    ticket(1, (1, f"{QUESTION} I am Thandiwe, 415-555-0134"), (10, ANSWER), subject="Shoes"),
    ticket(2, (1, QUESTION), (10, "Let me check.")),
    ticket(3, (1, QUESTION), (10, f"Hi! {ANSWER}")),
    {"id": 4, "comments": "none"},
)
TABLE = "Vorgang,Wer,Was\n1,customer,几点开门？\n1,agent,我们早上九点开门，周末也一样。\n".encode(
    "gb18030"
)


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/history/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def send(client: Client, tenant: Tenant, data: bytes = FILE, **fields: Any) -> Any:
    file = SimpleUploadedFile(fields.pop("filename", "工单.json"), data)
    sent = {"file": file, "source": "zendesk", "reviewers": "2", **fields}
    return client.post(at(tenant, "new/"), sent, follow=True)


def only_run(tenant: Tenant) -> HistoryRun:
    with tenant_scope(tenant):
        return HistoryRun.objects.select_related("dataset").get()


def test_a_file_is_taken_looked_at_read_in_and_mined(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    looked = send(client, tenant)
    run = only_run(tenant)
    assert looked.redirect_chain[-1][0] == at(tenant, f"{run.pk}/")
    assert run.dataset.name == "工单"
    said = text_of(looked)
    assert "3 conversations can be read." in said
    assert "[PHONE_1]" in said
    assert "415-555-0134" not in said
    with tenant_scope(tenant):
        assert not PastConversation.objects.exists()

    done = client.post(at(tenant, f"{run.pk}/start/"), follow=True)
    said = text_of(done)
    assert "1 question with its answer waits for review." in said
    assert "a promise, not an answer" in said
    assert "1 fault" in said
    line = FILE.decode().split('"none"')[0].count("\n") - 1
    assert f"{run.pk}/lines/?around={line}#line-{line}" in done.content.decode()
    with tenant_scope(tenant):
        task = LabelingTask.objects.get()
    assert task.overlap == 2
    assert f"/t/{tenant.slug}/label/{task.pk}/" in done.content.decode()
    again = client.post(at(tenant, f"{run.pk}/start/"), follow=True)
    assert "imported already" in text_of(again)

    asked = text_of(client.get(at(tenant)))
    assert "Asked most often" in asked
    assert QUESTION in asked


def test_columns_of_a_table_are_said_by_hand(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    page = send(client, tenant, TABLE, filename="导出.csv", source="table")
    run = only_run(tenant)
    assert "names no column for what was said" in text_of(page)
    assert "disabled>Import" in re.sub(r"\s+", " ", page.content.decode()).replace(" >", ">")
    part = client.post(
        at(tenant, f"{run.pk}/source/"),
        {
            "source": "table",
            "column": ["Vorgang", "Wer", "Was"],
            "role": ["conversation", "role", "text"],
        },
        headers={"hx-request": "true"},
    )
    said = text_of(part)
    assert "<html" not in part.content.decode()
    assert "几点开门？" in said
    assert "1 conversation can be read." in said
    twice = client.post(
        at(tenant, f"{run.pk}/source/"),
        {
            "source": "table",
            "column": ["Vorgang", "Wer", "Was"],
            "role": ["text", "text", "conversation"],
        },
        headers={"hx-request": "true"},
    )
    assert "Two columns" in text_of(twice)
    # The half-made choice stays before whoever makes it.
    assert twice.content.decode().count('value="text" selected') == 2
    done = client.post(at(tenant, f"{run.pk}/start/"), follow=True)
    assert "1 question with its answer waits" in text_of(done)


def test_another_source_is_tried(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    send(client, tenant, source="freshdesk")
    run = only_run(tenant)
    part = client.post(
        at(tenant, f"{run.pk}/source/"), {"source": "zendesk"}, headers={"hx-request": "true"}
    )
    assert "3 conversations can be read." in text_of(part)


def test_only_an_owner_sees_the_personal_data_and_each_look_is_on_the_trail(
    tenant: Tenant, door: Door
) -> None:
    client = door("admin")
    send(client, tenant)
    client.post(at(tenant, f"{only_run(tenant).pk}/start/"))
    with tenant_scope(tenant):
        past = PastConversation.objects.get(external_id="1")
    page = at(tenant, f"conversations/{past.pk}/")
    for role in ("viewer", "admin"):
        assert "0134" not in text_of(door(role).get(page))
        assert door(role).post(f"{page}reveal/").status_code == 403
    owner = door("owner")
    assert "Show the personal data" in text_of(owner.get(page))
    shown = owner.post(f"{page}reveal/")
    assert "I am Thandiwe, 415-555-0134" in text_of(shown)
    assert shown.headers["Cache-Control"] == "no-store"
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="history.revealed").count() == 1


def test_raw_lines_are_for_whoever_uploaded_them_and_who_manages(
    tenant: Tenant, door: Door
) -> None:
    mine = door("annotator")
    send(mine, tenant)
    lines = at(tenant, f"{only_run(tenant).pk}/lines/?around=1")
    assert mine.get(lines).status_code == 200
    assert door("owner").get(lines).status_code == 200
    assert door("annotator").get(lines).status_code == 403
    assert door("viewer").get(lines).status_code == 403


def test_a_tenant_says_how_its_order_numbers_look_and_what_is_its_own(
    tenant: Tenant, door: Door
) -> None:
    client = door("admin")
    refused = client.post(at(tenant, "rules/"), {"orders": "(a+)+", "kept": ""})
    assert refused.status_code == 422
    assert "is no form of an order number" in text_of(refused)
    client.post(at(tenant, "rules/"), {"orders": "BX\\d{5}\n", "kept": "@acme.example\n"})
    with tenant_scope(tenant):
        rules = RedactionRules.objects.get()
    assert (rules.orders, rules.kept) == (["BX\\d{5}"], ["@acme.example"])
    file = zendesk(ticket(1, (1, "BX12345?"), (10, "Write to us at help@acme.example about it.")))
    said = text_of(send(client, tenant, file))
    assert "[ORDER_1]?" in said
    assert "help@acme.example" in said
    assert door("annotator").get(at(tenant, "rules/")).status_code == 403


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("agent", 403), ("annotator", 200)])
def test_who_may_bring_history_in(role: str, status: int, tenant: Tenant, door: Door) -> None:
    client = door(role)
    assert client.get(at(tenant, "new/")).status_code == status
    assert client.get(at(tenant)).status_code == 200


def test_a_file_that_is_none_is_said_where_it_was_chosen(tenant: Tenant, door: Door) -> None:
    page = send(door("annotator"), tenant, b"")
    assert page.status_code == 422
    assert "The file is empty." in text_of(page)
    with tenant_scope(tenant):
        assert not HistoryRun.objects.exists()
