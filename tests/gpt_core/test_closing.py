"""A company leaves: everything in one file, a time in which it can turn back, and then nothing is left."""

from __future__ import annotations

import json
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services import create_api_key
from common.errors import ConflictError
from gpt_core import closing, dispatch, job_folder
from gpt_core.closing import archives, erasure
from gpt_core.models import Checkpoint, State, TenantArchive
from gpt_core.storage import supervised_rows
from labeling.models import StoredFile
from labeling.services import file_path
from tenancy import rows
from tenancy.home import keeping_files_still
from tenancy.models import AuditEntry, Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.portal import scenes
from tests.factories import make_member, make_tenant
from tests.isolation.world import Company, digest_of, make_company


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.PARLEY_HOME = tmp_path
    return tmp_path


def make_due(tenant: Tenant) -> None:
    closing.begin_closing(tenant)
    with tenant_scope(tenant):
        Tenant.objects.update(closes_at=timezone.now() - timedelta(seconds=5))


def with_files(company: Company) -> None:
    """A file for everything of the company that has one, each with its canary."""

    def put(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(company.canary)

    with tenant_scope(company.tenant):
        StoredFile.objects.update(state=StoredFile.State.STORED)
        Checkpoint.objects.update(deleted_at=None)
        for stored in StoredFile.objects.all():
            put(file_path(stored))
        for checkpoint in Checkpoint.objects.all():
            put(Path(checkpoint.folder, "adapter_model.safetensors"))
        for row in supervised_rows():
            put(job_folder.folder_of(row) / "report.json")


def tables_with(text: str) -> list[str]:
    """Every table, of whatever app, in which the text stands in any row."""
    with system_scope("test: look for a canary"):
        return [
            label
            for label, model in rows.tables().items()
            if any(text.encode() in line for line in rows.lines_of(model, connection))
        ]


def files_with(text: str, home: Path) -> list[Path]:
    return [
        path
        for path in home.rglob("*")
        if path.is_file() and (text.encode() in path.read_bytes() or text in str(path))
    ]


@pytest.fixture
def companies(db: None) -> tuple[Company, Company]:
    """(who leaves, the neighbour), each with a row in every table and a file for each."""
    leaving, neighbour = make_company("a"), make_company("b")
    with_files(leaving)
    with_files(neighbour)
    return leaving, neighbour


# --- Erased ----------------------------------------------------------------------------------------


def test_nothing_of_an_erased_company_is_left_and_its_neighbour_is_untouched(
    companies: tuple[Company, Company], home: Path
) -> None:
    leaving, neighbour = companies
    before = digest_of(neighbour)
    kept = {path: path.read_bytes() for path in files_with(neighbour.canary, home)}
    # Nothing is looked for in vain: nearly every table and many files hold it now.
    assert len(tables_with(leaving.canary)) > 20
    assert len(files_with(leaving.canary, home)) > 4

    make_due(leaving.tenant)
    with system_scope("test"):
        assert closing.erase_due() == 1

    assert tables_with(leaving.canary) == []
    assert files_with(leaving.canary, home) == []
    assert digest_of(neighbour) == before
    assert {path: path.read_bytes() for path in files_with(neighbour.canary, home)} == kept
    with system_scope("test"):
        assert not Tenant.objects.filter(pk=leaving.tenant.pk).exists()
        assert not User.objects.filter(pk=leaving.owner.pk).exists()


def test_of_the_trail_only_the_closing_itself_stays_with_ids_alone(
    companies: tuple[Company, Company],
) -> None:
    leaving, _neighbour = companies
    make_due(leaving.tenant)
    with system_scope("test"):
        closing.erase_due()
        entries = AuditEntry.objects.filter(tenant_id=leaving.tenant.pk).order_by("created_at")
        found = [(entry.action, entry.target_id) for entry in entries]
    assert found == [
        ("tenant.closing_begun", str(leaving.tenant.pk)),
        ("tenant.erased", str(leaving.tenant.pk)),
    ]


def test_a_kill_in_the_middle_is_gone_on_from(
    companies: tuple[Company, Company], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving, neighbour = companies
    before = digest_of(neighbour)
    make_due(leaving.tenant)

    def killed(ids: list[Any]) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, system_scope("test"):
        patch.setattr(erasure, "erase_people", killed)
        with pytest.raises(KeyboardInterrupt):
            closing.erase_due()
    # The files are gone, the rows all there: and with them the order to go on.
    with tenant_scope(leaving.tenant):
        assert Checkpoint.objects.exists()
    with system_scope("test"):
        assert closing.erase_due() == 1
        assert closing.erase_due() == 0
    assert tables_with(leaving.canary) == []
    assert files_with(leaving.canary, home) == []
    assert digest_of(neighbour) == before


def test_people_who_belong_elsewhere_keep_their_account(
    companies: tuple[Company, Company],
) -> None:
    leaving, neighbour = companies
    both = make_member(leaving.tenant, "viewer")
    staff = make_member(leaving.tenant, "viewer", is_staff=True)
    alone = make_member(leaving.tenant, "viewer")
    with tenant_scope(neighbour.tenant):
        Membership.objects.create(user=both, role="viewer")
    make_due(leaving.tenant)
    with system_scope("test"):
        closing.erase_due()
    left = set(User.objects.values_list("pk", flat=True))
    assert {both.pk, staff.pk} <= left
    assert alone.pk not in left


def test_nothing_is_erased_before_its_time(companies: tuple[Company, Company]) -> None:
    leaving, _neighbour = companies
    before = digest_of(leaving)
    with system_scope("test"):
        assert closing.erase_due() == 0
    with pytest.raises(ConflictError):
        closing.erase(leaving.tenant)
    assert digest_of(leaving) == before
    closing.begin_closing(leaving.tenant)
    with system_scope("test"):
        assert closing.erase_due() == 0
    with pytest.raises(ConflictError):
        closing.erase(leaving.tenant)
    assert leaving.tenant.closes_at is not None
    assert leaving.tenant.closes_at > timezone.now() + timedelta(days=29)


def test_an_erasure_waits_for_a_backup(companies: tuple[Company, Company]) -> None:
    leaving, _neighbour = companies
    make_due(leaving.tenant)
    with keeping_files_still(), system_scope("test"):
        assert closing.erase_due() == 0
    with system_scope("test"):
        assert closing.erase_due() == 1


def test_the_audit_log_of_the_living_is_not_shortened(
    companies: tuple[Company, Company],
) -> None:
    leaving, _neighbour = companies
    closing.begin_closing(leaving.tenant)  # and its time is not over
    for company in companies:
        with system_scope("test"), pytest.raises(DatabaseError), transaction.atomic():
            AuditEntry.objects.filter(tenant=company.tenant)._raw_delete(connection.alias)


def test_the_closings_own_lines_are_never_deleted(companies: tuple[Company, Company]) -> None:
    leaving, _neighbour = companies
    make_due(leaving.tenant)
    with system_scope("test"), pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.filter(action="tenant.closing_begun")._raw_delete(connection.alias)


# --- The time of grace -----------------------------------------------------------------------------


def test_a_closing_company_has_no_keys_no_work_and_one_page(tenant: Tenant, client: Client) -> None:
    story = scenes.tell(tenant)
    owner = make_member(tenant)
    viewer = make_member(tenant, "viewer")
    with tenant_scope(tenant):
        _key, secret = create_api_key(name="k", scopes=["view"], by=None)
    client.force_login(owner)
    wrong = client.post(f"/t/{tenant.slug}/closing/begin/", {"name": "another"})
    assert wrong.status_code == 400
    assert client.get(f"/t/{tenant.slug}/").status_code == 200
    client.post(f"/t/{tenant.slug}/closing/begin/", {"name": f" {tenant.name} "})

    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/datasets/", headers=bearer).status_code == 401
    for page in ("", "datasets/", "jobs/", "playground/"):
        answer = client.get(f"/t/{tenant.slug}/{page}")
        assert answer["Location"] == f"/t/{tenant.slug}/closing/"
        assert client.post(f"/t/{tenant.slug}/{page}").status_code in (404, 405)
    notice = client.get(f"/t/{tenant.slug}/closing/").content.decode()
    assert "is closing" in notice
    assert "Bring it back" in notice
    assert tenant.name in client.get("/").content.decode()
    other = Client()
    other.force_login(viewer)
    assert "Bring it back" not in other.get(f"/t/{tenant.slug}/closing/").content.decode()
    assert other.post(f"/t/{tenant.slug}/closing/undo/").status_code == 403
    with system_scope("test"):
        story.running.refresh_from_db()
        assert story.running.state == State.QUEUED
        assert dispatch.claim_next("somebody") is None

    answer = client.post(f"/t/{tenant.slug}/closing/undo/")
    assert answer["Location"] == f"/t/{tenant.slug}/"
    assert client.get(f"/t/{tenant.slug}/").status_code == 200
    assert Client().get("/api/v1/datasets/", headers=bearer).status_code == 200
    with system_scope("test"):
        assert dispatch.claim_next("somebody") is not None


def test_only_an_owner_finds_the_way_out(tenant: Tenant, client: Client) -> None:
    for role in ("admin", "annotator", "viewer"):
        client.force_login(make_member(tenant, role))
        assert client.get(f"/t/{tenant.slug}/closing/").status_code == 403
        for act in ("begin", "undo", "archive"):
            answer = client.post(f"/t/{tenant.slug}/closing/{act}/", {"name": tenant.name})
            assert answer.status_code == 403
    with tenant_scope(tenant):
        assert Tenant.objects.get().state == "active"


def test_a_company_that_was_suspended_comes_back_suspended(tenant: Tenant) -> None:
    from gpt_core.services.operating import suspend_tenant

    suspend_tenant(tenant)
    closing.begin_closing(tenant)
    assert closing.undo_closing(tenant).state == "suspended"


def test_what_is_over_cannot_be_undone(tenant: Tenant) -> None:
    with pytest.raises(ConflictError):
        closing.undo_closing(tenant)
    make_due(tenant)
    with pytest.raises(ConflictError):
        closing.undo_closing(tenant)
    with pytest.raises(ConflictError):
        closing.begin_closing(tenant)


# --- Everything in one file ------------------------------------------------------------------------


def parts_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
        return found


def test_an_archive_holds_everything_of_the_company_and_nothing_of_others(
    companies: tuple[Company, Company],
) -> None:
    leaving, neighbour = companies
    with tenant_scope(leaving.tenant):
        TenantArchive.objects.all().delete()
        archive = closing.start_archive()
        assert closing.start_archive() == archive
    with system_scope("test"):
        TenantArchive.objects.exclude(pk=archive.pk).delete()
        assert closing.write_waiting() == 1
        archive.refresh_from_db()
    assert archive.state == "done"
    assert archive.size == archive.path.stat().st_size
    parts = parts_of(archive.path)
    for model in erasure.guards.tenant_models():
        assert f"tables/{model._meta.label}.ndjson" in parts
    (example,) = [json.loads(line) for line in parts["tables/labeling.Example.ndjson"].splitlines()]
    assert leaving.canary in json.dumps(example["content"])
    (owner,) = [json.loads(line) for line in parts["tables/people.ndjson"].splitlines()]
    assert owner["email"] == leaving.owner.email
    for folder in ("files/", "checkpoints/", "jobs/"):
        assert any(name.startswith(folder) for name in parts)
    assert b"what is where" in parts["README.txt"]
    assert not [name for name, content in parts.items() if neighbour.canary.encode() in content]
    (key,) = [json.loads(line) for line in parts["tables/accounts.ApiKey.ndjson"].splitlines()]
    assert "hash" not in key
    manifest = json.loads(parts["manifest.json"])
    from hashlib import sha256

    assert manifest == {
        name: sha256(content).hexdigest()
        for name, content in parts.items()
        if name not in ("README.txt", "manifest.json")
    }


def test_an_archive_whose_writer_was_killed_is_written_by_another(
    tenant: Tenant, home: Path
) -> None:
    with tenant_scope(tenant):
        archive = closing.start_archive()
        hold = archives.Hold.of(archive)
        assert hold is not None
        archive.path.parent.mkdir(parents=True)
        (archive.path.parent / ".half").write_text("half")
        TenantArchive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    with system_scope("test"):
        assert closing.write_waiting() == 1
    with tenant_scope(tenant):
        archive.refresh_from_db()
    assert archive.state == "done"
    assert [path.name for path in archive.path.parent.iterdir()] == [archive.path.name]


def test_the_file_is_the_owners_to_take_while_the_company_closes(
    tenant: Tenant, client: Client, other_tenant: Tenant
) -> None:
    owner = make_member(tenant)
    client.force_login(owner)
    base = f"/t/{tenant.slug}/closing"
    assert client.post(f"{base}/archive/").status_code == 302
    assert "hx-trigger" in client.get(f"{base}/archives/").content.decode()
    page = client.get(f"{base}/").content.decode()
    assert "hx-trigger" in page
    assert "htmx.min.js" in page
    with system_scope("test"):
        closing.write_waiting()
    closing.begin_closing(tenant)
    with tenant_scope(tenant):
        archive = TenantArchive.objects.get()
    assert "hx-trigger" not in client.get(f"{base}/archives/").content.decode()
    answer = client.get(f"{base}/archives/{archive.pk}/")
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Checksum-Sha256"] == archive.digest
    viewer, stranger = Client(), Client()
    viewer.force_login(make_member(tenant, "viewer"))
    stranger.force_login(make_member(other_tenant))
    assert viewer.get(f"{base}/archives/{archive.pk}/").status_code == 403
    assert stranger.get(f"{base}/archives/{archive.pk}/").status_code == 404
    foreign = f"/t/{other_tenant.slug}/closing/archives/{archive.pk}/"
    assert stranger.get(foreign).status_code == 404


def test_an_archive_is_deleted_when_its_time_is_over(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        archive = closing.start_archive()
    with system_scope("test"):
        closing.write_waiting()
        TenantArchive.objects.update(expires_at=timezone.now())
        assert closing.sweep_archives() == 1
        assert closing.sweep_archives() == 0
    assert not archive.path.exists()


def test_an_engine_forgets_the_adapters_of_the_erased(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from gpt_core import services

    story = scenes.tell(tenant)
    serving = story.deployment.checkpoint
    assert serving is not None
    told: list[str] = []
    engines = services.engines
    monkeypatch.setattr(
        engines.client, "loaded_models", lambda *, base: [SimpleNamespace(name=serving.name)]
    )
    monkeypatch.setattr(engines.client, "unload", lambda *, base, name: told.append(name) or True)
    make_due(tenant)
    with system_scope("test"):
        closing.erase_due()
        services.reconcile_engines()
    assert told == [serving.name]


def test_a_name_in_chinese_is_typed_as_it_is(client: Client, db: None) -> None:
    tenant = make_tenant(name="北京某某建设有限公司")
    client.force_login(make_member(tenant))
    page = client.get(f"/t/{tenant.slug}/closing/", headers={"Accept-Language": "zh-hans"})
    assert tenant.name in page.content.decode()
    client.post(f"/t/{tenant.slug}/closing/begin/", {"name": tenant.name})
    with tenant_scope(tenant):
        assert Tenant.objects.get().state == "closing"
