"""The labelling pages: who may what, answers that come twice, and nothing of others."""

import html
import json
import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Annotation, Example, LabelingTask, QueueItem
from labeling.queue.building import build_queue
from labeling.queue.setup import create_task, keyed
from labeling.queue.suggestions import store_suggestions
from labeling.services import create_dataset
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door
from tests.factories import make_member, make_tenant

LABELS = ["退货 <b>return</b>", "发票", "other"]
MANAGERS, ANNOTATORS = {"owner", "admin"}, {"owner", "admin", "annotator"}
ROLES = ["owner", "admin", "annotator", "agent", "viewer"]


def make_labelling(tenant: Tenant, drafts: int = 12, **settings: Any) -> LabelingTask:
    with tenant_scope(tenant):
        dataset = create_dataset(name=f"客服 {uuid.uuid4().hex[:4]}", slug=uuid.uuid4().hex[:8])
        for at in range(drafts):
            Example.objects.create(
                dataset=dataset,
                kind="text",
                content={"text": f"怎么退货？{at}"},
                external_id=str(at),
            )
        settings.setdefault(
            "guideline", "# 规则\n- **退货** <script>alert(1)</script>\n\nElse `other`."
        )
        task = create_task(dataset=dataset, name="意图", labels=keyed(LABELS), **settings)
        build_queue(task=task)
        task.refresh_from_db()
        task.tenant = tenant
        return task


@pytest.fixture
def task(tenant: Tenant) -> LabelingTask:
    return make_labelling(tenant)


def at(task: LabelingTask, name: str) -> str:
    return reverse(f"portal:{name}", args=[task.tenant.slug, task.pk])


def take(client: Client, task: LabelingTask, count: int = 3, **more: Any) -> dict[str, Any]:
    response = client.post(at(task, "label-items"), {"count": count, **more})
    assert response.status_code == 200
    return dict(response.json())


def send(client: Client, task: LabelingTask, *events: Any) -> list[dict[str, Any]]:
    response = client.post(at(task, "label-answers"), {"events": json.dumps(events)})
    assert response.status_code == 200
    return list(response.json()["results"])


def said(item: str, *labels: str, **more: Any) -> dict[str, Any]:
    return {
        "client_id": str(uuid.uuid4()), "item": item, "verdict": "accept",
        "labels": list(labels), "seconds": 1.5, **more,
    }  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_who_may_label_and_who_may_set_tasks_up(role: str, task: LabelingTask, door: Door) -> None:
    client = door(role)
    slug = task.tenant.slug
    assert client.get(reverse("portal:labelling", args=[slug])).status_code == 200
    page = client.get(at(task, "label"))
    assert ("data-setup" in page.content.decode()) == (role in ANNOTATORS)
    for name in ("label-items", "label-answers"):
        answer = client.post(at(task, name), {"events": "[]"})
        assert answer.status_code == (200 if role in ANNOTATORS else 403)
    managing = 200 if role in MANAGERS else 403
    assert client.get(reverse("portal:labelling-new", args=[slug])).status_code == managing
    assert client.get(at(task, "labelling-edit")).status_code == managing
    assert client.get(at(task, "adjudicate")).status_code == managing
    assert client.get(at(task, "agreement")).status_code == 200


def test_another_tenants_task_is_as_absent_as_none(task: LabelingTask, door: Door) -> None:
    foreign = make_labelling(make_tenant())
    client = door("owner")
    slug = task.tenant.slug
    for name in ("label", "labelling-edit", "agreement", "adjudicate"):
        for pk in (foreign.pk, uuid.uuid4()):
            assert client.get(reverse(f"portal:{name}", args=[slug, pk])).status_code == 404
    with tenant_scope(foreign.tenant_id):
        item = QueueItem.objects.filter(task=foreign).first()
        assert item
    unknown, theirs = send(
        client, task, said(str(uuid.uuid4()), "other"), said(str(item.pk), "other")
    )
    assert unknown["code"] == theirs["code"] == "not_found"
    assert unknown["detail"] == theirs["detail"]


def test_an_answer_that_comes_twice_is_stored_once(task: LabelingTask, door: Door) -> None:
    client = door("annotator")
    first, second, _third = take(client, task)["items"]
    one = said(first["id"], LABELS[0])
    results = send(client, task, one, one, said(second["id"], "发票"))
    assert [result["status"] for result in results] == ["stored", "known", "stored"]
    assert send(client, task, one)[0]["status"] == "known"
    with tenant_scope(task.tenant_id):
        assert Annotation.objects.count() == 2
        assert Example.objects.filter(state="accepted").count() == 2


def test_one_bad_answer_keeps_none_of_the_others_back(task: LabelingTask, door: Door) -> None:
    client = door("annotator")
    first, second, third = take(client, task)["items"]
    results = send(
        client,
        task,
        said(first["id"], "no such label"),
        {"client_id": "not an id", "item": second["id"], "verdict": "accept"},
        "nonsense",
        said(second["id"], "other", unknown_field=1),
        said(second["id"], "other", seconds=-1),
        said(third["id"], "other"),
        said(third["id"], "发票"),
    )
    assert [result.get("code", result["status"]) for result in results] == [
        "answer_invalid", "invalid", "invalid", "invalid", "invalid", "stored", "already_answered",
    ]  # fmt: skip
    assert results[-1]["detail"]


@pytest.mark.parametrize("body", ["", "{", '{"a": 1}', "[NaN]", json.dumps([{}] * 101)])
def test_what_cannot_be_read_is_said_to_be_so(body: str, task: LabelingTask, door: Door) -> None:
    response = door("annotator").post(at(task, "label-answers"), {"events": body})
    assert response.status_code == 400
    assert response.json()["code"]


def test_what_is_held_is_not_sent_again_and_undo_brings_it_back(
    task: LabelingTask, door: Door
) -> None:
    client = door("annotator")
    first = take(client, task)["items"]
    more = take(client, task, held=[item["id"] for item in first])["items"]
    assert not {item["id"] for item in first} & {item["id"] for item in more}
    answer = said(first[0]["id"], "other")
    undo = {"client_id": str(uuid.uuid4()), "verdict": "undo", "undoes": answer["client_id"]}
    assert [one["status"] for one in send(client, task, answer, undo, undo)] == [
        "stored", "stored", "known",
    ]  # fmt: skip
    assert first[0]["id"] in {item["id"] for item in take(client, task, count=20)["items"]}
    page = client.get(at(task, "label"))
    assert json.loads(_setup(page))["recent"] == []


def test_after_a_reload_the_last_answers_can_still_be_undone(
    task: LabelingTask, door: Door
) -> None:
    client = door("annotator")
    first, second, _third = take(client, task)["items"]
    answers = [said(first["id"], "other"), said(second["id"], "发票")]
    send(client, task, *answers)
    recent = json.loads(_setup(client.get(at(task, "label"))))["recent"]
    assert [one["client_id"] for one in recent] == [one["client_id"] for one in answers]
    assert recent[-1]["labels"] == ["发票"]
    assert recent[-1]["item"]["turns"] == [{"role": "", "text": second["turns"][0]["text"]}]


def test_suggestions_come_with_the_items_or_are_asked_for_later(
    task: LabelingTask, door: Door
) -> None:
    client = door("annotator")
    item = take(client, task, count=1)["items"][0]
    assert item["suggestion"] is None
    with tenant_scope(task.tenant_id):
        row = QueueItem.objects.select_related("example").get(pk=item["id"])
        scores = {LABELS[0]: -1.0, "发票": -2.0, "other": -9.0}
        store_suggestions(model="acme.x@v1-0", digest="d", logprobs={row: scores})
    later = take(client, task, count=0, without=[item["id"], "no id"])
    assert later["items"] == []
    found = later["suggestions"][item["id"]]
    assert found["label"] == LABELS[0]
    assert 0.7 < found["confidence"] < 0.74
    send(client, task, said(item["id"], LABELS[0], shown="acme.x@v1-0"))
    with tenant_scope(task.tenant_id):
        kept = Annotation.objects.get().suggestion
    assert kept["label"] == LABELS[0]
    assert kept["model"] == "acme.x@v1-0"


def test_neither_gold_nor_reason_is_told_to_annotators(tenant: Tenant, door: Door) -> None:
    task = make_labelling(tenant)
    with tenant_scope(tenant):
        example = Example.objects.filter(dataset=task.dataset_id)[0]
        example.state, example.labels = "accepted", ["other"]
        example.save()
        QueueItem.objects.filter(task=task, example=example).update(gold=["other"], reason="gold")
    shown = json.dumps(take(door("annotator"), task, count=20))
    assert "gold" not in shown
    assert "reason" not in shown


def test_a_guideline_is_text_with_a_few_marks(task: LabelingTask, door: Door) -> None:
    page = door("annotator").get(at(task, "label")).content.decode()
    assert "<strong>退货</strong>" in page
    assert "<code>other</code>" in page
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>return</b>" not in page, "a label is text as well"


def test_a_task_is_made_changed_and_paused(tenant: Tenant, door: Door) -> None:
    task = make_labelling(tenant)
    client, slug = door("owner"), tenant.slug
    asked = {
        "name": "情感 sentiment", "dataset": str(task.dataset_id), "mode": "single", "overlap": 2,
        "labels": "n: negative\n中性\npositive", "guideline": "", "gold_count": "",
    }  # fmt: skip
    made = client.post(reverse("portal:labelling-new", args=[slug]), asked)
    assert made.status_code == 302
    with tenant_scope(tenant):
        new = LabelingTask.objects.select_related("tenant").get(name="情感 sentiment")
    assert [one["key"] for one in new.labels] == ["n", "1", "2"]
    assert (new.overlap, new.random_share, new.gold_count) == (2, 20, 0)
    form = client.get(at(new, "labelling-edit")).content.decode()
    assert "n: negative" in form
    wrong = client.post(at(new, "labelling-edit"), asked | {"random_share": 40})
    assert wrong.status_code == 400
    assert "100" in wrong.content.decode()
    changed = client.post(at(new, "labelling-edit"), asked | {"overlap": 3})
    assert changed.status_code == 302
    client.post(at(new, "labelling-state"), {"state": "paused"})
    with tenant_scope(tenant):
        new.refresh_from_db()
    assert (new.overlap, new.state) == (3, "paused")


def test_disputes_are_decided_side_by_side(tenant: Tenant, door: Door) -> None:
    task = make_labelling(tenant, drafts=1, overlap=2)
    ann, li, boss = door("annotator"), door("annotator"), door("owner")
    (item,) = take(ann, task)["items"]
    take(li, task)
    send(ann, task, said(item["id"], LABELS[0]))
    send(li, task, said(item["id"], "发票"))
    page = boss.get(at(task, "adjudicate")).content.decode()
    assert "怎么退货？0" in page
    assert page.count('name="answer"') == 2
    with tenant_scope(tenant):
        answer = Annotation.objects.get(labels=["发票"])
    decided = boss.post(
        at(task, "adjudicate"), {"item": item["id"], "answer": str(answer.pk)}, follow=True
    )
    assert "怎么退货？0" not in decided.content.decode()
    with tenant_scope(tenant):
        assert Example.objects.get().labels == ["发票"]
        assert Annotation.objects.filter(final=True).count() == 1
    refused = send(ann, task, said(item["id"], "other"))[0]
    assert refused["code"] == "already_adjudicated"


def test_accuracy_on_gold_is_shown_to_managers_alone(tenant: Tenant, door: Door) -> None:
    task = make_labelling(tenant, gold_count=1)
    with tenant_scope(tenant):
        item = QueueItem.objects.filter(task=task)[0]
        QueueItem.objects.filter(pk=item.pk).update(gold=["other"])
    client = door("annotator")
    send(client, task, said(str(item.pk), "other"))
    heading = "Right on gold"
    assert heading in door("admin").get(at(task, "agreement")).content.decode()
    assert heading not in client.get(at(task, "agreement")).content.decode()
    api = {"HTTP_X_TENANT": tenant.slug}
    url = f"/api/v1/labeling-tasks/{task.pk}/agreement/"
    assert "gold" not in json.dumps(client.get(url, **api).json()["people"])
    assert door("owner").get(url, **api).json()["people"][0]["gold_right"] == 1


def test_the_pages_of_an_empty_tenant_say_what_to_do(tenant: Tenant, door: Door) -> None:
    client = door("owner")
    assert "Nothing to label yet." in _text(client, "labelling", tenant)
    assert "no dataset to label" in _text(client, "labelling-new", tenant)


def test_the_api_takes_items_and_answers_once(task: LabelingTask) -> None:
    client = Client(HTTP_X_TENANT=task.tenant.slug)
    client.force_login(make_member(task.tenant, "annotator"))
    base = f"/api/v1/labeling-tasks/{task.pk}/"

    def post(path: str, body: Any) -> Any:
        return client.post(base + path, json.dumps(body), content_type="application/json")

    item = post("take/", {"count": 2}).json()["items"][0]
    answer = said(item["id"], "other")
    assert post("answers/", answer).status_code == 201
    assert post("answers/", answer).status_code == 200
    again = post("answers/", said(item["id"], "发票"))
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")
    undo = {"client_id": str(uuid.uuid4()), "verdict": "undo", "undoes": answer["client_id"]}
    assert post("answers/", undo).json()["verdict"] == "undo"
    assert post("answers/", {"verdict": "skip"}).status_code == 400
    assert client.get(base).json()["figures"]["items"] == 12
    assert client.patch(base, "{}", content_type="application/json").status_code == 403


def _setup(page: Any) -> str:
    found = re.search(r'data-setup="([^"]*)"', page.content.decode())
    assert found
    return html.unescape(found[1])


def _text(client: Client, name: str, tenant: Tenant) -> str:
    return str(client.get(reverse(f"portal:{name}", args=[tenant.slug])).content.decode())
