"""A backup restored into an empty place is the same platform: every table, every file, byte by byte."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Two companies with a row in every table, and files under what their rows name.
SEED = """
import json, uuid
from pathlib import Path
from django.conf import settings
from tests.isolation.world import make_company
from gpt_core.models import Checkpoint, FineTuningJob
from tenancy.scope import system_scope
make_company('a'), make_company('b')
home = Path(settings.PARLEY_HOME)
def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
with system_scope('test'):
    for one in Checkpoint.objects.all():
        put(Path(one.folder, 'adapter_model.safetensors'), one.digest.encode() * 9000)
        put(Path(one.folder, 'manifest.json'), b'{}')
    for job in FineTuningJob.objects.all():
        put(home / 'jobs' / str(job.pk) / 'events.jsonl', '{"事": 1}'.encode())
        put(home / 'files' / str(job.tenant_id) / str(uuid.uuid4()), b'\\x00\\xff' * 70000)
        put(home / 'files' / str(job.tenant_id) / '.aside', b'half a file')
    put(home / 'bases' / 'tiny-0' / 'base.json', b'{}')
    put(home / 'logs' / 'web.log', b'not kept')
"""

# What a place holds: each table by the digest of its rows, each file by that of its bytes.
LOOK = """
import hashlib, json
from pathlib import Path
from django.conf import settings
from django.db import connection
from tenancy import rows
from config.backups.places import files_below, kept_places
from tenancy.scope import system_scope
home = Path(settings.PARLEY_HOME)
with system_scope('test'):
    tables = {
        label: [len(lines), hashlib.sha256(b''.join(lines)).hexdigest()]
        for label, model in rows.tables().items()
        for lines in [list(rows.lines_of(model, connection))]
    }
files = {
    str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
    for place in kept_places(home, with_bases=True, with_secrets=False)
    for path in files_below(place)
}
print(json.dumps({'tables': tables, 'files': files}))
"""


class Place:
    """A platform of its own: a home, and a database in it or elsewhere."""

    def __init__(self, home: Path, **variables: str) -> None:
        home.mkdir()
        self.home = home
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "DATABASE_OWNER_URL")
        } | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PARLEY_HOME": str(home),
            # This checkout's code, wherever the environment was installed from.
            "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
            "PARLEY_LOG_LEVEL": "ERROR",
            **variables,
        }

    def manage(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=280,
            **more,
        )

    def must(self, *words: str) -> str:
        done = self.manage(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, code: str) -> str:
        return self.must("shell", "--no-imports", "-c", code)

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(LOOK).splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("a") / "home")
    place.must("migrate", "-v", "0")
    place.run(SEED)
    return place


@pytest.fixture(scope="module")
def backup(seeded: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("kept") / "backup.tar"
    seeded.must("backup", str(target))
    return target


@pytest.fixture
def empty(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def test_an_empty_place_becomes_what_was_backed_up(
    seeded: Place, backup: Path, empty: Place
) -> None:
    said = empty.must("restore", str(backup))
    assert "compared row by row" in said
    before, after = seeded.look(), empty.look()
    assert after["tables"] == before["tables"]
    # Nothing is compared with nothing: every table of a tenant has a row.
    assert (
        min(n for label, (n, _sha) in before["tables"].items() if label.startswith("labeling")) > 0
    )
    bases = {name for name in before["files"] if name.startswith("bases/")}
    assert after["files"] == {n: s for n, s in before["files"].items() if n not in bases}
    assert len(after["files"]) >= 8
    # And it works: the guards stand, a second backup says the same.
    again = backup.parent / f"again-{os.getpid()}.tar"
    empty.must("backup", str(again))
    assert manifest_of(again)["tables"] == manifest_of(backup)["tables"]
    again.unlink()


def manifest_of(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        found: dict[str, Any] = json.load(content)
        return found


def test_a_backup_is_private_and_holds_no_key_no_session_and_no_log(backup: Path) -> None:
    assert backup.stat().st_mode & 0o077 == 0
    with tarfile.open(backup) as tar:
        names = tar.getnames()
    assert not [
        n for n in names if "secret" in n or "sessions.Session" in n or "/logs/" in n or "/." in n
    ]
    assert not [n for n in names if n.startswith("home/bases/")]


def test_bases_and_secrets_are_in_it_when_asked_for(
    seeded: Place, tmp_path: Path, empty: Place
) -> None:
    target = tmp_path / "all.tar"
    seeded.must("backup", str(target), "--with-bases", "--with-secrets")
    empty.must("restore", str(target))
    assert (empty.home / "bases" / "tiny-0" / "base.json").is_file()
    key = "secrets/parley_secret_key"
    assert (empty.home / key).read_text() == (seeded.home / key).read_text()


def test_a_place_that_is_not_empty_is_refused_and_left_alone(seeded: Place, backup: Path) -> None:
    before = seeded.look()
    refused = seeded.manage("restore", str(backup))
    assert refused.returncode != 0
    assert "not empty" in refused.stderr
    assert seeded.look() == before


def test_force_replaces_everything_that_is_there(backup: Path, empty: Place, seeded: Place) -> None:
    empty.must("migrate", "-v", "0")
    empty.run(
        "from tests.factories import make_tenant, make_member; make_member(make_tenant('old'))"
    )
    stray = empty.home / "files" / "stray"
    stray.parent.mkdir()
    stray.write_text("old")
    empty.must("restore", str(backup), "--force")
    assert empty.look()["tables"] == seeded.look()["tables"]
    assert not stray.exists()
    assert not list(empty.home.glob(".re*"))


@pytest.mark.parametrize("where", ["row", "file", "manifest", "end", "begin"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    where: str, backup: Path, tmp_path: Path, empty: Place
) -> None:
    damaged = tmp_path / "damaged.tar"
    content = bytearray(backup.read_bytes())
    with tarfile.open(backup) as tar:
        row = tar.getmember("database/tenancy.Tenant.ndjson").offset_data
        file = next(m for m in tar if m.name.startswith("home/checkpoints/")).offset_data
        manifest = tar.getmember("manifest.json").offset_data
    place = {"row": row, "file": file, "manifest": manifest + 20, "begin": 0}.get(where)
    if place is None:
        del content[len(content) // 2 :]
    else:
        content[place] ^= 0x40
    damaged.write_bytes(content)
    refused = empty.manage("restore", str(damaged), "--force")
    assert refused.returncode != 0
    assert "damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (empty.home / "checkpoints").exists()


@pytest.mark.parametrize("name", ["home/../../escaped", "/etc/escaped", "home/a/../../b", "x"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path, empty: Place) -> None:
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    refused = empty.manage("restore", str(hostile))
    assert "damaged" in refused.stderr


def test_a_link_in_a_backup_is_refused(tmp_path: Path, empty: Place) -> None:
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as tar:
        link = tarfile.TarInfo("home/files/x")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "damaged" in empty.manage("restore", str(hostile)).stderr


def test_a_backup_of_a_newer_version_is_refused(backup: Path, tmp_path: Path, empty: Place) -> None:
    newer = tmp_path / "newer.tar"
    with tarfile.open(backup) as old, tarfile.open(newer, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            if member.name == "manifest.json":
                document = json.load(content)
                document["migrations"].append(["gpt_core", "9999_from_tomorrow"])
                path = tmp_path / "manifest.json"
                path.write_text(json.dumps(document))
                new.add(path, "manifest.json")
            elif member.name == "manifest.sha256":
                digest = tmp_path / "manifest.sha256"
                digest.write_text(sha256(path.read_bytes()).hexdigest())
                new.add(digest, "manifest.sha256")
            else:
                new.addfile(member, content)
    refused = empty.manage("restore", str(newer))
    assert "newer version" in refused.stderr
    assert "9999_from_tomorrow" in refused.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{home}/b.tar", "does not belong"),
        ("{tmp}/none/b.tar", "no folder"),
        ("{tmp}/b.zip", ".tar"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(
    target: str, said: str, seeded: Place, tmp_path: Path
) -> None:
    refused = seeded.manage("backup", target.format(home=seeded.home, tmp=tmp_path))
    assert refused.returncode != 0
    assert said in refused.stderr


def test_a_backup_that_is_there_is_not_overwritten(seeded: Place, backup: Path) -> None:
    before = backup.read_bytes()
    assert "there already" in seeded.manage("backup", str(backup)).stderr
    assert backup.read_bytes() == before


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_backup_leaves_no_file_under_its_name(
    how: signal.Signals, seeded: Place, tmp_path: Path
) -> None:
    big = seeded.home / "files" / "big"
    with big.open("wb") as out:
        out.truncate(3 << 30)
    target = tmp_path / "cut.tar"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backup", str(target)],
        cwd=ROOT, env=seeded.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".cut.tar.*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        process.wait(timeout=60)
    finally:
        process.kill()
        big.unlink()
    assert not target.exists()
    if how == signal.SIGTERM:
        assert list(tmp_path.iterdir()) == []
    seeded.must("backup", str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.tar"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_nothing_stays(seeded: Place, small_disk: Path) -> None:
    ballast = seeded.home / "files" / "ballast"
    ballast.write_bytes(os.urandom(9 << 20))
    try:
        # Told beforehand, by the sum of what is to be written.
        refused = seeded.manage("backup", str(small_disk / "b.tar"))
        assert "MB left" in refused.stderr
    finally:
        ballast.unlink()
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_on_the_way_is_told_and_nothing_stays(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None, settings: Any
) -> None:
    from config import backups
    from config.backups import writing

    settings.PARLEY_HOME = tmp_path / "home"
    (settings.PARLEY_HOME / "files").mkdir(parents=True)
    (settings.PARLEY_HOME / "files" / "x").write_bytes(os.urandom(30 << 20))
    monkeypatch.setattr(writing, "_check_room", lambda target, wanted: None)
    with pytest.raises(backups.BackupError) as refused:
        backups.write_backup(small_disk / "b.tar")
    assert refused.value.code == "disk_full"
    assert list(small_disk.iterdir()) == []


def test_a_backup_while_another_deletes_waits_for_nobody(
    tmp_path: Path, db: None, settings: Any
) -> None:
    from common.errors import ConflictError
    from config import backups
    from tenancy.home import keeping_files_still

    settings.PARLEY_HOME = tmp_path / "home"
    settings.PARLEY_HOME.mkdir()
    with keeping_files_still(), pytest.raises(ConflictError) as refused:
        backups.write_backup(tmp_path / "b.tar")
    assert refused.value.code == "home_busy"


def test_writers_are_not_kept_waiting_while_rows_are_read(empty: Place) -> None:
    """On SQLite too: the rows are of one moment, and somebody wrote after it."""
    code = """
import sqlite3
from django.conf import settings
from django.db import connection
from tenancy import rows
from tenancy.models import Tenant
from tenancy.scope import system_scope
with system_scope('test'), rows.snapshot(connection):
    before = list(rows.lines_of(Tenant, connection))
    other = sqlite3.connect(settings.DATABASES['default']['NAME'], timeout=1)
    other.execute("UPDATE tenancy_tenant SET name = name || '!'")
    other.commit()
    print(before == list(rows.lines_of(Tenant, connection)))
"""
    empty.must("migrate", "-v", "0")
    empty.run("from tests.factories import make_tenant; make_tenant()")
    assert empty.run(code).strip().endswith("True")


# --- PostgreSQL, with its two roles, and across ---------------------------------------------------


@pytest.mark.postgres
def test_postgresql_restores_into_an_empty_place(
    production: dict[str, str],
    tmp_path: Path,
) -> None:
    source = Place(tmp_path / "one", **production)
    source.must("migrate", "-v", "0")
    source.run(SEED)
    target = tmp_path / "b.tar"
    source.must("backup", str(target))
    before = source.look()
    assert "not empty" in source.manage("restore", str(target)).stderr
    shutil.rmtree(source.home / "files")
    assert "compared row by row" in source.must("restore", str(target), "--force")
    after = source.look()
    assert after["tables"] == before["tables"]
    assert after["files"] == before["files"]
    # A key that counts goes on where it was: the sequence was set.
    source.run("from django.contrib.contenttypes.models import ContentType as C; "
               "C.objects.create(app_label='x', model='y')")  # fmt: skip
    # And away from PostgreSQL again.
    elsewhere = Place(tmp_path / "two")
    elsewhere.must("restore", str(target))
    counts = {label: n for label, (n, _sha) in elsewhere.look()["tables"].items()}
    assert counts == {label: n for label, (n, _sha) in before["tables"].items()}


@pytest.mark.postgres
def test_one_machine_grows_into_postgresql(
    production: dict[str, str],
    backup: Path,
    seeded: Place,
    tmp_path: Path,
) -> None:
    grown = Place(tmp_path / "grown", **production)
    grown.must("restore", str(backup))
    before, after = seeded.look(), grown.look()
    assert after["tables"] == before["tables"]
    assert grown.manage("check", "--database", "default").returncode == 0


def test_a_backup_of_an_older_version_is_restored_and_brought_forward(
    backup: Path, tmp_path: Path, empty: Place
) -> None:
    """As if `gpt_core` had been one migration younger when it was written: tables and columns that
    came later are not in it."""
    from django.db.migrations.loader import MigrationLoader

    from tenancy import rows

    document = manifest_of(backup)
    targets = [
        ("gpt_core", "0005_sighting") if app == "gpt_core" else (app, name)
        for app, name in document["migrations"]
    ]
    known = rows.tables(MigrationLoader(None).project_state(targets).apps)
    dropped = document["tables"].keys() - known.keys()
    assert "gpt_core.TenantArchive" in dropped
    document["migrations"] = [list(target) for target in targets]
    older = tmp_path / "older.tar"
    with tarfile.open(backup) as source, tarfile.open(older, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            label = member.name.removeprefix("database/").removesuffix(".ndjson")
            if label in dropped or member.name.startswith("manifest"):
                document["tables"].pop(label, None)
                continue
            if label in known:
                columns = document["tables"][label]["columns"]
                kept = [
                    n for n, name in enumerate(columns) if name in rows.columns_of(known[label])
                ]
                lines = [
                    json.dumps([json.loads(line)[n] for n in kept], ensure_ascii=False,
                               sort_keys=True, separators=(",", ":")).encode() + b"\n"
                    for line in content
                ]  # fmt: skip
                whole = b"".join(lines)
                document["tables"][label] |= {
                    "columns": [columns[n] for n in kept],
                    "bytes": len(whole),
                    "sha256": sha256(whole).hexdigest(),
                }
                member.size, content = len(whole), io.BytesIO(whole)
            target.addfile(member, content)
        written = json.dumps(document).encode()
        for name, part in (
            ("manifest.json", written),
            ("manifest.sha256", sha256(written).hexdigest().encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(part)
            target.addfile(member, io.BytesIO(part))
    assert "compared row by row" in empty.must("restore", str(older))
    assert empty.manage("migrate", "--check").returncode == 0
    found = empty.look()["tables"]
    assert found["labeling.Example"] == manifest_found(backup, "labeling.Example")
    assert found["gpt_core.TenantArchive"][0] == 0


def manifest_found(path: Path, label: str) -> list[Any]:
    one = manifest_of(path)["tables"][label]
    return [one["rows"], one["sha256"]]
