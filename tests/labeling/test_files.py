"""Files that people hand in: whole or absent, in their tenant's folder, gone when deleted."""

import io
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from common.errors import ApplicationError, NotFoundError
from labeling.models import StoredFile
from labeling.services import delete_file, file_path, open_file, store_file
from labeling.tasks import delete_expired_files
from tenancy import quotas
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import NoScopeError, tenant_scope

BYTES = '{"prompt": "在吗", "completion": "在的"}\n'.encode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.PARLEY_HOME = tmp_path
    return tmp_path


def kept_below(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def keep(data: bytes = BYTES, filename: str = "客服.jsonl", **options: Any) -> StoredFile:
    options.setdefault("most_bytes", 1_000)
    return store_file(
        stream=io.BytesIO(data), filename=filename, purpose=StoredFile.Purpose.FINE_TUNE, **options
    )


def test_a_file_is_kept_as_it_came_and_hashed(in_tenant: Tenant, home: Path) -> None:
    file = keep()
    file.refresh_from_db()
    with open_file(file) as bytes_kept:
        assert bytes_kept.read() == BYTES
    assert (file.size, file.sha256) == (len(BYTES), sha256(BYTES).hexdigest())
    assert kept_below(home) == [file_path(file)]
    assert file_path(file).stat().st_mode & 0o077 == 0
    assert AuditEntry.objects.get(action="file.stored").data["bytes"] == len(BYTES)


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(in_tenant: Tenant, home: Path) -> None:
    with pytest.raises(ApplicationError) as refusal:
        keep(b"x" * 1_001)
    assert (refusal.value.code, refusal.value.status_hint) == ("file_too_large", 413)
    assert keep(b"x" * 1_000).size == 1_000
    assert len(kept_below(home)) == StoredFile.objects.count() == 1


def test_an_empty_file_is_refused(in_tenant: Tenant, home: Path) -> None:
    with pytest.raises(ApplicationError, match="file_empty"):
        keep(b"")
    assert not kept_below(home)


def test_a_file_that_breaks_off_leaves_nothing(in_tenant: Tenant, home: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, *_size: Any) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store_file(stream=Broken(), filename="a", purpose="import", most_bytes=10)
    assert not kept_below(home)
    assert not StoredFile.objects.exists()


def test_nothing_is_written_where_nobody_said_for_whom(db: None, home: Path) -> None:
    with pytest.raises(NoScopeError):
        keep()
    assert not kept_below(home)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\李\\客服.csv", "客服.csv"),
        ("\x00\u202e", "��"),
        ("", "file"),
        ("长" * 300, "长" * 254 + "…"),
    ],
)
def test_a_filename_is_shown_and_never_a_path(
    sent: str, shown: str, in_tenant: Tenant, home: Path
) -> None:
    file = keep(filename=sent)
    file.refresh_from_db()
    assert file.filename == shown
    assert kept_below(home) == [home / "files" / str(in_tenant.pk) / str(file.pk)]


def test_a_deleted_file_gives_the_disk_back_and_is_still_named(
    in_tenant: Tenant, home: Path, django_capture_on_commit_callbacks: Any
) -> None:
    file = keep()
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            delete_file(file)
    assert not kept_below(home)
    assert StoredFile.objects.get().deleted_at is not None
    assert not StoredFile.objects.present().exists()
    assert AuditEntry.objects.filter(action="file.deleted").count() == 1
    with pytest.raises(NotFoundError):
        open_file(file)


def test_files_past_their_time_are_deleted_for_every_tenant(
    tenant: Tenant, other_tenant: Tenant, home: Path, django_capture_on_commit_callbacks: Any
) -> None:
    now = timezone.now()
    for owner in (tenant, other_tenant):
        with tenant_scope(owner):
            keep(expires_at=now - timedelta(seconds=1))
            keep(expires_at=now + timedelta(hours=1))
            keep()
            assert StoredFile.objects.present().count() == 2
    with django_capture_on_commit_callbacks(execute=True):
        delete_expired_files()
    assert len(kept_below(home)) == 4
    with tenant_scope(tenant):
        assert StoredFile.objects.filter(state="deleted").count() == 1


def test_a_file_beyond_the_quota_is_refused_before_and_while_it_is_written(
    in_tenant: Tenant, settings: Any, tmp_path: Path
) -> None:
    settings.QUOTAS = settings.QUOTAS | {"storage_bytes": 5000}
    kept = store_file(
        stream=io.BytesIO(b"a" * 3000), filename="a", purpose="fine-tune", most_bytes=9999
    )
    assert quotas.stored_bytes() == 3000
    with pytest.raises(ApplicationError) as refused:
        store_file(
            stream=io.BytesIO(b"b" * 3000), filename="b", purpose="fine-tune", most_bytes=9999
        )
    assert (refused.value.code, refused.value.status_hint) == ("storage_quota_exceeded", 413)
    assert refused.value.extra == {"limit": 5000, "left": 2000}
    assert [path.name for path in (tmp_path / "files" / str(in_tenant.pk)).iterdir()] == [
        str(kept.pk)
    ]
    delete_file(kept)
    assert quotas.stored_bytes() == 0
    store_file(stream=io.BytesIO(b"b" * 5000), filename="b", purpose="fine-tune", most_bytes=9999)
    with pytest.raises(ApplicationError) as refused:
        store_file(stream=io.BytesIO(b"c"), filename="c", purpose="fine-tune", most_bytes=9999)
    assert refused.value.code == "storage_quota_exceeded"
