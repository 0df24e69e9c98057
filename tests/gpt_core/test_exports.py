"""Exports: asked for, made by a supervised process, handed out to whoever may, and taken away again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts.services import create_api_key
from common.errors import ApplicationError
from gpt_core import dispatch, job_folder, services, tasks
from gpt_core.models import Export, JobEvent, State
from gpt_core.supervision import supervise, supervisor
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_member
from tests.gpt_core.rows import make_base, make_checkpoint, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "home")]
EngineThat = Callable[[str], None]
CONTENT = "GGUF 出口".encode()


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "CANCEL_GRACE", 0.5)


def ask(tenant: Tenant, kind: str = "gguf", **more: Any) -> Export:
    checkpoint = make_checkpoint(tenant)
    Path(checkpoint.folder).mkdir(parents=True)
    return services.start_export(checkpoint=checkpoint, kind=kind, **more)


def see_through(export: Export, **options: Any) -> Export:
    with system_scope("test"):
        claimed = dispatch.claim_next("worker-1")
    assert claimed is not None
    supervise(claimed, **options)
    export.refresh_from_db()
    return export


def made(tenant: Tenant, engine_that: EngineThat) -> Export:
    engine_that("work")
    return see_through(ask(tenant))


def test_an_export_ends_with_a_file_and_its_proof(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    export = made(in_tenant, engine_that)

    assert (export.state, export.failure_code) == (State.SUCCEEDED, "")
    assert (export.filename, export.size) == ("it.gguf", len(CONTENT))
    assert export.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert export.proof["same_answers"] == 16
    assert (export.step, export.steps, export.eta_seconds) == (100, 100, 0)
    assert timedelta(days=6) < export.expires_at - timezone.now() <= timedelta(days=7)
    assert services.open_export(export).read_bytes() == CONTENT
    told = JobEvent.objects.filter(job=export.checkpoint.job).values_list("code", flat=True)
    assert list(told) == ["export_started", "export_attempt_began", "export_finished"]


def test_an_export_goes_before_the_next_training_of_its_tenant(in_tenant: Tenant) -> None:
    make_job()
    export = ask(in_tenant)
    with system_scope("test"):
        claimed = dispatch.claim_next("worker-1")
    assert claimed == export


def test_asking_twice_makes_one(in_tenant: Tenant, engine_that: EngineThat) -> None:
    engine_that("work")
    export = ask(in_tenant)
    again = {"checkpoint": export.checkpoint, "kind": "gguf"}
    assert services.start_export(**again) == export
    see_through(export)
    assert services.start_export(**again) == export
    other = services.start_export(**again, precision="float32")
    assert other != export
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert services.start_export(**again) != export


@pytest.mark.parametrize(
    ("how", "code", "whose"),
    [("user", "export_gguf_tokenizer", "user"), ("misname", "export_missing", "system")],
)
def test_a_failure_says_whose_it_is_and_offers_no_file(
    in_tenant: Tenant, engine_that: EngineThat, how: str, code: str, whose: str
) -> None:
    engine_that(how)
    export = ask(in_tenant)
    for _attempt in range(dispatch.MOST_ATTEMPTS):
        if export.state == State.QUEUED:
            see_through(export)
    assert (export.state, export.failure_code, export.failure_whose) == ("failed", code, whose)
    with pytest.raises(ApplicationError) as refused:
        services.open_export(export)
    assert refused.value.code == "export_not_ready"


def test_a_running_export_is_cancelled(in_tenant: Tenant, engine_that: EngineThat) -> None:
    engine_that("slow")
    export = ask(in_tenant)
    done: list[Any] = []

    def leaving() -> bool:
        if not done:
            done.append(services.cancel_job(export))
        return False

    see_through(export, leaving=leaving)
    assert export.state == State.CANCELLED


def test_what_cannot_be_is_refused_before_it_is_queued(in_tenant: Tenant) -> None:
    full = make_checkpoint(in_tenant, kind="full")
    base = make_base(architecture="gpt2")
    checkpoint = make_checkpoint(in_tenant, job=make_job(base_model=base, state=State.SUCCEEDED))
    for wrong, code in (
        ({"checkpoint": checkpoint, "kind": "gguf"}, "export_gguf_architecture"),
        ({"checkpoint": full, "kind": "adapter"}, "export_no_adapter"),
        ({"checkpoint": full, "kind": "onnx"}, "invalid_parameter"),
        ({"checkpoint": full, "kind": "merged", "precision": "int4"}, "invalid_parameter"),
    ):
        with pytest.raises(ApplicationError) as refused:
            services.start_export(**wrong)
        assert refused.value.code == code
    assert not Export.objects.exists()
    assert services.exports.kinds_of(checkpoint) == ["adapter", "merged"]
    assert services.exports.kinds_of(full) == ["merged", "gguf"]


def test_the_sweep_takes_what_is_over_and_what_nobody_names(
    in_tenant: Tenant, engine_that: EngineThat, django_capture_on_commit_callbacks: Any
) -> None:
    export = made(in_tenant, engine_that)
    folder = job_folder.export_folder(export)
    orphan = folder.with_name("00000000-0000-4000-8000-000000000000")
    kept = folder.with_name("tmp")
    for made_up in (orphan, kept):
        made_up.mkdir()
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_exports()
    assert folder.is_dir()
    assert not orphan.exists()
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_exports()
    assert not Export.objects.exists()
    assert not folder.exists()
    assert kept.is_dir()


def test_a_file_that_is_gone_is_said_to_be_gone(in_tenant: Tenant, engine_that: EngineThat) -> None:
    export = made(in_tenant, engine_that)
    services.open_export(export).unlink()
    with pytest.raises(ApplicationError) as refused:
        services.open_export(export)
    assert (refused.value.code, refused.value.status_hint) == ("export_gone", 410)


# --- Over HTTP -----------------------------------------------------------------------------------


def knock(tenant: Tenant, *scopes: str) -> Client:
    with tenant_scope(tenant):
        _key, secret = create_api_key(name="k", scopes=scopes, by=None)
    return Client(headers={"authorization": f"Bearer {secret}"})


def test_the_api_starts_lists_downloads_and_deletes(
    in_tenant: Tenant, engine_that: EngineThat
) -> None:
    engine_that("work")
    client = knock(in_tenant, "view", "train")
    checkpoint = make_checkpoint(in_tenant)
    Path(checkpoint.folder).mkdir(parents=True)
    started = client.post(
        f"/api/v1/checkpoints/{checkpoint.pk}/exports/",
        {"kind": "gguf"},
        content_type="application/json",
    )
    assert started.status_code == 201, started.content
    address = f"/api/v1/exports/{started.json()['id']}/"
    early = client.get(f"{address}download/")
    assert (early.status_code, early.json()["code"]) == (409, "export_not_ready")
    see_through(Export.objects.get())
    assert client.get(address).json()["proof"]["same_answers"] == 16
    assert len(client.get("/api/v1/exports/").json()["items"]) == 1
    response = client.get(f"{address}download/")
    assert response.headers["Content-Disposition"] == 'attachment; filename="it.gguf"'
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert AuditEntry.objects.filter(action="export.downloaded").count() == 1
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_a_key_that_only_views_gets_no_file(in_tenant: Tenant, engine_that: EngineThat) -> None:
    export = made(in_tenant, engine_that)
    client = knock(in_tenant, "view")
    assert client.get(f"/api/v1/exports/{export.pk}/").status_code == 200
    for path, act in (("download/", client.get), ("cancel/", client.post), ("", client.delete)):
        assert act(f"/api/v1/exports/{export.pk}/{path}").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_file_comes_whole_and_in_pieces(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.exports, "CHUNK", 5)
    content = CONTENT * 3
    with tenant_scope(tenant):
        export = Export.objects.create(
            checkpoint=make_checkpoint(tenant),
            kind="gguf",
            precision="float16",
            state=State.SUCCEEDED,
            filename="it.gguf",
            size=len(content),
            sha256="0" * 64,
        )
        folder = job_folder.export_folder(export)
    folder.mkdir(parents=True)
    (folder / "it.gguf").write_bytes(content)
    client = AsyncClient()
    client.force_login(make_member(tenant, "admin"))

    async def download() -> list[bytes]:
        response = await client.get(
            f"/api/v1/exports/{export.pk}/download/", headers={"x-tenant": tenant.slug}
        )
        assert response.status_code == 200, response.content
        return [piece async for piece in response]

    pieces = asyncio.run(download())
    assert b"".join(pieces) == content
    assert len(pieces) == -(-len(content) // 5)
