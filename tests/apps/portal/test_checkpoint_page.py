"""The page of one checkpoint, and the files that are made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.portal.contrasts import apart
from gpt_core import job_folder
from gpt_core.models import Checkpoint, Export, State
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal import scenes
from tests.apps.portal.conftest import Door
from tests.apps.portal.test_pages import at, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened(tenant: Tenant, story: scenes.Story) -> Checkpoint:
    with tenant_scope(tenant):
        return Checkpoint.objects.get(job=story.open)


def page_of(client: Client, tenant: Tenant, checkpoint: Checkpoint, query: str = "") -> Any:
    return client.get(at(tenant, f"checkpoints/{checkpoint.pk}/{query}"))


def test_it_says_what_it_is_worth_where_it_came_from_and_what_it_can_become(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    page = page_of(door("owner"), tenant, opened)
    text = text_of(page)
    assert "The gate is open" in text
    assert "Customer questions v1" in text
    assert "the 402 examples it learned from" in text
    assert opened.base_model.digest[:16] in text
    assert "0.3.0" in text
    assert "15 of 16 answers are the checkpoint's own" in text
    assert "42 %" in text
    assert "computes something else than the checkpoint" in text


def test_what_fell_stands_first_among_the_slices(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    text = text_of(page_of(door("viewer"), tenant, opened))
    fell = text.index("medium")
    assert fell < text.index("Chinese") < text.index("short")
    assert "fell" in text[fell : text.index("Chinese")]


def test_differences_are_marked_and_markup_stays_text(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    html = page_of(door("owner"), tenant, opened, "?against=reference").content.decode()
    assert "<ins>" in html
    assert "<del>" in html
    assert "Is &lt;b&gt;VAT&lt;/b&gt; included" in html
    assert "<b>VAT" not in html
    assert 'aria-current="true">the expected answer' in html


@pytest.mark.parametrize(
    ("before", "after", "gone", "new"),
    [
        ("We open at nine.", "We open at ten.", ["nine"], ["ten"]),
        ("我们九点开门", "我们十点开门。", ["九"], ["十", "。"]),
        ("same", "same", [], []),
        ("We came, we saw it", "We came. they saw it", [", we"], [". they"]),
    ],
)
def test_words_and_chinese_signs_are_compared_one_by_one(
    before: str, after: str, gone: list[str], new: list[str]
) -> None:
    went, came, alike = apart(before, after)
    assert alike
    assert [one.text for one in went if one.change] == gone
    assert [one.text for one in came if one.change] == new
    assert "".join(one.text for one in went) == before
    assert "".join(one.text for one in came) == after


def test_texts_with_nothing_in_common_are_not_marked() -> None:
    went, came, alike = apart("A wooden floor is a type of floor", "提供免费报价")
    assert not alike
    assert [one.change for one in (*went, *came)] == ["", ""]
    assert apart("", "x") == ([], apart("", "x")[1], False)


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_who_may_not_train_is_offered_no_export_and_gets_no_file(
    tenant: Tenant, opened: Checkpoint, door: Door, role: str
) -> None:
    client = door(role)
    html = page_of(client, tenant, opened).content.decode()
    for word in ("/export/", "/download/", "/promote/", "/evaluate/"):
        assert word not in html
    with tenant_scope(tenant):
        export = Export.objects.get(kind="merged")
    assert client.get(at(tenant, f"exports/{export.pk}/download/")).status_code == 403
    assert client.post(at(tenant, f"checkpoints/{opened.pk}/export/")).status_code == 403


def test_an_export_is_asked_for_stopped_and_deleted(
    tenant: Tenant, opened: Checkpoint, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_core.dispatch._ring", lambda *_task: None)
    client = door("admin")
    page = client.post(
        at(tenant, f"checkpoints/{opened.pk}/export/"),
        {"kind": "gguf", "precision": "float32"},
        follow=True,
    )
    assert "The export is in the queue." in text_of(page)
    with tenant_scope(tenant):
        export = Export.objects.get(precision="float32", kind="gguf")
        assert export.state == State.QUEUED
        assert str(export.actor_id) == AuditEntry.objects.get(action="export.started").actor_id
    client.post(at(tenant, f"exports/{export.pk}/cancel/"))
    page = client.post(at(tenant, f"exports/{export.pk}/delete/"), follow=True)
    assert "The file is deleted." in text_of(page)
    with tenant_scope(tenant):
        assert not Export.objects.filter(pk=export.pk).exists()


@pytest.mark.parametrize("kind", ["onnx", "", "../x", "适配器"])
def test_a_kind_that_is_none_is_answered_in_words(
    tenant: Tenant, opened: Checkpoint, door: Door, kind: str
) -> None:
    page = door("owner").post(
        at(tenant, f"checkpoints/{opened.pk}/export/"), {"kind": kind}, follow=True
    )
    assert "“kind” must be one of adapter, merged, gguf." in text_of(page)


def test_a_download_that_is_not_there_leads_back_with_the_reason(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    with tenant_scope(tenant):
        export = Export.objects.get(kind="merged")
    page = door("owner").get(at(tenant, f"exports/{export.pk}/download/"), follow=True)
    assert "Make it again." in text_of(page)


def test_a_file_is_downloaded_whole(
    tenant: Tenant, opened: Checkpoint, door: Door, tmp_path: Path, settings: Any
) -> None:
    settings.PARLEY_HOME = tmp_path
    with tenant_scope(tenant):
        export = Export.objects.get(kind="merged")
        Export.objects.filter(pk=export.pk).update(size=6)
        folder = job_folder.export_folder(export)
    folder.mkdir(parents=True)
    (folder / export.filename).write_bytes("出口".encode())
    response = door("owner").get(at(tenant, f"exports/{export.pk}/download/"))
    assert response.headers["Content-Length"] == "6"
    assert export.filename in response.headers["Content-Disposition"]
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="export.downloaded").exists()


def test_the_live_part_is_silent_until_something_changes(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    client = door("owner")
    page = page_of(client, tenant, opened)
    mark = page.context["page"].fingerprint
    live = at(tenant, f"checkpoints/{opened.pk}/live/")
    assert client.get(live, {"seen": mark, "stage": "open"}).status_code == 204
    with tenant_scope(tenant):
        Export.objects.filter(kind="gguf").update(step=43)
    swapped = client.get(live, {"seen": mark, "stage": "open"})
    assert "43 %" in text_of(swapped)
    assert "HX-Refresh" not in swapped.headers
    assert client.get(live, {"seen": mark, "stage": "comparing"}).headers["HX-Refresh"] == "true"


def test_a_deleted_checkpoint_can_be_read_about_and_nothing_else(
    tenant: Tenant, opened: Checkpoint, door: Door
) -> None:
    with tenant_scope(tenant):
        Checkpoint.objects.filter(pk=opened.pk).update(deleted_at=timezone.now())
    page = page_of(door("owner"), tenant, opened)
    assert "files deleted" in text_of(page)
    assert "/promote/" not in page.content.decode()
    page = door("owner").post(
        at(tenant, f"checkpoints/{opened.pk}/export/"), {"kind": "gguf"}, follow=True
    )
    assert "export_deleted" not in text_of(page)
    assert "checkpoint_deleted" in text_of(page)


def test_promoting_from_here_leads_back_here(
    tenant: Tenant, story: scenes.Story, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_core.services.engines.load", lambda _checkpoint: None)
    with tenant_scope(tenant):
        refused = Checkpoint.objects.get(job=story.refused)
    answer = door("owner").post(
        at(tenant, f"checkpoints/{refused.pk}/promote/"),
        {"override": "yes", "reason": "Because the boss says so.", "from": "checkpoint"},
    )
    assert answer.headers["Location"] == at(tenant, f"checkpoints/{refused.pk}/")
    text = text_of(page_of(door("owner"), tenant, refused))
    assert "serves “support”" in text
    assert "Against the gate: Because the boss says so." in text


def test_the_page_asks_the_database_the_same_however_many_samples(
    tenant: Tenant, opened: Checkpoint, door: Door, django_assert_max_num_queries: Any
) -> None:
    client = door("owner")
    page_of(client, tenant, opened)
    with django_assert_max_num_queries(26):
        page_of(client, tenant, opened)


def test_an_example_leads_to_the_checkpoints_that_learned_it(
    tenant: Tenant, story: scenes.Story, opened: Checkpoint, door: Door
) -> None:
    with tenant_scope(tenant):
        example = story.dataset.examples.first()
    page = door("viewer").get(at(tenant, f"examples/{example.pk}/"), follow=True)
    assert opened.name in text_of(page)
    assert at(tenant, f"checkpoints/{opened.pk}/") in page.content.decode()
