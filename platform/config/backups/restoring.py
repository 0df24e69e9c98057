"""Restore a backup: everything is checked before anything is touched, and compared before it counts."""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.apps import apps as current_apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.core.management.sql import sql_flush
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from common.errors import ApplicationError
from common.strict_json import loads
from tenancy import guards, rows
from tenancy.home import keeping_files_still
from tenancy.owner import as_owner
from tenancy.scope import system_scope

from .errors import BackupError, disk_faults
from .places import BASES, SECRETS, kept_places
from .writing import CHUNK, DIGEST, FORMAT, MANIFEST, Show, sha256

NAME = re.compile(r"(database|home)(/[^/\x00]{1,255}){1,12}")
# Rows that `migrate` itself makes.
MADE_BY_MIGRATE = {"contenttypes.ContentType", "auth.Permission"}


@dataclass(frozen=True)
class Restored:
    rows: int
    files: int
    bases_missing: tuple[str, ...]
    compared: bool


def restore_backup(
    source: Path, *, force: bool = False, show: Show = lambda what, done, total: None
) -> Restored:
    """Make this place what the backup was. Raises BackupError; then the place is as before.

    A place that holds anything is refused, unless `force` says that all of it may go.
    """
    home = Path(settings.PARLEY_HOME)
    manifest = check(source, show)
    _check_place(home, manifest, force)
    staged = home / f".restoring.{os.getpid()}"
    with keeping_files_still(), system_scope("restore everything"), disk_faults(home):
        for left in [*home.glob(".restoring.*"), *home.glob(".replaced.*")]:
            shutil.rmtree(left)
        try:
            _extract(source, staged, manifest, show)
            compared = _load(source, manifest, show)
            _swap(home, staged, manifest)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Restored(
        sum(one["rows"] for one in manifest["tables"].values()),
        len(manifest["files"]),
        _bases_missing(home),
        compared,
    )


# --- Looking, before anything is touched ---------------------------------------------------------


def check(source: Path, show: Show = lambda what, done, total: None) -> dict[str, Any]:
    """The manifest of a backup of which every byte is as it was written. Raises BackupError."""
    try:
        return _checked(source, show)
    except FileNotFoundError:
        raise BackupError("no_file", _("There is no file %(path)s.") % {"path": source}) from None
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(source.name) from error


def _checked(source: Path, show: Show) -> dict[str, Any]:
    seen: dict[str, tuple[int, str]] = {}
    manifest: Any = None
    written, signed = b"", False
    total = source.stat().st_size if source.is_file() else 0
    for member, content in _members(source):
        if signed:
            raise _damaged(member.name)
        if member.name == MANIFEST:
            written = content.read()
            manifest = _manifest(written)
            continue
        if member.name == DIGEST:
            signed = content.read().decode("ascii", "replace") == sha256(written)
            continue
        if manifest is not None:
            raise _damaged(member.name)
        if not NAME.fullmatch(member.name) or ".." in member.name.split("/"):
            raise _damaged(member.name)
        if member.name in seen:
            raise _damaged(member.name)
        digest = hashlib.sha256()
        while piece := content.read(CHUNK):
            digest.update(piece)
        seen[member.name] = (member.size, digest.hexdigest())
        show(_("checking"), member.offset_data + member.size, total)
    if not signed:
        raise _damaged(MANIFEST)
    promised = {f"database/{label}.ndjson": one for label, one in manifest["tables"].items()}
    promised |= manifest["files"]
    for name in sorted(promised.keys() | seen.keys()):
        one = promised.get(name)
        if one is None or seen.get(name) != (one["bytes"], one["sha256"]):
            raise _damaged(name)
    return dict(manifest)


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = loads(content)
        known = manifest["format"] == FORMAT
        for key in ("tables", "files", "migrations", "database"):
            manifest[key]
    except (ApplicationError, KeyError, TypeError) as error:
        raise _damaged(MANIFEST) from error
    if not known:
        raise BackupError("other_format", _("This backup has a form that is not known here."))
    return dict(manifest)


def _members(source: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Each part with its content, in order; read to the end before the next is asked for."""
    with tarfile.open(source, mode="r:") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise _damaged(member.name)
            yield member, content


def _damaged(name: str) -> BackupError:
    return BackupError("damaged", _("The backup is damaged at “%(name)s”.") % {"name": name[:200]})


def _check_place(home: Path, manifest: dict[str, Any], force: bool) -> None:
    executor = MigrationExecutor(connection)
    unknown = [
        ".".join(leaf)
        for leaf in manifest["migrations"]
        if tuple(leaf) not in executor.loader.graph.nodes
    ]
    if unknown:
        raise BackupError(
            "newer_version",
            _("The backup is of a newer version; unknown here: %(names)s.")
            % {"names": ", ".join(unknown)},
        )
    wanted = sum(one["bytes"] for one in manifest["files"].values())
    free = shutil.disk_usage(home).free
    if wanted > free:
        raise BackupError(
            "disk_full",
            _("The files need %(needed)d MB and %(place)s has %(free)d MB left.")
            % {"needed": wanted >> 20, "place": home, "free": free >> 20},
        )
    if not force and (held := _holds(home)):
        raise BackupError(
            "not_empty",
            _("This place is not empty: %(what)s. Nothing was touched; --force replaces all of it.")
            % {"what": ", ".join(held[:5])},
        )


def _holds(home: Path) -> list[str]:
    """What is in the way: tables with rows, and folders with something in them."""
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
    with system_scope("see whether a place is empty"):
        held = [
            label
            for label, model in rows.tables().items()
            if label not in MADE_BY_MIGRATE
            and model._meta.db_table in there
            and model._base_manager.exists()
        ]
    places = kept_places(home, with_bases=False, with_secrets=False)
    return held + [f"{place.name}/" for place in places if place.is_file() or any(place.iterdir())]


# --- Doing it ------------------------------------------------------------------------------------


def _extract(source: Path, staged: Path, manifest: dict[str, Any], show: Show) -> None:
    """The files, beside the home: a full disk shows before a row is touched."""
    staged.mkdir(mode=0o700)
    total, done = sum(one["bytes"] for one in manifest["files"].values()), 0
    for member, content in _members(source):
        if not member.name.startswith("home/"):
            continue
        path = staged / member.name.removeprefix("home/")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("xb") as out:
            os.fchmod(out.fileno(), 0o600)
            shutil.copyfileobj(content, out, CHUNK)
            out.flush()
            os.fsync(out.fileno())
        done += member.size
        show(_("files"), done, total)


def _load(source: Path, manifest: dict[str, Any], show: Show) -> bool:
    """The rows, in one transaction, under the tables of the version that wrote them; then this one's.

    Returns whether every table was read back and compared with the backup byte by byte. Where
    another kind of database wrote it, figures may be spelt otherwise, and the rows are counted.
    """
    targets = [tuple(leaf) for leaf in manifest["migrations"]]
    executor = MigrationExecutor(connection)
    is_ours = set(targets) == set(executor.loader.graph.leaf_nodes())
    compare = manifest["database"] == connection.vendor
    if is_ours:
        # Not within as_owner: the command gives the other role its rights.
        call_command("migrate", verbosity=0, interactive=False)
    with as_owner(connection):
        if not is_ours:
            _migrate_to(targets)
        apps = current_apps if is_ours else _apps_of(targets)
        with guards.lifted(connection) if is_ours else nullcontext(), transaction.atomic():
            statements = sql_flush(no_style(), connection, allow_cascade=True)
            connection.ops.execute_sql_flush(statements)
            _insert_all(source, manifest, rows.tables(apps), compare, show)
            _reset_sequences(rows.tables(apps))
            connection.check_constraints()
    if not is_ours:
        call_command("migrate", verbosity=0, interactive=False)
    return compare


def _insert_all(
    source: Path, manifest: dict[str, Any], models: dict[str, rows.Model], compare: bool, show: Show
) -> None:
    number = 0
    for member, content in _members(source):
        if not member.name.startswith("database/"):
            continue
        label = member.name.removeprefix("database/").removesuffix(".ndjson")
        promised, model = manifest["tables"][label], models.get(label)
        if model is None:
            raise BackupError(
                "unknown_table", _("There is no table “%(name)s” here.") % {"name": label}
            )
        rows.insert(model, promised["columns"], content, connection)
        _compare(label, model, promised, compare)
        number += 1
        show(_("rows"), number, len(manifest["tables"]))


def _compare(label: str, model: rows.Model, promised: dict[str, Any], exactly: bool) -> None:
    digest, count = hashlib.sha256(), 0
    for line in rows.lines_of(model, connection, promised["columns"]):
        digest.update(line)
        count += 1
    if count != promised["rows"] or (exactly and digest.hexdigest() != promised["sha256"]):
        raise BackupError(
            "differs",
            _("After loading, the table “%(name)s” is not what the backup holds.")
            % {"name": label},
        )


def _reset_sequences(models: dict[str, rows.Model]) -> None:
    statements = connection.ops.sequence_reset_sql(no_style(), list(models.values()))
    connection.ops.execute_sql_flush(statements)


def _migrate_to(targets: list[Any]) -> None:
    """The tables as the older version had them, in an empty database or back from newer ones.

    No guards go up on the way; the full migration at the end puts them up.
    """
    executor = MigrationExecutor(connection)
    executor.migrate([target for target in targets if target in executor.loader.graph.nodes])


def _apps_of(targets: list[Any]) -> Any:
    return MigrationExecutor(connection).loader.project_state(targets).apps


def _swap(home: Path, staged: Path, manifest: dict[str, Any]) -> None:
    """The files in place of what was there, by renaming alone."""
    replaced = home / f".replaced.{os.getpid()}"
    replaced.mkdir(exist_ok=True)
    with_bases = any(name.startswith(f"home/{BASES}/") for name in manifest["files"])
    with_secrets = any(name.startswith(f"home/{SECRETS}/") for name in manifest["files"])
    for place in kept_places(home, with_bases=with_bases, with_secrets=with_secrets):
        place.rename(replaced / place.name)
    for place in sorted(staged.iterdir()):
        place.rename(home / place.name)
    shutil.rmtree(replaced)


def _bases_missing(home: Path) -> tuple[str, ...]:
    from gpt_core.models import BaseModel

    return tuple(
        base.name
        for base in BaseModel.objects.order_by("name")
        if not Path(base.folder, "base.json").is_file()
    )
