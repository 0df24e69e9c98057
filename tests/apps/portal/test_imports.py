"""The import wizard: taken, looked at, mapped, checked, imported; and everything in it by role."""

import io
import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from labeling import background, services, work
from labeling.models import Dataset, DatasetVersion, Example, FreezeRun, ImportPreset, ImportRun
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

TABLE = "客户说,我们说,备注\n在吗,在的,x\n几点开门,九点,\n电话多少,13812345678,\n,没有问题,\n"


def at(tenant: Tenant, path: str) -> str:
    return f"/t/{tenant.slug}/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def send(client: Client, tenant: Tenant, name: str = "问答.csv", **fields: Any) -> Any:
    data = fields.pop("data", TABLE.encode("gb18030"))
    file = SimpleUploadedFile(name, data)
    return client.post(at(tenant, "datasets/import/"), {"file": file, **fields}, follow=True)


def only_run(tenant: Tenant) -> ImportRun:
    with tenant_scope(tenant):
        return ImportRun.objects.select_related("dataset").get()


def chosen(*roles: str) -> dict[str, list[str]]:
    return {"column": ["客户说", "我们说", "备注"], "role": list(roles)}


def test_a_file_is_taken_looked_at_mapped_and_imported(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    page = send(client, tenant)
    run = only_run(tenant)
    assert page.redirect_chain[-1][0] == at(tenant, f"imports/{run.pk}/")
    # A new dataset is called as the file is.
    assert run.dataset.name == "问答"
    assert "gb18030" in text_of(page)
    assert "No examples" not in text_of(page)
    assert "None of the columns" in text_of(page) or "fault" in text_of(page)

    part = client.post(
        at(tenant, f"imports/{run.pk}/columns/"),
        chosen("question", "answer", ""),
        headers={"hx-request": "true"},
    )
    assert "<html" not in part.content.decode()
    said = text_of(part)
    assert "几点开门" in said
    assert "1 fault" in said
    assert "1 row holds something that names a person" in said
    assert f"imports/{run.pk}/lines/?around=5#line-5" in part.content.decode()
    with tenant_scope(tenant):
        assert not Example.objects.exists()

    done = client.post(at(tenant, f"imports/{run.pk}/start/"), follow=True)
    assert "3 new examples are in." in text_of(done)
    with tenant_scope(tenant):
        assert Example.objects.filter(state="accepted").count() == 3
    again = client.post(at(tenant, f"imports/{run.pk}/start/"), follow=True)
    assert "being imported already" in text_of(again)
    listed = client.get(at(tenant, f"datasets/{run.dataset_id}/"))
    assert "问答.csv" in text_of(listed)


def test_the_line_of_a_fault_is_shown_as_it_was_uploaded(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    send(client, tenant)
    run = only_run(tenant)
    client.post(at(tenant, f"imports/{run.pk}/columns/"), chosen("question", "answer", ""))
    page = client.get(at(tenant, f"imports/{run.pk}/lines/"), {"around": "5"})
    assert ",没有问题," in text_of(page)
    assert 'id="line-5" aria-current="true"' in re.sub(r"\s+", " ", page.content.decode())
    for odd in ("0", "-1", "x", "99999999999999999999", "７"):
        assert (
            client.get(at(tenant, f"imports/{run.pk}/lines/"), {"around": odd}).status_code == 200
        )


def test_two_columns_of_one_meaning_are_refused_with_their_names(
    tenant: Tenant, door: Door
) -> None:
    client = door("annotator")
    send(client, tenant)
    run = only_run(tenant)
    part = client.post(
        at(tenant, f"imports/{run.pk}/columns/"),
        chosen("question", "question", ""),
        headers={"hx-request": "true"},
    )
    assert "“客户说” and “我们说”" in text_of(part)


def test_a_mapping_is_kept_and_fits_the_next_file_like_it(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    send(client, tenant)
    run = only_run(tenant)
    client.post(at(tenant, f"imports/{run.pk}/columns/"), chosen("question", "answer", ""))
    page = client.post(at(tenant, f"imports/{run.pk}/presets/"), {"name": "客服表"}, follow=True)
    assert "客服表" in text_of(page)
    with tenant_scope(tenant):
        preset = ImportPreset.objects.get()
        assert preset.mapping == {"question": "客户说", "answer": "我们说", "*": ""}
        ImportRun.objects.all().delete()
    send(client, tenant)
    second = only_run(tenant)
    part = client.post(
        at(tenant, f"imports/{second.pk}/columns/"),
        {"preset": str(preset.pk)},
        headers={"hx-request": "true"},
    )
    assert "几点开门" in text_of(part)
    client.post(at(tenant, f"presets/{preset.pk}/delete/"))
    with tenant_scope(tenant):
        assert not ImportPreset.objects.exists()


def test_a_preset_of_another_tenant_is_none(
    tenant: Tenant, other_tenant: Tenant, door: Door
) -> None:
    with tenant_scope(other_tenant):
        foreign = ImportPreset.objects.create(name="别家", mapping={"question": "客户说"})
    client = door("annotator")
    send(client, tenant)
    run = only_run(tenant)
    place = at(tenant, f"imports/{run.pk}/columns/")
    assert client.post(place, {"preset": str(foreign.pk)}).status_code == 404
    assert only_run(tenant).mapping == {}


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.png", b"\x89PNG\r\n\x1a\n"), ("a.xlsx", b"PK\x03\x04broken"), ("a.csv", b"\xff" * 50)],
)
def test_what_cannot_be_read_says_why_and_cannot_be_imported(
    name: str, data: bytes, tenant: Tenant, door: Door
) -> None:
    page = send(door("annotator"), tenant, name=name, data=data)
    assert page.status_code == 200
    assert re.search(r'type="submit"\s+disabled', page.content.decode())


def test_an_empty_file_and_a_large_one_leave_nothing(
    tenant: Tenant, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = door("annotator")
    empty = send(client, tenant, data=b"")
    assert empty.status_code == 422
    assert "empty" in text_of(empty)
    monkeypatch.setattr(background, "MOST_BYTES", 10)
    large = client.post(
        at(tenant, "datasets/import/"),
        {"file": SimpleUploadedFile("a.csv", b"x" * 20)},
        headers={"accept": "application/json"},
    )
    assert large.status_code == 422
    assert "larger" in large.json()["fault"]
    with tenant_scope(tenant):
        assert not Dataset.objects.exists()


def test_a_dataset_of_another_tenant_cannot_be_imported_into(
    tenant: Tenant, other_tenant: Tenant, door: Door
) -> None:
    with tenant_scope(other_tenant):
        foreign = services.create_dataset(name="别家", slug="a")
    page = send(door("annotator"), tenant, dataset=str(foreign.pk))
    assert page.status_code == 422
    with tenant_scope(other_tenant):
        assert not ImportRun.objects.exists()


def test_a_long_import_shows_how_far_it_is_wherever_one_looks(
    tenant: Tenant, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AT_ONCE_BYTES", 1)
    client = door("owner")
    page = send(client, tenant, name="faq.csv", data="question,answer\n在吗,在的\n".encode())
    run = only_run(tenant)
    assert "Waiting for a worker" in text_of(page)
    client.post(at(tenant, f"imports/{run.pk}/start/"))
    with tenant_scope(tenant):
        hold = work.Hold.of(ImportRun.objects.get())
        assert hold is not None
        hold.write(share=0.4, done=400)
    for place in (f"imports/{run.pk}/", f"imports/{run.pk}/live/", "datasets/"):
        assert "40 %" in text_of(client.get(at(tenant, place))), place
    said = text_of(client.post(at(tenant, f"imports/{run.pk}/cancel/"), follow=True))
    assert "stopping" in said


def test_a_version_is_frozen_from_the_page(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        dataset = services.create_dataset(name="客服", slug="a")
        rows = "\n".join(
            f'{{"question": "问{n * 7919}", "answer": "答{n * n}"}}' for n in range(40)
        )
        services.import_examples(
            dataset=dataset, stream=io.BytesIO(rows.encode()), filename="a.jsonl"
        )
    client = door("admin")
    assert "Freeze 40 accepted examples" in text_of(
        client.get(at(tenant, f"datasets/{dataset.pk}/"))
    )
    page = client.post(at(tenant, f"datasets/{dataset.pk}/freeze/"), follow=True)
    assert page.redirect_chain[-1][0] == at(tenant, f"datasets/{dataset.pk}/versions/1/")
    with tenant_scope(tenant):
        assert DatasetVersion.objects.count() == 1
        run = FreezeRun.objects.get()
    assert client.get(at(tenant, f"freezes/{run.pk}/")).headers["HX-Refresh"] == "true"


def test_a_freeze_of_too_little_says_so_on_the_page(tenant: Tenant, door: Door) -> None:
    client = door("owner")
    send(client, tenant, name="faq.csv", data="question,answer\n在吗,在的\n".encode())
    run = only_run(tenant)
    client.post(at(tenant, f"imports/{run.pk}/start/"))
    page = client.post(at(tenant, f"datasets/{run.dataset_id}/freeze/"), follow=True)
    assert "too little to freeze" in text_of(page)


@pytest.mark.parametrize(
    ("role", "may_import", "may_freeze"),
    [("viewer", 403, 403), ("agent", 403, 403), ("annotator", 200, 403), ("admin", 200, 302)],
)
def test_each_role_may_do_what_it_may(
    role: str, may_import: int, may_freeze: int, tenant: Tenant, door: Door
) -> None:
    send(door("owner"), tenant)
    run = only_run(tenant)
    client = door(role)
    assert client.get(at(tenant, "datasets/import/")).status_code == may_import
    assert client.get(at(tenant, f"imports/{run.pk}/")).status_code == 200
    assert client.get(at(tenant, f"imports/{run.pk}/lines/")).status_code == 200
    freeze = client.post(at(tenant, f"datasets/{run.dataset_id}/freeze/"))
    assert freeze.status_code == may_freeze
    for path in ("columns", "presets", "start", "cancel"):
        status = client.post(at(tenant, f"imports/{run.pk}/{path}/")).status_code
        assert (status == 403) == (may_import == 403)


def test_two_versions_are_compared_in_numbers(tenant: Tenant, door: Door) -> None:
    with tenant_scope(tenant):
        dataset = services.create_dataset(name="客服", slug="a")
        rows = "\n".join(
            f'{{"question": "问{n * 7919}", "answer": "答{n * n}"}}' for n in range(60)
        )
        services.import_examples(
            dataset=dataset, stream=io.BytesIO(rows.encode()), filename="a.jsonl"
        )
        first = services.freeze_version(dataset=dataset)
        kept = first.rows.filter(split="train").select_related("example")
        one, other = (row.example for row in kept[:2])
        one.content["messages"][1]["content"] = "改过的答案"
        one.save()
        other.delete()
        services.freeze_version(dataset=dataset)
    client = door("viewer")
    place = at(tenant, f"datasets/{dataset.pk}/versions/2/")
    said = text_of(client.get(place))
    assert "With fewer than 30 test rows" in said
    said = text_of(client.get(f"{place}compare/"))
    assert "v1 → v2" in said
    assert "came 0 went 1 say something else 1 moved to another split 0" in said
    assert "no earlier version" in text_of(
        client.get(at(tenant, f"datasets/{dataset.pk}/versions/1/compare/"))
    )
    assert client.get(f"{place}compare/", {"with": "9"}).status_code == 200
