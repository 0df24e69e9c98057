"""History comes in by REST as it does by the page."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.chatbot.models import PastConversation
from labeling.models import Dataset
from labeling.services import create_dataset
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.history.files import ANSWER, QUESTION, ticket, zendesk
from tests.factories import make_member

pytestmark = pytest.mark.django_db
FILE = zendesk(ticket(1, (1, QUESTION), (10, ANSWER)), {"id": 2, "comments": 3})
PLACE = "/api/v1/history-imports/"


@pytest.fixture
def dataset(tenant: Tenant) -> Dataset:
    with tenant_scope(tenant):
        return create_dataset(name="客服", slug="support")


def at_the_door(tenant: Tenant, role: str = "annotator") -> Client:
    client = Client(headers={"X-Tenant": tenant.slug})
    client.force_login(make_member(tenant, role))
    return client


def send(client: Client, dataset: Dataset, fields: Any = None) -> Any:
    sent = {"dataset": str(dataset.pk), "source": "zendesk"} | (fields or {})
    return client.post(PLACE, {"file": SimpleUploadedFile("工单.json", FILE), **sent})


def test_a_file_is_imported_and_told_of(tenant: Tenant, dataset: Dataset) -> None:
    client = at_the_door(tenant)
    answer = send(client, dataset)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["state"], told["dry_run"], told["counts"]["created"]) == ("done", False, 1)
    assert told["mined"]["counts"] == {"pairs": 1, "examples": 1}
    (fault,) = told["faults"]
    assert (fault["code"], fault["pointer"]) == ("messages_not_list", "/tickets/1/comments")
    assert client.get(f"{PLACE}{told['id']}/").json() == told
    assert [one["id"] for one in client.get(f"{PLACE}?state=done").json()["items"]] == [told["id"]]


def test_a_dry_run_keeps_nothing_until_it_is_started(tenant: Tenant, dataset: Dataset) -> None:
    client = at_the_door(tenant)
    told = send(client, dataset, {"dry_run": "true"}).json()
    assert (told["dry_run"], told["counts"]["created"]) == (True, 1)
    with tenant_scope(tenant):
        assert not PastConversation.objects.exists()
    started = client.post(f"{PLACE}{told['id']}/start/").json()
    assert (started["state"], started["dry_run"]) == ("done", False)
    again = client.post(f"{PLACE}{told['id']}/start/")
    assert (again.status_code, again.json()["code"]) == (409, "import_begun")
    assert client.post(f"{PLACE}{told['id']}/cancel/").json()["state"] == "done"


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"source": "fax"}, 400, "source"),
        ({"dataset": str(uuid4())}, 404, "dataset"),
        ({"mapping": '{"nothing": "x"}'}, 400, "mapping"),
        ({"reviewers": "4"}, 400, "reviewers"),
    ],
)
def test_what_cannot_be_is_refused(
    fields: dict[str, str], status: int, field: str, tenant: Tenant, dataset: Dataset
) -> None:
    answer = send(at_the_door(tenant), dataset, fields)
    assert answer.status_code == status, answer.content
    assert field in answer.content.decode()


def test_who_only_views_brings_nothing_in(tenant: Tenant, dataset: Dataset) -> None:
    client = at_the_door(tenant, "viewer")
    assert send(client, dataset).status_code == 403
    assert client.get(PLACE).status_code == 200
