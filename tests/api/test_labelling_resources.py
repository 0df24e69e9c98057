"""Labels, examples, annotations and evaluations over the native API."""

from typing import Any

import pytest
from django.test import Client

from gpt_core.models import Evaluation
from labeling import label_set
from labeling.models import Annotation, Dataset, Example, Label, VersionRow
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.accounts.test_api import key_of
from tests.gpt_core.rows import make_checkpoint

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> None:
    settings.PARLEY_HOME = tmp_path
    monkeypatch.setattr("gpt_core.dispatch._ring", lambda *_task: None)


class Api:
    def __init__(self, tenant: Tenant, *scopes: str) -> None:
        self.client, self.headers = Client(), key_of(tenant, *scopes)

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = (
            getattr(self.client, method)(
                f"/api/v1/{path}", body, "application/json", headers=self.headers
            )
            if method != "get"
            else self.client.get(f"/api/v1/{path}", headers=self.headers)
        )
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant)


@pytest.fixture
def dataset(tenant: Tenant) -> Dataset:
    with tenant_scope(tenant):
        return Dataset.objects.create(name="客服", slug="support")


def write(api: Api, dataset: Dataset, text: str, *labels: str, **more: Any) -> dict[str, Any]:
    body = {"dataset": str(dataset.pk), "content": {"text": text}, "labels": list(labels)}
    return api("post", "examples/", body | more, 201)


def test_an_example_is_written_read_corrected_judged_and_removed(
    api: Api, dataset: Dataset, tenant: Tenant
) -> None:
    made = write(
        api, dataset, "退货要多久？", "退货", external_id="a-1", group="g", subject="contact:1"
    )
    assert (made["kind"], made["state"], made["source_kind"]) == ("text", "draft", "person")
    assert made["external_id"] == "a-1"
    with tenant_scope(tenant):
        assert Example.objects.get().subject == "contact:1"
    address = f"examples/{made['id']}/"
    assert api("get", address) == made
    changed = api("patch", address, {"labels": ["物流"], "state": "accepted"})
    assert (changed["labels"], changed["state"]) == (["物流"], "accepted")
    assert changed["edited_at"]
    corrected = api("patch", address, {"content": {"text": "发货要多久？"}})
    assert corrected["content"] == {"text": "发货要多久？"}
    verdicts = [row["verdict"] for row in api("get", f"{address}annotations/")["items"]]
    assert verdicts == ["accept", "edit"]
    assert api("patch", address, {})["content"] == corrected["content"]
    api("delete", address, status=204)
    api("get", address, status=404)
    with tenant_scope(tenant):
        assert not Example.objects.exists()
        assert AuditEntry.objects.filter(action="example.deleted").exists()


def test_what_was_frozen_outlives_its_example(api: Api, dataset: Dataset, tenant: Tenant) -> None:
    made = [write(api, dataset, f"第 {n} 句", "a", state="accepted") for n in range(12)]
    api("post", f"datasets/{dataset.pk}/freeze/", {}, 201)
    api("delete", f"examples/{made[0]['id']}/", status=204)
    with tenant_scope(tenant):
        assert VersionRow.objects.count() == 12


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": {}}, "content"), ({"content": {"text": ""}}, "content"),
        ({"content": {"foo": "x"}}, "content"), ({"content": "x"}, "content"),
        ({"content": {"text": "x", "labels": ["a"]}}, "content"),
        ({"content": {"text": "x", "colour": "red"}, "labels": ["a"]}, "content"),
        ({"content": {"messages": []}}, "content"),
        ({"content": {"text": "x"}, "labels": "a"}, "labels"),
        ({"content": {"text": "x"}, "labels": ["a"], "state": "rejected"}, "state"),
        ({"content": {"text": "x"}, "labels": ["a"], "tenant": "x"}, "tenant"),
        ({"content": {"text": "x"}, "labels": ["a" * 200]}, "labels"),
    ],
)  # fmt: skip
def test_an_example_that_teaches_nothing_is_refused_by_its_field(
    api: Api, dataset: Dataset, body: dict[str, Any], field: str
) -> None:
    refused = api("post", "examples/", body | {"dataset": str(dataset.pk)}, 400)
    assert refused["errors"][0]["field"].split(".")[0] == field


def test_an_example_is_there_once(api: Api, dataset: Dataset) -> None:
    write(api, dataset, "在吗", "a")
    body = {"dataset": str(dataset.pk), "content": {"text": "在吗"}, "labels": ["a"]}
    assert api("post", "examples/", body, 409)["code"] == "example_exists"


def test_examples_are_found_by_what_they_wear(api: Api, dataset: Dataset) -> None:
    write(api, dataset, "一", "退货")
    write(api, dataset, "二", "物流", "退货")
    write(api, dataset, "三", "物流")
    texts = [row["content"]["text"] for row in api("get", "examples/?label=退货")["items"]]
    assert sorted(texts) == ["一", "二"]
    refused = api("get", "examples/?labels=退货", status=400)
    assert refused["errors"][0]["field"] == "labels"


def test_a_label_is_added_described_renamed_on_its_wearers_and_removed(
    api: Api, dataset: Dataset, tenant: Tenant
) -> None:
    label = api("post", "labels/", {"dataset": str(dataset.pk), "name": " 退货 "}, 201)
    assert label["name"] == "退货"
    body = {"dataset": str(dataset.pk), "name": "退货"}
    assert api("post", "labels/", body, 409)["code"] == "label_exists"
    first = write(api, dataset, "一", "退货")
    both = write(api, dataset, "二", "物流", "退货", "退款")
    address = f"labels/{label['id']}/"
    worn = api("delete", address, status=409)
    assert (worn["code"], worn["worn"]) == ("label_worn", 2)
    assert api("patch", address, {"description": "什么时候算"})["description"] == "什么时候算"
    api("patch", address, {"name": "物流"}, 409)
    assert api("patch", address, {"name": "退换"})["name"] == "退换"
    assert api("get", f"examples/{first['id']}/")["labels"] == ["退换"]
    assert api("get", f"examples/{both['id']}/")["labels"] == ["物流", "退换", "退款"]
    assert len(api("get", f"annotations/?example={first['id']}")["items"]) == 1
    found = api("get", "examples/?label=退换")["items"]
    assert len(found) == 2
    for row in (first, both):
        api("delete", f"examples/{row['id']}/", status=204)
    api("delete", address, status=204)
    with tenant_scope(tenant):
        assert set(Label.objects.values_list("name", flat=True)) == {"物流", "退款"}


def test_one_who_wears_both_names_wears_the_new_one_once(tenant: Tenant, dataset: Dataset) -> None:
    with tenant_scope(tenant):
        label = Label.objects.create(dataset=dataset, name="旧")
        example = Example.objects.create(
            dataset=dataset,
            kind="text",
            content={"text": "x"},
            labels=["新", "旧"],
            external_id="1",
        )
        label_set.change_label(label=label, name="新")
        example.refresh_from_db()
        assert example.labels == ["新"]
        assert Annotation.objects.get().before == {
            "state": "draft", "labels": ["新", "旧"], "content": {"text": "x"},
        }  # fmt: skip


def test_what_too_many_wear_is_not_renamed(
    tenant: Tenant, dataset: Dataset, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_set, "MOST_RENAMED", 1)
    for text in ("一", "二"):
        write(api, dataset, text, "退货")
    label = api("get", "labels/?name=退货")["items"][0]
    assert api("patch", f"labels/{label['id']}/", {"name": "新"}, 409)["code"] == "label_worn"
    assert api("get", f"labels/{label['id']}/")["name"] == "退货"


def test_annotations_are_listed_and_filtered(api: Api, dataset: Dataset) -> None:
    made = write(api, dataset, "一", "退货")
    api("post", f"examples/{made['id']}/annotate/", {"verdict": "reject"}, 201)
    for query, count in (
        ("", 1),
        (f"?dataset={dataset.pk}&verdict=reject", 1),
        ("?verdict=accept", 0),
    ):
        assert len(api("get", f"annotations/{query}")["items"]) == count
    one = api("get", "annotations/")["items"][0]
    assert api("get", f"annotations/{one['id']}/")["verdict"] == "reject"


def test_a_dataset_is_removed_unless_a_job_learned_from_it(
    api: Api, dataset: Dataset, tenant: Tenant
) -> None:
    with tenant_scope(tenant):
        learned = make_checkpoint(tenant).dataset_version.dataset
    assert api("delete", f"datasets/{learned.pk}/", status=409)["code"] == "dataset_in_use"
    api("delete", f"datasets/{dataset.pk}/", status=204)


def test_an_evaluation_is_asked_for(api: Api, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        checkpoint = make_checkpoint(tenant)
    made = api("post", "evaluations/", {"checkpoint": str(checkpoint.pk)}, 201)
    assert (made["state"], made["checkpoint"]) == ("queued", str(checkpoint.pk))
    again = api("post", "evaluations/", {"checkpoint": str(checkpoint.pk)}, 201)
    assert again["id"] == made["id"]
    assert len(api("get", f"evaluations/?checkpoint={checkpoint.pk}")["items"]) == 1
    with tenant_scope(tenant):
        assert Evaluation.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "labels/", {"name": "x"}), ("post", "examples/", {}), ("post", "evaluations/", {}),
        ("post", "datasets/", {"name": "x"}),
    ],
)  # fmt: skip
def test_whoever_may_only_look_writes_nothing(
    tenant: Tenant, method: str, path: str, body: dict[str, str]
) -> None:
    Api(tenant, "view")(method, path, body, 403)
