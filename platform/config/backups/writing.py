"""Write a backup: the rows of one moment first, then the files, the whole under its name or nothing.

Rows come first because checkpoints and stored files never change: what a row names was there before
the row was, and what came afterwards does no harm.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from tenancy import rows
from tenancy.home import keeping_files_still
from tenancy.scope import system_scope

from .errors import BackupError, disk_faults
from .places import files_below, kept_places

FORMAT = 1
MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"
CHUNK = 1 << 20
# What tar itself needs around each part, and the manifest.
MARGIN_BYTES = 16 * 1024 * 1024

Show = Callable[[str, int, int], None]


@dataclass
class Written:
    """What a backup holds; `missing` names what a row names and no file is there for."""

    path: Path
    size: int
    rows: int
    files: int
    missing: list[str] = field(default_factory=list)


def write_backup(
    target: Path,
    *,
    with_bases: bool = False,
    with_secrets: bool = False,
    show: Show = lambda what, done, total: None,
) -> Written:
    """The whole platform into one tar file. Raises BackupError; then there is no such file."""
    home = Path(settings.PARLEY_HOME)
    target = target.resolve()
    _check_target(target, home)
    with keeping_files_still(), system_scope("backup of everything"), _dying_tidily():
        places = kept_places(home, with_bases=with_bases, with_secrets=with_secrets)
        found = [path for place in places for path in files_below(place)]
        total = sum(_size(path) for path in found)
        _check_room(target, total)
        with disk_faults(target.parent), _aside(target) as aside:
            with aside.open("xb") as out:
                archive = _Archive(out, target.parent)
                archive.tables(show)
                done = 0
                for path in found:
                    done += archive.file(path, home)
                    show(_("files"), done, total)
                archive.finish(_manifest(archive, with_bases, with_secrets))
        missing = _missing(archive)
    return Written(
        target,
        target.stat().st_size,
        sum(one["rows"] for one in archive.table_parts.values()),
        len(archive.file_parts),
        missing,
    )


class _Archive:
    """The tar file while it grows, and the digest of each part."""

    def __init__(self, out: IO[bytes], scratch: Path) -> None:
        self.out, self.scratch = out, scratch
        os.fchmod(out.fileno(), 0o600)
        # Closed by `finish`; the file below is closed by whoever opened it.
        self.tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.table_parts: dict[str, dict[str, Any]] = {}
        self.file_parts: dict[str, dict[str, Any]] = {}

    def tables(self, show: Show) -> None:
        models = rows.tables()
        with rows.snapshot(connection):
            for number, (label, model) in enumerate(models.items()):
                show(_("rows"), number, len(models))
                self._table(label, model)

    def _table(self, label: str, model: rows.Model) -> None:
        digest, size, count = hashlib.sha256(), 0, 0
        # tar wants the size first. A file without a name: whatever ends us, nothing stays of it.
        with tempfile.TemporaryFile(dir=self.scratch) as spool:
            for line in rows.lines_of(model, connection):
                spool.write(line)
                digest.update(line)
                size += len(line)
                count += 1
            spool.seek(0)
            self.tar.addfile(_member(f"database/{label}.ndjson", size), spool)
        self.table_parts[label] = {
            "columns": rows.columns_of(model),
            "rows": count,
            "bytes": size,
            "sha256": digest.hexdigest(),
        }

    def file(self, path: Path, home: Path) -> int:
        """One file, as long as it was when it was opened: a log may grow meanwhile."""
        name = f"home/{path.relative_to(home).as_posix()}"
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return 0  # deleted meanwhile
        with source:
            size = os.fstat(source.fileno()).st_size
            reader = _Hashed(source, size)
            self.tar.addfile(_member(name, size), reader)  # type: ignore[arg-type]
        self.file_parts[name] = {"bytes": size, "sha256": reader.digest.hexdigest()}
        return size

    def finish(self, manifest: dict[str, Any]) -> None:
        content = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
        digest = sha256(content).encode()
        for name, part in ((MANIFEST, content), (DIGEST, digest)):
            self.tar.addfile(_member(name, len(part)), io.BytesIO(part))
        self.tar.close()
        self.out.flush()
        os.fsync(self.out.fileno())


class _Hashed:
    """Exactly `size` bytes of a file; what was cut off meanwhile is filled with zeros, as tar must."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.source, self.left = source, size
        self.digest = hashlib.sha256()

    def read(self, wanted: int) -> bytes:
        wanted = min(wanted, self.left)
        piece = self.source.read(wanted)
        piece += bytes(wanted - len(piece))
        self.left -= wanted
        self.digest.update(piece)
        return piece


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    member.mtime = int(datetime.now(UTC).timestamp())
    return member


def _manifest(archive: _Archive, with_bases: bool, with_secrets: bool) -> dict[str, Any]:
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    return {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(),
        "database": connection.vendor,
        "migrations": [list(leaf) for leaf in sorted(leaves)],
        "with_bases": with_bases,
        "with_secrets": with_secrets,
        "tables": archive.table_parts,
        "files": archive.file_parts,
    }


def _check_target(target: Path, home: Path) -> None:
    if target.suffix != ".tar":
        raise BackupError("not_a_tar", _("Name a file that ends in .tar."))
    if target.exists():
        raise BackupError("exists", _("%(path)s is there already.") % {"path": target})
    if not target.parent.is_dir():
        raise BackupError("no_folder", _("There is no folder %(path)s.") % {"path": target.parent})
    if target.is_relative_to(home.resolve()):
        raise BackupError(
            "inside_home", _("A backup does not belong into the folder that it is a backup of.")
        )
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise BackupError("not_migrated", _("The database is not migrated. Run manage.py migrate."))


def _check_room(target: Path, wanted: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if wanted + MARGIN_BYTES > free:
        raise BackupError(
            "disk_full",
            _("The backup needs at least %(needed)d MB and %(place)s has %(free)d MB left.")
            % {
                "needed": (wanted + MARGIN_BYTES) >> 20,
                "place": target.parent,
                "free": free >> 20,
            },
        )


def _missing(archive: _Archive) -> list[str]:
    """Checkpoints that a row names and whose folder was not there: damage that somebody should know."""
    from gpt_core.models import Checkpoint

    kept = {
        name.split("/")[2] for name in archive.file_parts if name.startswith("home/checkpoints/")
    }
    named = Checkpoint.objects.order_by("name").values_list("name", "digest")
    return [name for name, digest in named if digest not in kept]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A path to write to, renamed once to the target; what a killed backup left is removed first."""
    for left in target.parent.glob(f".{target.name}.*.partial"):
        left.unlink(missing_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield aside
        # link() refuses to replace what somebody else wrote under the name meanwhile.
        os.link(aside, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _dying_tidily() -> Iterator[None]:
    """SIGTERM ends a backup as Ctrl-C does: with what was begun taken away."""
    try:
        before = signal.signal(signal.SIGTERM, _interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
