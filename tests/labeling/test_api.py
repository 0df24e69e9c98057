"""Datasets, imports, examples, versions and exports over HTTP, by role and by key."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import services as accounts
from labeling.api import views
from labeling.models import Dataset, Example, ImportRun
from labeling.services import freeze_version
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member
from tests.labeling.conftest import Offer, json_lines, questions

API = "/api/v1"


def signed_in(tenant: Tenant, role: str) -> Client:
    client = Client(headers={"X-Tenant": tenant.slug})
    client.force_login(make_member(tenant, role))
    return client


@pytest.fixture
def annotator(tenant: Tenant) -> Client:
    return signed_in(tenant, "annotator")


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(API + path, json.dumps(body), "application/json")


def upload(client: Client, dataset: Dataset, data: str | bytes, name: str, **form: str) -> Any:
    raw = data.encode() if isinstance(data, str) else data
    file = SimpleUploadedFile(name, raw)
    return client.post(f"{API}/datasets/{dataset.pk}/import/", {"file": file, **form})


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode("utf-8-sig")


def test_a_dataset_is_made_and_renamed(annotator: Client, tenant: Tenant) -> None:
    made = post(annotator, "/datasets/", {"name": "客服", "slug": "support"})
    assert made.status_code == 201
    assert post(annotator, "/datasets/", {"name": "又", "slug": "support"}).status_code == 409
    unknown = post(annotator, "/datasets/", {"name": "又", "colour": "red"})
    assert unknown.status_code == 400

    address = f"{API}/datasets/{made.json()['id']}/"
    changed = annotator.patch(address, json.dumps({"name": "售后"}), "application/json")
    assert changed.json()["name"] == "售后"
    assert [d["name"] for d in annotator.get(f"{API}/datasets/").json()["items"]] == ["售后"]


def test_a_name_in_chinese_gets_an_address_of_its_own(annotator: Client) -> None:
    first = post(annotator, "/datasets/", {"name": "客服"})
    assert first.status_code == 201
    assert first.json()["slug"] == "dataset"


def test_a_file_is_imported_with_its_report(annotator: Client, dataset: Dataset) -> None:
    answer = upload(annotator, dataset, questions(5) + "{坏\n", "历史.jsonl")

    assert answer.status_code == 201
    report = answer.json()
    assert report["counts"]["created"] == 5
    assert report["faults"][0]["line"] == 6
    assert report["faults"][0]["fix"]
    assert report["preview"][0]["id"] == "问-0"
    run = annotator.get(f"{API}/imports/{report['import']}/").json()
    assert (run["state"], run["fault_count"], run["encoding"]) == ("done", 1, "utf-8")
    assert run["faults"] == report["faults"]


def test_faults_are_said_in_the_readers_language(annotator: Client, dataset: Dataset) -> None:
    upload(annotator, dataset, "{坏\n", "x.jsonl")
    with tenant_scope(dataset.tenant_id):
        run = ImportRun.objects.get()
    assert "message" not in run.faults[0]
    answer = annotator.get(f"{API}/imports/{run.pk}/", headers={"Accept-Language": "zh-hans"})
    assert answer.json()["faults"][0]["message"]


def test_a_dry_run_writes_nothing(annotator: Client, dataset: Dataset) -> None:
    form = {"dry_run": "true", "mapping": '{"q": "甲", "a": "乙"}'}
    answer = upload(annotator, dataset, "甲,乙\n一？,二。\n", "x.csv", **form)

    assert answer.status_code == 200
    assert answer.json()["counts"]["created"] == 1
    assert answer.json()["import"] is None
    with tenant_scope(dataset.tenant_id):
        assert not Example.objects.exists()


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"mapping": "{nonsense"}, 400),
        ({"mapping": '["q"]'}, 400),
        ({"mapping": '{"colour": "甲"}'}, 400),
        ({"state": "rejected"}, 400),
        ({"dry_run": "perhaps"}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_read(
    annotator: Client, dataset: Dataset, form: dict[str, str], status: int
) -> None:
    answer = upload(annotator, dataset, questions(2), "x.jsonl", **form)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    with tenant_scope(dataset.tenant_id):
        assert not Example.objects.exists()


def test_a_request_without_a_file_or_as_json_is_refused(
    annotator: Client, dataset: Dataset
) -> None:
    assert annotator.post(f"{API}/datasets/{dataset.pk}/import/", {}).status_code == 400
    assert post(annotator, f"/datasets/{dataset.pk}/import/", {"file": "x"}).status_code == 415


def test_an_upload_that_is_too_large_is_refused(
    annotator: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MAX_UPLOAD_BYTES", 1_000)
    answer = upload(annotator, dataset, questions(100), "x.jsonl")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("name", ["../../etc/passwd", "x\r\nSet-Cookie: a", "<b>.csv", "名" * 90])
def test_names_of_files_are_only_names(annotator: Client, dataset: Dataset, name: str) -> None:
    answer = upload(annotator, dataset, questions(2), name + ".jsonl")
    assert answer.status_code in (201, 400)


@pytest.mark.parametrize(
    ("role", "may_view", "may_import", "may_freeze"),
    [
        ("owner", True, True, True),
        ("admin", True, True, True),
        ("annotator", True, True, False),
        ("agent", True, False, False),
        ("viewer", True, False, False),
    ],
)
def test_each_role_may_do_its_part(
    tenant: Tenant,
    dataset: Dataset,
    offer: Offer,
    role: str,
    may_view: bool,
    may_import: bool,
    may_freeze: bool,
) -> None:
    offer(questions(30))
    client = signed_in(tenant, role)

    assert (client.get(f"{API}/examples/").status_code == 200) is may_view
    imported = upload(client, dataset, questions(2), "x.jsonl").status_code
    assert imported == (201 if may_import else 403)
    frozen = post(client, f"/datasets/{dataset.pk}/freeze/", {}).status_code
    assert frozen == (201 if may_freeze else 403)


def test_a_key_is_held_to_its_scopes(dataset: Dataset, tenant: Tenant) -> None:
    _key, secret = accounts.create_api_key(name="导入", scopes=["annotate"], by=None)
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    assert upload(client, dataset, questions(2), "x.jsonl").status_code == 201
    assert client.get(f"{API}/examples/").status_code == 403
    assert AuditEntry.objects.get(action="dataset.imported").actor_kind == "key"


def test_examples_are_filtered(annotator: Client, dataset: Dataset, offer: Offer) -> None:
    offer(questions(5))
    offer(questions(3, start=5), state="draft")

    def count(query: str) -> int:
        return len(annotator.get(f"{API}/examples/?{query}").json()["items"])

    assert count(f"dataset={dataset.pk}&state=draft") == 3
    assert count("external_id=问-1") == 1
    assert count("dataset=00000000-0000-4000-8000-000000000000") == 0
    assert annotator.get(f"{API}/examples/?dataset=nonsense").status_code == 400
    page = annotator.get(f"{API}/examples/?limit=3").json()
    assert len(page["items"]) == 3
    assert page["next"]


def test_an_annotation_corrects_an_example(
    annotator: Client, dataset: Dataset, offer: Offer
) -> None:
    offer(json_lines({"text": "物流太慢", "label": "正面"}))
    example = Example.objects.get()
    path = f"/examples/{example.pk}/annotate/"
    body = {"verdict": "accept", "labels": ["负面"], "seconds": 2.5}

    assert post(annotator, path, body).status_code == 201
    assert annotator.get(f"{API}/examples/{example.pk}/").json()["labels"] == ["负面"]
    kept = annotator.get(f"{API}/examples/{example.pk}/annotations/").json()["items"]
    assert [(one["labels"], one["seconds"]) for one in kept] == [(["负面"], 2.5)]
    assert post(annotator, path, {"verdict": "perhaps"}).status_code == 400
    wrong = post(annotator, path, {"verdict": "accept", "content": {"text": ""}})
    assert wrong.status_code == 400
    assert wrong.json()["faults"][0]["code"] == "content_empty"


def test_a_version_is_frozen_read_and_exported(
    tenant: Tenant, dataset: Dataset, offer: Offer
) -> None:
    owner = signed_in(tenant, "owner")
    too_small = post(owner, f"/datasets/{dataset.pk}/freeze/", {})
    assert (too_small.status_code, too_small.json()["code"]) == (400, "dataset_too_small")
    offer(questions(60))
    frozen = post(owner, f"/datasets/{dataset.pk}/freeze/", {"seed": 4, "shares": [0.6, 0.2, 0.2]})
    assert frozen.status_code == 201
    version = frozen.json()
    again = post(owner, f"/datasets/{dataset.pk}/freeze/", {"shares": [1, 1, 1]})
    assert again.json()["code"] == "shares_invalid"

    rows = f"{API}/versions/{version['id']}/rows/?split=test&limit=5"
    first = owner.get(rows).json()
    rest = owner.get(f"{rows}&after={first['after']}").json()
    assert len(first["items"]) == 5
    assert first["items"][0] not in rest["items"]
    assert owner.get(f"{API}/versions/{version['id']}/rows/?split=nonsense").status_code == 400

    export = owner.get(f"{API}/versions/{version['id']}/export/?form=openai&split=test")
    assert export["Content-Disposition"] == 'attachment; filename="support-v1.jsonl"'
    assert len(text_of(export).splitlines()) == version["counts"]["test"]
    assert owner.get(f"{API}/versions/{version['id']}/export/?form=exe").status_code == 400


def test_a_dataset_is_exported_as_a_table_that_runs_nothing(
    annotator: Client, dataset: Dataset, offer: Offer
) -> None:
    offer(json_lines({"id": "一", "q": "=1+1？", "a": "@二"}))
    answer = annotator.get(f"{API}/datasets/{dataset.pk}/export/?form=csv")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "'=1+1？,'@二" in text_of(answer)


def test_another_tenants_rows_are_not_there(
    dataset: Dataset, offer: Offer, other_tenant: Tenant
) -> None:
    offer(questions(30))
    version = freeze_version(dataset=dataset)
    run = ImportRun.objects.get()
    stranger = signed_in(other_tenant, "owner")
    for path in (
        f"/datasets/{dataset.pk}/",
        f"/datasets/{dataset.pk}/export/",
        f"/versions/{version.pk}/",
        f"/versions/{version.pk}/rows/",
        f"/versions/{version.pk}/export/",
        f"/imports/{run.pk}/",
    ):
        assert stranger.get(API + path).status_code == 404
    assert upload(stranger, dataset, questions(1), "x.jsonl").status_code == 404
    for path in ("/datasets/", "/examples/", "/versions/", "/imports/"):
        assert stranger.get(API + path).json()["items"] == []


def test_a_streamed_export_keeps_its_scope(annotator: Client, dataset: Dataset) -> None:
    upload(annotator, dataset, questions(20), "x.jsonl")
    answer = annotator.get(f"{API}/datasets/{dataset.pk}/export/?form=rows")

    assert len(text_of(answer).splitlines()) == 20
