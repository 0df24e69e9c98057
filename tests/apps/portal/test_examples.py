"""The example browser: found in two languages, corrected with faults at their place, changed by the many."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.models import Annotation, BulkChange, Dataset, Example
from labeling.rows import content_digest
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

TALK = [
    ("怎么退款？订单还没到", "您好，退款会在三个工作日内原路返回。"),
    ("How do I return a ＤＡＭＡＧＥＤ lamp?", "Send a picture to help@example.com, please."),
    ("Where is my parcel", "It left the depot; call 13812345678."),
]


@pytest.fixture
def dataset(tenant: Tenant) -> Dataset:
    with tenant_scope(tenant):
        made = Dataset.objects.create(name="客服 support", slug="support")
        for at, (asked, answered) in enumerate(TALK):
            make_example(made, f"row-{at}", asked, answered)
        make_text(made, "text-0", "物流很快", ["好评", "物流"])
    return made


def make_example(dataset: Dataset, name: str, asked: str, answered: str, **fields: Any) -> Example:
    content = {
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answered},
        ]
    }
    return Example.objects.create(
        dataset=dataset, kind="chat", content=content, external_id=name, **fields
    )


def make_text(dataset: Dataset, name: str, text: str, labels: list[str]) -> Example:
    return Example.objects.create(
        dataset=dataset, kind="text", content={"text": text}, labels=labels, external_id=name
    )


def at(tenant: Tenant, dataset: Dataset, path: str = "examples/") -> str:
    return f"/t/{tenant.slug}/datasets/{dataset.pk}/{path}"


def inside(tenant: Tenant, path: str) -> str:
    return f"/t/{tenant.slug}/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def listed(client: Client, tenant: Tenant, dataset: Dataset, **wanted: str) -> list[str]:
    page = client.get(at(tenant, dataset), wanted)
    assert page.status_code == 200
    return sorted(row["example"].external_id for row in page.context["page"].rows)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "退款"}, ["row-0"]),
        ({"text": "退款 工作日"}, ["row-0"]),
        ({"text": "退款 lamp"}, []),
        ({"text": "damaged LAMP"}, ["row-1"]),
        ({"text": "ｌａｍｐ"}, ["row-1"]),
        ({"text": "%"}, []),
        ({"text": "好评"}, ["text-0"]),
        ({"text": "row-2"}, ["row-2"]),
        ({"kind": "text"}, ["text-0"]),
        ({"label": "物流"}, ["text-0"]),
        ({"label": "物"}, []),
        ({"personal": "any"}, ["row-1", "row-2"]),
        ({"personal": "phone"}, ["row-2"]),
        ({"edited": "yes"}, []),
        ({"state": "draft"}, ["row-0", "row-1", "row-2", "text-0"]),
        ({"state": "nonsense"}, []),
        ({"run": "nonsense"}, []),
        ({"source": "file", "text": "parcel"}, ["row-2"]),
    ],
)
def test_a_search_finds_what_is_meant_and_nothing_else(
    wanted: dict[str, str], found: list[str], tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    assert listed(door("viewer"), tenant, dataset, **wanted) == found


def test_one_example_opens_beside_the_list_with_its_personal_data_marked(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        example = Example.objects.get(external_id="row-1")
    client = door("viewer")
    page = client.get(at(tenant, dataset), {"open": str(example.pk), "text": "lamp"})
    assert '<mark class="personal"' in page.content.decode()
    assert "Nobody has touched it" in text_of(page)
    part = client.get(inside(tenant, f"examples/{example.pk}/"), headers={"hx-request": "true"})
    assert "<html" not in part.content.decode()
    whole = client.get(inside(tenant, f"examples/{example.pk}/"))
    assert whole.status_code == 302
    assert f"open={example.pk}" in whole.headers["Location"]


def test_an_edit_is_kept_with_its_history_as_a_difference(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        example = Example.objects.get(external_id="row-0")
    client = door("annotator")
    place = inside(tenant, f"examples/{example.pk}/")
    sent = {
        "role": ["user", "assistant"],
        "content": ["怎么退款？\r\n订单还没到", "您好，退款会在两个工作日内原路返回。"],
        "labels": "退款\r\nrefund, money",
    }
    page = client.post(f"{place}edit/?text=退款", sent, headers={"hx-request": "true"})
    assert page.status_code == 200
    assert "<del>三</del>" in page.content.decode()
    assert "<ins>两</ins>" in page.content.decode()
    assert f'id="row-{example.pk}"' in page.content.decode()
    with tenant_scope(tenant):
        kept = Example.objects.get(pk=example.pk)
        noted = Annotation.objects.get(example=kept)
    assert kept.content["messages"][0]["content"] == "怎么退款？\n订单还没到"
    assert kept.labels == ["退款", "refund, money"]
    assert kept.state == "draft"
    assert "两个工作日" in kept.search_text
    assert kept.content_digest == content_digest("chat", kept.content, kept.labels)
    assert noted.before is not None
    assert noted.before["content"] == example.content


def test_a_fault_stands_at_the_message_that_it_is_about_and_nothing_is_lost(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        example = Example.objects.get(external_id="row-0")
    sent = {"role": ["user", "assistant"], "content": ["我刚写的问题", "  "], "labels": ""}
    page = door("annotator").post(
        inside(tenant, f"examples/{example.pk}/edit/"), sent, headers={"hx-request": "true"}
    )
    assert page.status_code == 422
    html = page.content.decode()
    assert 'id="fault-1"' in html
    assert 'id="fault-0"' not in html
    assert "我刚写的问题" in html
    with tenant_scope(tenant):
        assert Example.objects.get(pk=example.pk).content == example.content
        assert not Annotation.objects.exists()


def test_messages_are_added_and_taken_out(tenant: Tenant, dataset: Dataset, door: Door) -> None:
    with tenant_scope(tenant):
        example = Example.objects.get(external_id="row-0")
    client, place = door("annotator"), inside(tenant, f"examples/{example.pk}/edit/")
    sent = {"role": ["user", "assistant"], "content": ["问", "答"], "labels": "", "add": "1"}
    page = client.post(place, sent, headers={"hx-request": "true"})
    assert page.content.decode().count('name="content"') == 3
    sent = {
        "role": ["system", "user", "assistant"],
        "content": ["不要", "问", "答"],
        "removed": "0",
        "unlearned": [],
        "labels": "",
    }
    assert client.post(place, sent, headers={"hx-request": "true"}).status_code == 200
    with tenant_scope(tenant):
        roles = [m["role"] for m in Example.objects.get(pk=example.pk).content["messages"]]
    assert roles == ["user", "assistant"]


def test_many_are_accepted_at_once_and_undone_but_for_what_was_touched_since(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    client = door("annotator")
    client.post(at(tenant, dataset, "examples/change/"), {"action": "accept", "kind": "chat"})
    with tenant_scope(tenant):
        change = BulkChange.objects.get()
        assert (change.state, change.done, change.total) == ("done", 3, 3)
        states = dict(Example.objects.values_list("external_id", "state"))
        touched = Example.objects.get(external_id="row-2")
    assert states == {
        "row-0": "accepted",
        "row-1": "accepted",
        "row-2": "accepted",
        "text-0": "draft",
    }
    client.post(inside(tenant, f"examples/{touched.pk}/judge/"), {"verdict": "reject"})
    page = client.get(at(tenant, dataset))
    assert "Accepting 3 examples" in text_of(page)
    client.post(inside(tenant, f"changes/{change.pk}/undo/"))
    with tenant_scope(tenant):
        states = dict(Example.objects.values_list("external_id", "state"))
        assert Annotation.objects.filter(verdict="undo").count() == 2
    assert states == {"row-0": "draft", "row-1": "draft", "row-2": "rejected", "text-0": "draft"}
    again = client.post(inside(tenant, f"changes/{change.pk}/undo/"), follow=True)
    assert "cannot be undone" in text_of(again)


def test_a_label_is_put_on_many_and_taken_off(tenant: Tenant, dataset: Dataset, door: Door) -> None:
    client, place = door("annotator"), at(tenant, dataset, "examples/change/")
    client.post(place, {"action": "add_label", "new_label": " 售后 ", "text": "退款"})
    assert listed(client, tenant, dataset, label="售后") == ["row-0"]
    client.post(place, {"action": "remove_label", "new_label": "好评"})
    client.post(place, {"action": "remove_label", "new_label": "物流"})
    with tenant_scope(tenant):
        text = Example.objects.get(external_id="text-0")
    # A text keeps its last label: without one it would teach nothing.
    assert text.labels == ["物流"]
    assert text.content_digest == content_digest("text", text.content, text.labels)
    refused = client.post(place, {"action": "add_label", "new_label": " "}, follow=True)
    assert "Write a label" in text_of(refused)


def test_filters_that_nobody_can_mean_change_nothing(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    door("owner").post(
        at(tenant, dataset, "examples/change/"), {"action": "reject", "state": "drafts"}
    )
    with tenant_scope(tenant):
        assert not Example.objects.filter(state="rejected").exists()


@pytest.mark.parametrize("role", ["viewer", "agent"])
def test_who_may_only_look_changes_nothing(
    role: str, tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    with tenant_scope(tenant):
        example = Example.objects.get(external_id="row-0")
    client = door(role)
    page = client.get(at(tenant, dataset), {"open": str(example.pk)})
    assert "Accept" not in re.sub("accepted", "", text_of(page))
    for path in (
        f"examples/{example.pk}/edit/",
        f"examples/{example.pk}/judge/",
        f"datasets/{dataset.pk}/examples/change/",
        f"datasets/{dataset.pk}/settings/",
        f"datasets/{dataset.pk}/delete/",
        "datasets/new/",
    ):
        assert client.post(inside(tenant, path), {"verdict": "accept"}).status_code == 403


def test_a_dataset_is_made_renamed_and_deleted_by_its_name(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    client = door("owner")
    for _again in range(2):
        made = client.post(f"/t/{tenant.slug}/datasets/new/", {"name": "退货问答"})
        assert made.status_code == 302
    client.post(at(tenant, dataset, "settings/"), {"name": "售后", "language": "zh"})
    with tenant_scope(tenant):
        assert Dataset.objects.filter(name="退货问答").count() == 2
        assert Dataset.objects.get(pk=dataset.pk).name == "售后"
    client.post(at(tenant, dataset, "delete/"), {"name": "别的"})
    with tenant_scope(tenant):
        assert Dataset.objects.filter(pk=dataset.pk).exists()
    client.post(at(tenant, dataset, "delete/"), {"name": "售后"})
    with tenant_scope(tenant):
        assert not Dataset.objects.filter(pk=dataset.pk).exists()
        assert not Example.objects.exists()


def test_a_dataset_that_a_job_learned_from_stays(tenant: Tenant, door: Door, story: Any) -> None:
    page = door("owner").post(
        at(tenant, story.dataset, "delete/"), {"name": story.dataset.name}, follow=True
    )
    assert "has to stay" in text_of(page)
    with tenant_scope(tenant):
        assert Dataset.objects.filter(pk=story.dataset.pk).exists()
        assert Example.objects.filter(dataset=story.dataset).exists()


def test_the_list_asks_as_often_for_many_examples_as_for_few(
    tenant: Tenant, dataset: Dataset, door: Door
) -> None:
    client = door("owner")

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            client.get(at(tenant, dataset), {"text": "订单"})
        return len(caught)

    queries()
    few = queries()
    with tenant_scope(tenant):
        for number in range(40):
            make_example(dataset, f"more-{number}", f"订单 {number}", "好的")
    assert queries() == few
